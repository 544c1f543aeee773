"""Datasets as Hugging Face's `save_to_disk` leaves them: `state.json` beside Arrow streams whose rows hold the sound."""

import io
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from test_damage import damages

from attune import layouts
from attune.layouts import Inventory, take_inventory
from attune.saved_datasets import unpack
from attune.soundcache import SoundCache

SOUND = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def encoded(pitch_hz: float) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(pitch_hz * np.arange(8000) / 16_000), 16_000, format="FLAC")
    return buffer.getvalue()


def save(folder: Path, rows: list[dict[str, Any]], name: str = "data-00000-of-00001.arrow") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    columns = sorted({column for row in rows for column in row} - {"audio"})
    table = pa.table({c: [row.get(c) for row in rows] for c in columns})
    table = table.append_column("audio", pa.array([row["audio"] for row in rows], SOUND))
    with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}], "_split": None}))
    (folder / "dataset_info.json").write_text("{}")
    return folder / name


def inventory(tmp_path: Path) -> Inventory:
    return take_inventory(tmp_path / "raw", SoundCache(tmp_path / "sounds"))


def test_each_row_is_a_recording(tmp_path: Path) -> None:
    rows = [
        {"audio": {"bytes": encoded(100 + n), "path": "x.flac"}, "sentence": f"text {n}", "speaker_id": n % 2, "accent": "scots"}
        for n in range(8)
    ]
    save(tmp_path / "raw" / "clean" / "saved", rows)
    found = inventory(tmp_path)
    assert found.rejected == ()
    digests = [sha256(encoded(100 + n)).hexdigest()[:16] for n in range(8)]
    by_source = {r.source: r for r in found.recordings}
    assert set(by_source) == {f"clean/saved/rows.arrow/{digest}/x.flac" for digest in digests}
    for number, digest in enumerate(digests):
        recording = by_source[f"clean/saved/rows.arrow/{digest}/x.flac"]
        assert recording.path.read_bytes() == encoded(100 + number)
        assert (recording.reference, recording.speaker, recording.condition) == (f"text {number}", str(number % 2), "clean")
        assert dict(recording.tags) == {"accent": "scots"}


def test_a_datasets_folders_name_nobody_but_its_test_split_is_tested(tmp_path: Path) -> None:
    for split in ("train", "test"):
        save(tmp_path / "raw" / "saved" / split, [{"audio": {"bytes": encoded(len(split)), "path": None}, "text": split}])
    found = {r.reference: r for r in inventory(tmp_path).recordings}
    assert [r.speaker_from for r in found.values()] == ["recording", "recording"]
    assert tuple(layouts.tested(found[side]) for side in ("train", "test")) == (False, True)


def test_rows_that_name_a_file_mean_that_file_and_only_below_the_raw_folder(tmp_path: Path) -> None:
    rows = [{"audio": {"bytes": None, "path": path}, "text": "yes"} for path in ("x.wav", "../../x.wav", None)]
    save(tmp_path / "raw" / "saved", rows)
    (tmp_path / "raw" / "saved" / "x.wav").write_bytes(encoded(1))
    found = inventory(tmp_path)
    assert [(r.source, r.reference) for r in found.recordings] == [("saved/x.wav", "yes")]
    assert {r.source.rsplit(":")[-1]: r.reason for r in found.rejected} == {"1": "path_outside", "2": "missing_audio"}


def test_a_damaged_file_gives_the_rows_before_the_damage(tmp_path: Path) -> None:
    rows = [{"audio": {"bytes": encoded(n), "path": "x"}, "text": "t", "speaker": "anna"} for n in range(30)]
    path = save(tmp_path / "raw", rows)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = inventory(tmp_path)
    assert 3 <= len(found.recordings) < 30
    (fault,) = found.rejected
    assert fault.reason == "malformed_list"
    assert f"after row {len(found.recordings)}" in fault.detail


