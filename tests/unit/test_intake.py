"""From a user's folder to the corpus: all good recordings kept, all bad ones named, the same bytes every time."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from pydantic import ValidationError
from shipped import split_params

from attune import clips
from attune.audio import read_audio
from attune.dataset import Sounds, read_rejected, read_utterances
from attune.demo.grammar import sentences
from attune.demo.voices import Synthesizer, Voice
from attune.errors import DataError
from attune.intake import IntakeReport, prepare_corpus
from attune.params import SplitParams
from attune.report.corpus import distribution, metrics
from attune.soundcache import SoundCache
from attune.workcache import WorkCache

RATE = 16_000


def params(**changes: Any) -> SplitParams:
    shares = {"train": 0.6, "validation": 0.2, "test": 0.2}
    return split_params(**{"shares": shares, "min_duration_s": 0.1, "max_duration_s": 2.0, "cut_long_to_s": None, **changes})


def tone(pitch_hz: float, seconds: float = 0.5) -> np.ndarray:
    time_s = np.arange(int(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * pitch_hz * time_s) * (np.sin(20 * time_s) > 0)).astype(np.float32)


def record(path: Path, samples: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, **options)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Three speakers, three different recordings each."""
    for pitch_hz, speaker in ((200, "anna"), (300, "ben"), (400, "cleo")):
        for number in range(3):
            record(tmp_path / "raw" / "clean" / speaker / f"{number}.wav", tone(pitch_hz + 10 * number))
    return tmp_path / "raw"


def prepare(raw: Path, prepared: str = "prepared", **changes: Any) -> IntakeReport:
    cache = WorkCache(raw.parent / "cache")
    try:
        return prepare_corpus(raw, raw.parent / prepared, params(**changes), cache, SoundCache(raw.parent / "sounds"))
    finally:
        cache.close()


def rejected(raw: Path) -> dict[str, str]:
    return {r.source: r.reason for r in read_rejected(raw.parent / "prepared")}


def test_every_recording_is_found_again_in_the_corpus(raw: Path) -> None:
    report = prepare(raw)
    utterances, sounds = read_utterances(raw.parent / "prepared"), Sounds(raw.parent / "prepared")
    assert len(utterances) == 9
    assert sorted(utterances, key=lambda u: u.source) == sorted(report.utterances, key=lambda u: u.source)
    for utterance in utterances:
        samples, _ = soundfile.read(raw / utterance.source, dtype="float32")
        assert np.allclose(sounds[utterance.id], samples, atol=1e-4)
        assert utterance.duration_s == pytest.approx(0.5)
        assert utterance.speaker in utterance.source
    assert {u.split for u in utterances} == {"train", "validation", "test"}


def test_all_that_is_broken_is_named_and_nothing_good_is_lost(raw: Path) -> None:
    bad = raw / "clean" / "anna"
    (bad / "empty.wav").touch()
    (bad / "text.wav").write_text("no sound")
    record(bad / "short.wav", tone(200, 0.05))
    record(bad / "long.wav", tone(200, 3.0))
    record(bad / "silent.wav", np.zeros(RATE))
    record(bad / "nan.wav", np.full(RATE, np.nan, np.float32), subtype="FLOAT")
    record(bad / "cut.wav", tone(555, 1.0))
    (bad / "cut.wav").write_bytes((bad / "cut.wav").read_bytes()[:9000])
    record(bad / "again.flac", soundfile.read(raw / "clean/anna/0.wav", dtype="int16")[0])
    record(bad / "eight.wav", np.repeat(tone(640)[:, None], 8, axis=1))
    report = prepare(raw)
    assert len(report.utterances) == 10
    assert {Path(source).name: reason for source, reason in rejected(raw).items()} == {
        "empty.wav": "empty_file",
        "text.wav": "not_audio",
        "short.wav": "too_short",
        "long.wav": "too_long",
        "silent.wav": "silent",
        "nan.wav": "nan",
        "cut.wav": "truncated",
        "again.flac": "duplicate_sound",
    }


