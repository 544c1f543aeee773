"""Every kind of folder that the README's table promises to understand, made as it says there and prepared."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from shipped import split_params

from attune.dataset import read_rejected, read_utterances
from attune.demo.grammar import sentences
from attune.demo.voices import Synthesizer, Voice
from attune.intake import prepare_corpus
from attune.operations.bundling import pack
from attune.records import Utterance
from attune.soundcache import SoundCache
from attune.workcache import WorkCache

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
RATE = 16_000
TEXT = "good morning"


class Folder:
    """A raw folder that is filled with sounds of which no two are alike."""

    def __init__(self, path: Path) -> None:
        self.path, self._made = path, 0

    def sound(self, seconds: float = 1.0) -> np.ndarray:
        self._made += 1
        rng = np.random.default_rng(self._made)
        return np.repeat(rng.uniform(-0.5, 0.5, int(seconds * 40)), RATE // 40) * rng.uniform(
            0.2, 1, int(seconds * 40) * (RATE // 40)
        )

    def record(self, *names: str, seconds: float = 1.0) -> None:
        for name in names:
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, self.sound(seconds), RATE)

    def write(self, name: str, *lines: str) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


Prepare = Callable[..., dict[str, Utterance]]
LAYOUTS: dict[str, Callable[[Folder, Prepare], None]] = {}


def layout(name: str) -> Callable[[Callable[[Folder, Prepare], None]], Callable[[Folder, Prepare], None]]:
    def keep(check: Callable[[Folder, Prepare], None]) -> Callable[[Folder, Prepare], None]:
        LAYOUTS[name] = check
        return check

    return keep


def told(utterances: dict[str, Utterance]) -> dict[str, tuple[str, str | None]]:
    return {source: (u.speaker, u.reference) for source, u in utterances.items()}


@layout("folders")
def _(raw: Folder, prepare: Prepare) -> None:
    raw.record("clean/anna/x.wav", "ben/noisy/x.wav", "cleo/monday/x.wav")
    found = prepare()
    assert {u.speaker for u in found.values()} == {"anna", "ben", "cleo"}
    assert (found["clean/anna/x.wav"].condition, found["ben/noisy/x.wav"].condition) == ("clean", "noisy")
    assert found["cleo/monday/x.wav"].condition == ("noisy" if (found["cleo/monday/x.wav"].snr_db or 0) < 15 else "clean")


@layout("a flat folder")
def _(raw: Folder, prepare: Prepare) -> None:
    raw.record("001.wav", "002.wav", "anna_001.wav", "anna_002.wav")
    assert [u.speaker for u in prepare().values()] == ["001.wav", "002.wav", "anna", "anna"]
    assert [u.condition for u in prepare(flat_folders="halves").values()] == ["clean", "clean", "noisy", "noisy"]


@layout("transcripts beside, or apart")
def _(raw: Folder, prepare: Prepare) -> None:
    raw.record("anna/x.wav", "audio/ben/y.wav")
    raw.write("anna/x.txt", TEXT)
    raw.write("transcripts/ben/y.txt", "good evening")
    assert told(prepare()) == {"anna/x.wav": ("anna", TEXT), "audio/ben/y.wav": ("ben", "good evening")}


@layout("a table")
def _(raw: Folder, prepare: Prepare) -> None:
    raw.record("a/1.wav", "a/2.wav")
    rows = ("audio_path,transcript,duration,speaker,notes", f"a/1.wav,{TEXT},1.0,anna,window open", "a/2.wav,hello,1.0,ben,")
    for mark in (",", ";", "\t", "|"):
        raw.write("metadata.csv", *(row.replace(",", mark) for row in rows))
        found = prepare()
        assert told(found) == {"a/1.wav": ("anna", TEXT), "a/2.wav": ("ben", "hello")}
        assert dict(found["a/1.wav"].tags) == {"notes": "window open"}


@layout("Hugging Face")
def _(raw: Folder, prepare: Prepare) -> None:
    raw.record("anna/train/1.wav", "ben/2.wav")
    raw.write("anna/metadata.csv", "file_name,transcription", f"train/1.wav,{TEXT}")
    assert told(prepare()) == {"anna/train/1.wav": ("anna", TEXT), "ben/2.wav": ("ben", None)}


@layout("Common Voice")
def _(raw: Folder, prepare: Prepare) -> None:
    raw.record("clips/cv_1.wav", "clips/cv_2.wav")
    raw.write("validated.tsv", "client_id\tpath\tsentence", f"ab\tcv_1.mp3\t{TEXT}", "cd\tcv_2.wav\thello")
    raw.path.joinpath("clips/cv_1.wav").rename(raw.path / "clips/cv_1.mp3")
    assert told(prepare()) == {"clips/cv_1.mp3": ("ab", TEXT), "clips/cv_2.wav": ("cd", "hello")}


@layout("NeMo")
def _(raw: Folder, prepare: Prepare) -> None:
    raw.record("anna/day.wav", "ben/day.wav", seconds=4)
    pieces = [{"audio_filepath": f"{who}/day.wav", "offset": 1.5, "duration": 2.0, "text": who} for who in ("anna", "ben")]
    raw.write("train.json", *map(json.dumps, pieces))
    found = prepare()
    assert told(found) == {"anna/day.wav@1.5": ("anna", "anna"), "ben/day.wav@1.5": ("ben", "ben")}
    assert [(u.end_s, u.duration_s) for u in found.values()] == [(3.5, 2.0), (3.5, 2.0)]


@layout("measured noise")
def _(raw: Folder, prepare: Prepare) -> None:
    raw.record("anna/1.wav", "ben/2.wav", "ben/3.wav")
    raw.write("metadata.csv", "path,label,snr_db,duration", "anna/1.wav,noisy,40,1", "ben/2.wav,,3.5,1", "ben/3.wav,,33,1")
    found = prepare()
    assert [(u.condition, u.snr_db) for u in found.values()] == [("noisy", 40.0), ("noisy", 3.5), ("clean", 33.0)]


@layout("segments")
def _(raw: Folder, prepare: Prepare) -> None:
    raw.record("anna/day.wav", "ben/day.wav", seconds=4)
    for who in ("anna", "ben"):
        segments = [{"start": n, "end": n + 1.5, "text": f"{who} {n}", "confidence": 0.9} for n in (0, 2)]
        raw.write(f"{who}/metadata.json", json.dumps({"audio": "day.wav", "segments": segments}))
    found = prepare()
    assert told(found) == {f"{who}/day.wav@{n}": (who, f"{who} {n}") for who in ("anna", "ben") for n in (0, 2)}
    assert {u.tags["confidence"] for u in found.values()} == {"0.9"}


@layout("Label Studio")
def _(raw: Folder, prepare: Prepare) -> None:
    raw.record("anna/1.wav", "ben/2.wav")

    def task(name: str, condition: str) -> dict[str, Any]:
        result = [
            {"type": "textarea", "from_name": "transcription", "to_name": "audio", "value": {"text": [name]}},
            {"type": "choices", "from_name": "quality", "to_name": "audio", "value": {"choices": [condition]}},
        ]
        return {"id": 1, "data": {"audio": f"/data/upload/1/{name}"}, "annotations": [{"result": result}]}

    raw.write("export.json", json.dumps([task("1.wav", "clean"), task("2.wav", "noisy")]))
    found = prepare()
    assert told(found) == {"anna/1.wav": ("anna", "1.wav"), "ben/2.wav": ("ben", "2.wav")}
    assert [u.condition for u in found.values()] == ["clean", "noisy"]


@layout("a saved dataset")
def _(raw: Folder, prepare: Prepare) -> None:
    def sound() -> dict[str, Any]:
        buffer = io.BytesIO()
        soundfile.write(buffer, raw.sound(), RATE, format="WAV")
        return {"bytes": buffer.getvalue(), "path": "x.wav"}

    for split, who in (("train", "anna"), ("test", "ben")):
        folder = raw.path / "saved" / split
        folder.mkdir(parents=True)
        table = pa.table({"audio": [sound(), sound()], "text": [TEXT, "hello"], "speaker": [who, who]})
        with pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
        raw.write(f"saved/{split}/state.json", json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    found = prepare()
    assert sorted(told(found).values()) == [("anna", TEXT), ("anna", "hello"), ("ben", TEXT), ("ben", "hello")]
    assert {u.split for u in found.values() if u.speaker == "ben"} == {"test"}


@layout("packs")
def _(raw: Folder, prepare: Prepare) -> None:
    raw.record("clean/anna/1.wav", "ben/2.wav")
    raw.write("clean/anna/1.txt", TEXT)
    pack(raw.path, 1.0)
    raw.record("ben/3.wav")
    assert sorted(path.name for path in raw.path.rglob("*") if path.is_file()) == ["3.wav", "pack-0001.tar"]
    assert told(prepare()) == {"clean/anna/1.wav": ("anna", TEXT), "ben/2.wav": ("ben", None), "ben/3.wav": ("ben", None)}


@layout("padded clips")
def _(raw: Folder, prepare: Prepare) -> None:
    names = [f"{who}/{n}.wav" for who in ("anna", "ben", "cleo") for n in range(4)]
    raw.record(*names, seconds=3)
    labels = ["SPEECH", "SPEECH", "SPEECH", "NONSPEECH"] * 3
    snrs = [20.0, 20.0, 5.0, 20.0] * 3
    raw.write(
        "metadata.csv",
        "path,label,snr_db,duration",
        *(f"{p},{label},{snr},1.0" for p, label, snr in zip(names, labels, snrs, strict=True)),
    )
    assert {u.duration_s for u in prepare().values()} == {3.0}
    found = prepare(rejections=6, cut_centre=True, min_snr_db=10, balance="label")
    assert {u.duration_s for u in found.values()} == {1.0}
    assert sorted(u.tags["label"] for u in found.values()) == ["NONSPEECH"] * 3 + ["SPEECH"] * 3


@layout("long recordings")
def _(raw: Folder, prepare: Prepare) -> None:
    synthesizer, texts = Synthesizer(), sentences("everyday", 1)
    for who in ("anna", "ben"):
        spoken = [np.pad(synthesizer.speak(next(texts), Voice("en-us+m1", 150, 50), RATE), (0, RATE)) for _ in range(9)]
        (raw.path / who).mkdir(parents=True)
        soundfile.write(raw.path / who / "visit.wav", 0.5 * np.concatenate(spoken), RATE)
    found = prepare(max_duration_s=8.0, cut_long_to_s=6.0)
    assert len(found) >= 6
    assert all(u.duration_s <= 6.0 and u.start_s is not None for u in found.values())
    assert {u.speaker for u in found.values()} == {"anna", "ben"}


def test_every_row_of_the_table_is_tried() -> None:
    table = README.split("### Recordings as they come")[1].split("\n\n")[1]
    rows = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert len(rows) > 8
    assert sorted(rows) == sorted(LAYOUTS)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_the_folder_becomes_the_corpus_that_the_table_says(name: str, tmp_path: Path) -> None:
    cache = WorkCache(tmp_path / "cache")

    def prepare(rejections: int = 0, **changes: Any) -> dict[str, Utterance]:
        params = split_params(min_duration_s=0.3, voice_activity=False, **changes)
        prepare_corpus(tmp_path / "raw", tmp_path / "prepared", params, cache, SoundCache(tmp_path / "sounds"))
        assert len(read_rejected(tmp_path / "prepared")) == rejections
        return {
            u.source + (f"@{u.start_s:g}" if u.start_s is not None else ""): u for u in read_utterances(tmp_path / "prepared")
        }

    LAYOUTS[name](Folder(tmp_path / "raw"), prepare)
    cache.close()
