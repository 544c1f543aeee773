"""Clips with labels become a corpus: from a list or from folders, with W4's lists beside it, or with a reason why not."""

import csv
from pathlib import Path
from typing import Any

import pytest
import soundfile
from detection_parts import detection_params, sound

from attune.dataset import read_rejected, read_utterances
from attune.errors import DataError
from attune.tasks.speech_detection.split_clean_noisy.answer import prepare

_SPEAKERS = 6


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))


def _write(folder: Path, name: str, seed: int, seconds: float = 2.0) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / name, sound(seconds, seed, 100.0 + 37 * seed), 16_000)


def _listed(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Clips and their metadata.csv."""
    for number, row in enumerate(rows):
        _write(folder, row["path"], number)
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "snr_db", "duration", "speaker"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def _rows(each: int = 2) -> list[dict[str, Any]]:
    return [
        {"path": f"{label}-{s}-{n}.wav", "label": label, "snr_db": 12, "duration": 1.0, "speaker": f"s{s}"}
        for s in range(_SPEAKERS)
        for n in range(each)
        for label in ("SPEECH", "NONSPEECH")
    ]


def _prepare(tmp_path: Path, **split: Any) -> list[Any]:
    wanted = {"voice_activity": False, "duplicates": "keep", "shares": {"train": 0.5, "validation": 0.2, "test": 0.3}, **split}
    prepare(tmp_path / "raw", tmp_path / "prepared", detection_params("base", split_clean_noisy=wanted))
    return read_utterances(tmp_path / "prepared")


def test_labels_become_references_and_lists_for_other_tools_stand_beside(tmp_path: Path) -> None:
    _listed(tmp_path / "raw", _rows())
    utterances = _prepare(tmp_path)
    assert {u.reference for u in utterances} == {"SPEECH", "NONSPEECH"}
    for side in ("train", "test"):
        with (tmp_path / "prepared" / f"{side}_metadata.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert {row["id"] for row in rows} == {u.id for u in utterances if u.split == side}
        assert {"path", "label", "snr_db", "duration"} <= rows[0].keys()
    with (tmp_path / "prepared" / "metadata.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(utterances)


def test_no_speaker_or_source_is_on_two_sides(tmp_path: Path) -> None:
    _listed(tmp_path / "raw", _rows())
    sides: dict[str, set[str]] = {}
    for utterance in _prepare(tmp_path):
        sides.setdefault(utterance.speaker, set()).add(utterance.split)
    assert len(sides) == _SPEAKERS
    assert all(len(some) == 1 for some in sides.values())


def test_the_centre_is_cut_out_of_its_padding_and_low_snr_is_left_out(tmp_path: Path) -> None:
    rows = _rows()
    rows[0] |= {"snr_db": 5}
    _listed(tmp_path / "raw", rows)
    utterances = _prepare(tmp_path, cut_centre=True, min_snr_db=10.0)
    assert {u.duration_s for u in utterances} == {1.0}
    assert [r.reason for r in read_rejected(tmp_path / "prepared")].count("too_noisy") == 1


def test_classes_are_balanced_on_each_side(tmp_path: Path) -> None:
    rows = [row for row in _rows(3) if row["label"] == "SPEECH" or row["path"].endswith("-0.wav")]
    _listed(tmp_path / "raw", rows)
    counts: dict[tuple[str, str | None], int] = {}
    for utterance in _prepare(tmp_path, balance="label"):
        counts[utterance.split, utterance.reference] = counts.get((utterance.split, utterance.reference), 0) + 1
    assert all(counts[side, "SPEECH"] == counts[side, "NONSPEECH"] for side in ("train", "test"))


def test_folders_tell_labels_and_speakers(tmp_path: Path) -> None:
    for number in range(_SPEAKERS * 2):
        _write(tmp_path / "raw", f"{'speech' if number % 2 else 'nonspeech'}/who{number // 2}/{number}.wav", number)
    utterances = _prepare(tmp_path)
    assert {u.speaker for u in utterances} == {f"who{n}" for n in range(_SPEAKERS)}
    assert all(u.reference == u.source.split("/")[0].upper() for u in utterances)


def test_misspelt_labels_are_listed_with_their_counts(tmp_path: Path) -> None:
    rows = _rows()
    for row in rows[:3]:
        row["label"] = "SPECH"
    rows[3]["label"] = "noise"
    _listed(tmp_path / "raw", rows)
    with pytest.raises(DataError, match=r"4 of 24 clips have others: 'SPECH' 3 times, 'noise' 1 times"):
        _prepare(tmp_path)


def test_a_row_that_gives_a_clip_the_other_label_is_a_named_rejection(tmp_path: Path) -> None:
    rows = _rows()
    again = [{**rows[0], "label": "speech"}, {**rows[1], "label": "SPEECH"}]
    _listed(tmp_path / "raw", [*rows, *again])
    utterances = _prepare(tmp_path)
    assert {u.source: u.reference for u in utterances if u.source == rows[1]["path"]} == {rows[1]["path"]: "NONSPEECH"}
    told = {r.source: r.detail for r in read_rejected(tmp_path / "prepared") if r.reason == "listed_twice"}
    assert told == {f"metadata.csv:{len(rows) + 3}": f"says other than metadata.csv:3 of {rows[1]['path']!r}"}


def test_one_class_alone_is_an_error(tmp_path: Path) -> None:
    _listed(tmp_path / "raw", [row for row in _rows() if row["label"] == "SPEECH"])
    with pytest.raises(DataError, match=r"has no NONSPEECH clips \(it has 12 SPEECH\)"):
        _prepare(tmp_path)


def test_a_class_that_one_side_lacks_is_an_error(tmp_path: Path) -> None:
    rows = _rows()
    for row in rows:
        row["speaker"] = row["label"]
    _listed(tmp_path / "raw", rows)
    with pytest.raises(DataError, match=r"the (train|test) side has no (NON)?SPEECH clips"):
        _prepare(tmp_path)


def test_a_snr_that_is_no_number_is_a_named_rejection(tmp_path: Path) -> None:
    rows = _rows()
    rows[0]["snr_db"] = "NaN"
    _listed(tmp_path / "raw", rows)
    assert len(_prepare(tmp_path)) == len(rows) - 1
    rejected = {r.reason: r for r in read_rejected(tmp_path / "prepared")}
    assert "snr_db" in rejected["malformed_line"].detail
    assert "NaN" in rejected["malformed_line"].detail
    assert rejected["unread_row"].source == rows[0]["path"]


def test_a_clip_whose_snr_is_no_number_is_left_out_where_its_folder_tells_a_label_too(tmp_path: Path) -> None:
    """Else it would be heard with its padding, at an SNR that is guessed, as whoever its folder names."""
    rows = [row | {"path": f"{row['label'].lower()}/{row['path']}"} for row in _rows()]
    rows[0]["snr_db"] = "NaN"
    _listed(tmp_path / "raw", rows)
    utterances = _prepare(tmp_path, cut_centre=True)
    assert {u.source for u in utterances} == {row["path"] for row in rows[1:]}
    assert {u.duration_s for u in utterances} == {1.0}
    assert [r.source for r in read_rejected(tmp_path / "prepared") if r.reason == "unread_row"] == [rows[0]["path"]]


def test_no_clip_is_used_where_every_snr_is_no_number(tmp_path: Path) -> None:
    rows = [row | {"path": f"{row['label'].lower()}/{row['path']}", "snr_db": "nan"} for row in _rows()]
    _listed(tmp_path / "raw", rows)
    with pytest.raises(DataError, match=r"has no recordings .* rejected, first .*snr_db or snr must be a number"):
        _prepare(tmp_path)


def test_clips_too_short_after_cutting_are_named_rejections(tmp_path: Path) -> None:
    rows = _rows()
    rows[0]["duration"] = 0.3
    _listed(tmp_path / "raw", rows)
    assert len(_prepare(tmp_path, cut_centre=True, min_duration_s=0.5)) == len(rows) - 1
    (rejected,) = [r for r in read_rejected(tmp_path / "prepared") if r.reason == "too_short"]
    assert rows[0]["path"] in rejected.source


def test_clips_without_a_label_are_an_error(tmp_path: Path) -> None:
    for number in range(4):
        _write(tmp_path / "raw", f"s{number}/{number}.wav", number)
    with pytest.raises(DataError, match="none of the 4 clips has a label"):
        _prepare(tmp_path)