def test_the_same_input_gives_the_same_bytes(raw: Path) -> None:
    def contents() -> dict[str, bytes]:
        prepare(raw)
        return {path.name: path.read_bytes() for path in (raw.parent / "prepared").iterdir()}

    first = contents()
    assert len(first) >= 3
    shutil.copytree(raw, raw.parent / "copy")
    shutil.rmtree(raw)
    (raw.parent / "copy").rename(raw)
    assert contents() == first


def test_of_two_equal_sounds_the_one_with_a_transcript_is_kept(raw: Path) -> None:
    record(raw / "clean/anna/9.wav", tone(200))
    (raw / "clean/anna/9.txt").write_text("hello")
    prepare(raw)
    assert rejected(raw) == {"clean/anna/0.wav": "duplicate_sound"}


@pytest.mark.parametrize("texts", [("0", "9"), ()])
def test_of_two_equal_sounds_the_first_is_kept_where_transcripts_do_not_decide(raw: Path, texts: tuple[str, ...]) -> None:
    record(raw / "clean/anna/9.wav", tone(200))
    for name in texts:
        (raw / f"clean/anna/{name}.txt").write_text(name)
    prepare(raw)
    (rejection,) = read_rejected(raw.parent / "prepared")
    assert (rejection.source, rejection.reason) == ("clean/anna/9.wav", "duplicate_sound")
    assert "clean/anna/0.wav" in rejection.detail
    assert ("another reference" in rejection.detail) == bool(texts)


def test_the_measured_noise_decides_where_no_folder_does(raw: Path) -> None:
    quiet, loud, other = (np.random.default_rng(n).standard_normal(RATE).astype(np.float32) for n in range(3))
    record(raw / "dora/quiet.wav", np.concatenate([tone(500, 1.0), 1e-4 * quiet]))
    record(raw / "dora/loud.wav", tone(500, 1.0) + 0.3 * loud)
    record(raw / "dora/clean/loud.wav", tone(510, 1.0) + 0.3 * other)
    found = {u.source: u.condition for u in prepare(raw).utterances if u.speaker == "dora"}
    assert found == {"dora/quiet.wav": "clean", "dora/loud.wav": "noisy", "dora/clean/loud.wav": "clean"}


def test_the_figures_add_up(raw: Path) -> None:
    (raw / "clean/anna/0.txt").write_text("hello")
    (raw / "clean/anna/1.txt").write_text(" ")
    (raw / "clean/anna/bad.wav").touch()
    (raw / "notes.md").touch()
    figures = metrics(prepare(raw))
    assert (figures["recordings"], figures["utterances"], figures["rejected"], figures["ignored_files"]) == (10, 9, 2, 1)
    assert figures["with_reference"] == figures["empty_transcripts"] == 1
    assert sum(figures[side]["utterances"] for side in ("train", "validation", "test")) == 9
    assert figures["clean"]["utterances"] + figures["noisy"]["utterances"] == 9
    assert figures["rejected_for"] == {"empty_file": 1, "empty_transcript": 1}
    assert figures["speaker_from"] == {"folder": 9}
    assert any("people unlike them" in warning for warning in figures["warnings"])


def test_guessed_speakers_are_warned_of(raw: Path) -> None:
    record(raw / "dora_1.wav", tone(700))
    record(raw / "1.wav", tone(800))
    text = "\n".join(prepare(raw).warnings)
    assert "1 recording(s) were guessed" in text
    assert "1 recording(s) name no speaker and are dealt by file" in text


def test_nothing_usable_says_why(tmp_path: Path) -> None:
    for name in ("anna", "ben"):
        (tmp_path / "raw" / name).mkdir(parents=True)
        (tmp_path / "raw" / name / "x.wav").touch()
    with pytest.raises(DataError, match=r"none of the 2 recordings.*2 empty_file.*anna/x\.wav has 0 bytes"):
        prepare(tmp_path / "raw")