@pytest.mark.parametrize("content", [b"", b"ARROW1", b"\xff" * 4000])
def test_what_is_no_arrow_file_is_named(tmp_path: Path, content: bytes) -> None:
    save(tmp_path / "raw" / "a", [{"audio": {"bytes": encoded(5), "path": "x"}, "text": "t"}])
    (tmp_path / "raw" / "b").mkdir()
    (tmp_path / "raw" / "b" / "data.arrow").write_bytes(content)
    found = inventory(tmp_path)
    assert len(found.recordings) == 1
    assert [(r.source, r.reason) for r in found.rejected] == [("b/data.arrow", "malformed_list")]


def test_caches_beside_a_dataset_and_tables_without_sound_are_ignored(tmp_path: Path) -> None:
    row = {"audio": {"bytes": encoded(5), "path": "x"}, "text": "t"}
    save(tmp_path / "raw", [row], "cache-1234.arrow")
    save(tmp_path / "raw", [row])
    table = pa.table({"text": ["a"]})
    (tmp_path / "raw" / "texts").mkdir()
    with pa.OSFile(str(tmp_path / "raw/texts/x.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    found = inventory(tmp_path)
    assert (len(found.recordings), found.ignored_files) == (1, 3)
    assert [(r.source, r.reason) for r in found.rejected] == [("texts/x.arrow", "no_sound_column")]


def test_no_damaged_dataset_crashes_the_interpreter_or_goes_unmentioned(tmp_path: Path) -> None:
    path = save(tmp_path, [{"audio": {"bytes": encoded(n), "path": "x"}, "text": "t"} for n in range(12)])
    sounds = SoundCache(tmp_path / "sounds")
    for _, spoilt in zip(range(450), damages(path.read_bytes(), np.random.default_rng(0)), strict=False):
        path.write_bytes(spoilt)
        found = unpack(path, "data.arrow", tmp_path, sounds)
        assert found is not None
        assert len(found.entries) == 12 or found.rejected


def test_pictures_are_not_taken_for_sound(tmp_path: Path) -> None:
    pixels, text = pa.array([{"bytes": b"\x89PNG", "path": "a.png"}], SOUND), pa.array(["hello"])
    both = pa.table({"image": pixels, "audio": pa.array([{"bytes": encoded(5), "path": "a.flac"}], SOUND), "text": text})
    declared = {"info": {"features": {"image": {"_type": "Image"}, "audio": {"_type": "Audio"}}}}
    both = both.replace_schema_metadata({"huggingface": json.dumps(declared)})
    for name, table in (("both", both), ("pictures", both.drop_columns("audio"))):
        (tmp_path / "raw" / name).mkdir(parents=True)
        with pa.OSFile(str(tmp_path / "raw" / name / "x.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    found = inventory(tmp_path)
    assert [r.source.split("/")[-1] for r in found.recordings] == ["a.flac"]
    assert [(r.source, r.reason) for r in found.rejected] == [("pictures/x.arrow", "no_sound_column")]


def test_rows_keep_their_names_when_a_dataset_is_saved_again_with_more_of_them(tmp_path: Path) -> None:
    rows = [{"audio": {"bytes": encoded(n), "path": "x.flac"}, "text": f"text {n}"} for n in range(6)]
    save(tmp_path / "raw/mine", rows[:4])
    before = {(r.source, r.speaker) for r in inventory(tmp_path).recordings}
    for part in (0, 1):
        save(tmp_path / "raw/mine", rows[5 - 3 * part :: -1][:3], f"data-0000{part}-of-00002.arrow")
    (tmp_path / "raw/mine/data-00000-of-00001.arrow").unlink()
    (tmp_path / "raw/mine/state.json").unlink()
    after = {(r.source, r.speaker) for r in inventory(tmp_path).recordings}
    assert len(before) == 4
    assert len(after) == 6
    assert before < after


def test_class_labels_are_read_as_their_names(tmp_path: Path) -> None:
    table = pa.table({"audio": pa.array([{"bytes": encoded(n), "path": "x.flac"} for n in range(2)], SOUND), "speaker": [1, 0]})
    features = {"audio": {"_type": "Audio"}, "speaker": {"names": ["anna", "ben"], "_type": "ClassLabel"}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    (tmp_path / "raw").mkdir()
    with pa.OSFile(str(tmp_path / "raw/x.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    assert {r.speaker for r in inventory(tmp_path).recordings} == {"anna", "ben"}