def test_a_refused_folder_leaves_the_last_corpus_alone(raw: Path) -> None:
    prepare(raw)
    before = sorted((raw.parent / "prepared").iterdir())
    with pytest.raises(DataError):
        prepare(raw, test_speakers=("zoe",))
    assert sorted((raw.parent / "prepared").iterdir()) == before
    assert sorted(p.name for p in raw.parent.iterdir()) == ["cache", "prepared", "raw", "sounds"]


@pytest.mark.parametrize("prepared", ["raw", "raw/prepared", "."])
def test_recordings_are_never_replaced_by_the_corpus(raw: Path, prepared: str) -> None:
    with pytest.raises(DataError, match="apart"):
        prepare(raw, prepared)
    assert (raw / "clean/anna/0.wav").exists()


def test_pieces_of_a_long_recording_become_utterances_of_their_own(raw: Path) -> None:
    day = np.concatenate([tone(300 + 40 * n, 1.0) for n in range(12)])
    record(raw / "day.flac", day)
    spans = [(0, 1, "dora"), (1, 2.5, "emil"), (3, 3.05, "dora"), (4, 9, "dora"), (11, 13, "emil"), (20, 21, "dora")]
    row = '{{"audio": "day.flac", "start": {}, "end": {}, "speaker": "{}", "text": "t{}", "mic": "lapel"}}'
    (raw / "pieces.jsonl").write_text("\n".join(row.format(*span, span[0]) for span in spans))
    found = [u for u in prepare(raw).utterances if u.source == "day.flac"]
    assert [(u.start_s, u.end_s, u.speaker, u.reference, dict(u.tags)) for u in found] == [
        (0.0, 1.0, "dora", "t0", {"mic": "lapel"}),
        (1.0, 2.5, "emil", "t1", {"mic": "lapel"}),
    ]
    sounds = Sounds(raw.parent / "prepared")
    assert np.abs(sounds[found[1].id] - day[RATE : int(2.5 * RATE)]).max() < 1e-4
    assert rejected(raw) == {
        "day.flac from 3 s to 3.05 s": "too_short",
        "day.flac from 4 s to 9 s": "too_long",
        "day.flac from 11 s to 13 s": "outside",
        "day.flac from 20 s to 21 s": "outside",
    }


def test_a_damaged_recording_gives_the_pieces_before_the_damage(raw: Path) -> None:
    record(raw / "day.flac", 0.1 * np.random.default_rng(0).standard_normal(60 * RATE).astype(np.float32))
    (raw / "day.flac").write_bytes((raw / "day.flac").read_bytes()[:-400_000])
    rows = [f'{{"audio": "day.flac", "start": {a}, "end": {a + 1}, "speaker": "dora", "text": "t"}}' for a in (1, 58)]
    (raw / "pieces.jsonl").write_text("\n".join(rows))
    assert [u.start_s for u in prepare(raw).utterances if u.source == "day.flac"] == [1.0]
    assert rejected(raw) == {"day.flac from 58 s to 59 s": "truncated"}


def test_where_nobody_is_named_sessions_and_then_files_are_dealt(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for n in range(12):
        record(raw / f"{n}.wav", tone(200 + 30 * n))
    (raw / "list.csv").write_text("path,text,session\n" + "".join(f"{n}.wav,hello,day {n // 2}\n" for n in range(8)))
    report = prepare(raw)
    assert report.speaker_from == {"session": 8, "recording": 4}
    sides: dict[str, set[str]] = {}
    for utterance in report.utterances:
        sides.setdefault(utterance.speaker, set()).add(utterance.split)
    assert len(sides) == 8
    assert all(len(side) == 1 for side in sides.values())


def test_a_long_recording_is_cut_at_its_pauses(raw: Path) -> None:
    synthesizer, texts = Synthesizer(), sentences("everyday", 3)
    spoken = [synthesizer.speak(next(texts), Voice("en-us+m1", 160, 50), RATE) for _ in range(6)]
    day = np.concatenate([np.pad(0.7 * speech / np.abs(speech).max(), (0, RATE)) for speech in spoken])
    record(raw / "visit/day.wav", day)
    (raw / "visit/day.txt").write_text("what was said all day")
    record(raw / "visit/hush.wav", 1e-2 * np.random.default_rng(0).standard_normal(6 * RATE))
    report = prepare(raw, max_duration_s=5.0, cut_long_to_s=5.0)
    pieces = [u for u in report.utterances if u.source == "visit/day.wav"]
    assert len(pieces) >= 3
    assert {(u.speaker, u.reference) for u in pieces} == {("visit", None)}
    assert all(u.end_s is not None and u.start_s is not None and 0 < u.end_s - u.start_s <= 5 for u in pieces)
    assert rejected(raw) == {"visit/day.wav": "transcript_without_times", "visit/hush.wav": "no_speech"}


def test_recordings_with_little_speech_are_rejected_where_that_is_asked_for(raw: Path) -> None:
    synthesizer = Synthesizer()
    for speaker, text in (("dora", "good morning how are you"), ("emil", "please come in and sit down")):
        speech = synthesizer.speak(text, Voice("en-us+m1", 160, 50), RATE)
        record(raw / f"{speaker}/speech.wav", 0.7 * speech / np.abs(speech).max())
    shares = {u.source: u.speech_share for u in prepare(raw, min_speech_share=0.5).utterances}
    assert shares == {f"{speaker}/speech.wav": pytest.approx(0.9, abs=0.2) for speaker in ("dora", "emil")}
    assert set(rejected(raw).values()) == {"little_speech"}


def test_a_file_is_decoded_once_however_often_the_corpus_is_made(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (raw / "clean/anna/bad.wav").write_text("no sound")
    first = prepare(raw)
    decoded: list[str] = []

    def counted(path: Path, longest_s: float) -> np.ndarray:
        decoded.append(path.name)
        return read_audio(path, longest_s)

    monkeypatch.setattr(clips, "read_audio", counted)
    record(raw / "noisy/dora/new.wav", tone(900))
    (raw / "clean/anna/0.txt").write_text("hello")
    second = prepare(raw)
    assert decoded == ["new.wav"]
    assert {u.id for u in first.utterances} < {u.id for u in second.utterances}
    assert [u.reference for u in second.utterances if u.source == "clean/anna/0.wav"] == ["hello"]
    assert rejected(raw) == {"clean/anna/bad.wav": "not_audio"}
    prepare(raw, min_duration_s=0.2)
    assert len(decoded) == 12


def test_another_content_is_noticed_though_size_and_time_of_the_file_are_as_before(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "_TICK_NS", 0)
    file = raw / "clean/anna/0.wav"
    prepare(raw)
    before, digests = file.stat(), {u.audio_digest for u in prepare(raw).utterances}
    time.sleep(0.05)
    record(file, tone(777))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert len({u.audio_digest for u in prepare(raw).utterances} - digests) == 1


def test_sound_that_was_cleared_from_the_cache_is_decoded_again(raw: Path) -> None:
    first = prepare(raw)
    shutil.rmtree(raw.parent / "sounds")
    assert prepare(raw) == first


def test_the_same_sound_at_another_rate_is_kept_once_and_so_on_one_side(raw: Path) -> None:
    synthesizer = Synthesizer()
    for number, text in enumerate(["good morning", "how are you", "please sit down"]):
        speech = 0.5 * synthesizer.speak(text, Voice("en-us+m1", 160, 50), RATE)
        record(raw / f"dora/{number}.wav", speech)
        (raw / "emil").mkdir(exist_ok=True)
        soundfile.write(raw / f"emil/{number}.ogg", soxr.resample(speech, RATE, 44_100), 44_100)
    prepare(raw)
    assert rejected(raw) == {f"emil/{number}.ogg": "duplicate_sound" for number in range(3)}


def test_variants_of_a_sound_may_be_kept_where_one_person_said_them_all(raw: Path) -> None:
    voice = Synthesizer().speak("please bring two blue cups and the long ladder", Voice("en-us+m1", 150, 50), RATE)
    for number, name in enumerate(("dora/0.wav", "dora/1.wav", "emil/2.wav")):
        noise = np.random.default_rng(number).standard_normal(voice.size).astype(np.float32)
        record(raw / name, voice + 1e-3 * noise)
    record(raw / "dora/3.wav", soundfile.read(raw / "dora/1.wav", dtype="int16")[0])
    prepare(raw, max_duration_s=9.0)
    assert rejected(raw) == dict.fromkeys(("dora/1.wav", "dora/3.wav", "emil/2.wav"), "duplicate_sound")
    prepare(raw, max_duration_s=9.0, duplicates="keep")
    assert rejected(raw) == dict.fromkeys(("dora/3.wav", "emil/2.wav"), "duplicate_sound")
    with pytest.raises(ValidationError, match="duplicates: keep needs validation_unit: speaker"):
        params(duplicates="keep", validation_unit="utterance")


def test_distributions_are_told_of_each_side_and_condition_without_gaps(raw: Path) -> None:
    record(raw / "noisy/anna/long.wav", np.concatenate([tone(222, 1.0), tone(333, 0.9)]))
    report = prepare(raw)
    rows = distribution(report.utterances, "duration_s", 1)
    assert [row["duration_s"] for row in rows] == [0, 1]
    assert [(row["clean"], row["noisy"]) for row in rows] == [(1.0, 0.0), (0.0, 1.0)]
    for part in ("train", "validation", "test"):
        assert sum(row[part] for row in rows) == pytest.approx(1)
    assert distribution([], "snr_db", 5) == []
    figures = metrics(report)
    assert figures["noisy"]["duration_s"] == {"p10": 1.9, "p50": 1.9, "p90": 1.9}
    assert figures["clean"]["duration_s"]["p50"] == 0.5
    assert figures["train"]["snr_db"]["p10"] <= figures["train"]["snr_db"]["p90"]


def test_transcripts_are_rewritten_once_and_kept_as_given(raw: Path) -> None:
    (raw / "clean/anna/0.txt").write_text("Um, TWENTY-three [coughs]  pills.")
    (raw / "clean/anna/1.txt").write_text("[laughs]")
    wanted = params().transcripts.model_copy(
        update={"style": "normalised", "numbers": "digits", "case": "lower", "punctuation": "remove", "language": "en"}
    )
    found = {u.source: (u.reference, u.transcript) for u in prepare(raw, transcripts=wanted).utterances}
    assert found["clean/anna/0.wav"] == ("23 pills", "Um, TWENTY-three [coughs] pills.")
    assert found["clean/anna/1.wav"] == (None, "[laughs]")
    assert rejected(raw) == {"clean/anna/1.wav": "transcript_without_words"}


def test_only_the_middle_of_a_padded_clip_is_kept_and_noisy_ones_are_not(raw: Path) -> None:
    rng = np.random.default_rng(0)
    for number, level in ((0, 1e-3), (1, 0.3)):
        content, noise = tone(200 + 40 * number, 1.0), level * rng.standard_normal(2 * RATE)
        record(raw / f"dora/{number}.wav", np.pad(content, RATE // 2) + noise)
    (raw / "list.csv").write_text("audio,speaker,duration\ndora/0.wav,dora,1.0\ndora/1.wav,dora,1.0\nclean/anna/0.wav,anna,n/a\n")
    found = {u.source: u.duration_s for u in prepare(raw, cut_centre=True, min_snr_db=10.0).utterances}
    assert found["dora/0.wav"] == 1.0
    assert found["clean/anna/0.wav"] == 0.5
    assert rejected(raw) == {"dora/1.wav": "too_noisy"}
    prepared = raw.parent / "prepared"
    (kept,) = (Sounds(prepared)[u.id] for u in read_utterances(prepared) if u.source == "dora/0.wav")
    whole, _ = soundfile.read(raw / "dora/0.wav", dtype="float32")
    assert np.allclose(kept, whole[RATE // 2 : RATE // 2 + RATE], atol=1e-4)
    assert {u.duration_s for u in prepare(raw).utterances if u.speaker == "dora"} == {2.0}


def test_classes_are_balanced_on_each_side(raw: Path) -> None:
    rows = ["audio,speaker,label"]
    for person in range(8):
        for number in range(6):
            name = f"p{person}/{number}.wav"
            record(raw / name, np.random.default_rng([person, number]).standard_normal(RATE // 2) / 9)
            rows.append(f"{name},p{person},{'speech' if number < 4 else 'nonspeech'}")
    (raw / "list.csv").write_text("\n".join(rows))
    report = prepare(raw, balance="label", validation_speakers=("p0", "p1"), test_speakers=("p2",))
    sides = {u.split for u in report.utterances}
    assert sides == {"train", "validation", "test"}
    for side in sides:
        labels = [u.tags["label"] for u in report.utterances if u.split == side]
        assert labels.count("speech") == labels.count("nonspeech") > 0
    assert set(rejected(raw).values()) == {"balance"}
    with pytest.raises(DataError, match=r"no list has a column 'sex'; columns are: label"):
        prepare(raw, balance="sex")


def test_flat_folders_may_be_split_in_half(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for n in range(6):
        record(raw / f"p{n}_x.wav", tone(200 + 30 * n))
    record(raw / "noisy/zoe/a.wav", tone(900))
    found = {u.source: u.condition for u in prepare(raw, flat_folders="halves").utterances}
    assert [found[f"p{n}_x.wav"] for n in range(6)] == ["clean"] * 3 + ["noisy"] * 3
    assert found["noisy/zoe/a.wav"] == "noisy"


def test_clipping_and_offset_are_kept_as_columns(raw: Path) -> None:
    record(raw / "dora/loud.wav", np.clip(8 * tone(500), -1, 1))
    record(raw / "dora/shifted.wav", tone(510) + 0.25)
    found = {u.source: (u.clipped_share, u.dc_offset) for u in prepare(raw).utterances}
    assert found["clean/anna/0.wav"] == (0.0, pytest.approx(0.0, abs=0.01))
    assert found["dora/loud.wav"][0] == pytest.approx(0.5, abs=0.3)
    assert found["dora/shifted.wav"][1] == pytest.approx(0.25, abs=0.01)


def test_who_is_in_the_test_folder_is_tested_on_and_nobody_else(raw: Path) -> None:
    record(raw / "test/clean/dora/0.wav", tone(700))
    record(raw / "noisy/dora/1.wav", tone(720))
    found = {u.source: u.split for u in prepare(raw).utterances}
    assert {source for source, split in found.items() if split == "test"} == {"test/clean/dora/0.wav", "noisy/dora/1.wav"}
    with pytest.raises(DataError, match="every speaker"):
        prepare(raw, test_speakers=("anna", "ben", "cleo"))


def test_who_claims_a_tested_sound_later_does_not_take_it_out_of_the_test(raw: Path) -> None:
    record(raw / "clean/zoe/x.wav", tone(777))
    before = {u.source: u.split for u in prepare(raw, test_speakers=("zoe",)).utterances}
    record(raw / "clean/aaron/x.wav", tone(777))
    (raw / "clean/aaron/x.txt").write_text("hello")
    after = {u.source: (u.split, u.reference) for u in prepare(raw, test_speakers=("zoe",)).utterances}
    assert before["clean/zoe/x.wav"] == "test"
    assert after["clean/zoe/x.wav"] == ("test", "hello")
    assert rejected(raw) == {"clean/aaron/x.wav": "duplicate_sound"}


def test_pieces_that_share_seconds_stay_on_the_tested_side_only(raw: Path) -> None:
    record(raw / "day.wav", np.concatenate([tone(300 + 40 * n, 1.0) for n in range(6)]))
    spans = [(0.0, 2.0, "tess"), (1.5, 3.0, "uwe"), (3.0, 4.0, "uwe"), (3.95, 5.0, "tess")]
    rows = (f'{{"audio": "day.wav", "start": {a}, "end": {b}, "speaker": "{who}"}}' for a, b, who in spans)
    (raw / "pieces.jsonl").write_text("\n".join(rows))
    found = prepare(raw, test_speakers=("tess",)).utterances
    assert [(u.start_s, u.split) for u in found if u.source == "day.wav"] == [(0.0, "test"), (3.0, "train"), (3.95, "test")]
    assert rejected(raw) == {"day.wav from 1.5 s to 3 s": "overlap"}


def test_the_very_same_samples_are_one_sound_even_where_no_wave_is_left_to_compare(raw: Path) -> None:
    time_s = np.arange(RATE) / RATE
    for number in range(9):  # all of it above what waves are compared by, more of them than candidates are looked at
        record(raw / f"dora/{number}.wav", 0.3 * np.sin(2 * np.pi * 6500 * time_s))
    utterances = [u for u in prepare(raw).utterances if u.speaker == "dora"]
    assert [u.source for u in utterances] == ["dora/0.wav"]
    assert len(rejected(raw)) == 8


def test_a_long_recording_whose_length_is_listed_is_still_cut_at_pauses(tmp_path: Path) -> None:
    raw, synthesizer, texts = tmp_path / "raw", Synthesizer(), sentences("everyday", 2)
    for who in ("anna", "ben"):
        spoken = [np.pad(synthesizer.speak(next(texts), Voice("en-us+m1", 150, 50), RATE), (0, RATE)) for _ in range(6)]
        record(raw / who / "visit.wav", 0.5 * np.concatenate(spoken))
    (raw / "list.csv").write_text("audio,speaker,duration\nanna/visit.wav,anna,14\nben/visit.wav,ben,14\n")
    found = prepare(raw, cut_centre=True, max_duration_s=6.0, cut_long_to_s=5.0).utterances
    assert len(found) >= 4
    assert all(u.start_s is not None for u in found)


def test_the_middle_of_a_recording_of_any_length_is_found(raw: Path) -> None:
    marked = np.concatenate([tone(300, 20.0), tone(900, 1.0), tone(500, 20.0)])
    record(raw / "dora/0.wav", marked)
    (raw / "list.csv").write_text("audio,speaker,duration\ndora/0.wav,dora,1.0\n")
    (found,) = (u for u in prepare(raw, cut_centre=True).utterances if u.speaker == "dora")
    kept = Sounds(raw.parent / "prepared")[found.id]
    assert np.allclose(kept, marked[20 * RATE : 21 * RATE], atol=1e-3)


def test_unusable_files_of_tested_speakers_cost_only_themselves(raw: Path) -> None:
    record(raw / "test/tess/0.wav", tone(700))
    (raw / "test/zed").mkdir()
    (raw / "test/zed/broken.wav").write_text("no sound")
    assert {u.speaker for u in prepare(raw).utterances if u.split == "test"} == {"tess"}
    assert rejected(raw) == {"test/zed/broken.wav": "not_audio"}


def test_the_detail_of_a_rejection_names_no_other_file_of_the_same_content(raw: Path) -> None:
    for name in ("clean/anna/spoilt.mp3", "clean/ben/worse.mp3"):
        (raw / name).write_bytes(b"no sound" * 50)
        prepare(raw)
    details = [r.detail for r in read_rejected(raw.parent / "prepared")]
    assert len(details) == 2
    assert not any(str(raw) in detail or "spoilt" in detail for detail in details)
