"""The out-of-domain set is read as data/raw is, and holds nothing of the corpus."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_models

from attune.audio import UnusableAudio, read_audio, sound_digest
from attune.errors import DataError
from attune.operations.out_of_domain import OtherRecordings, read_out_of_domain


def put(folder: Path, name: str, seed: int, text: str | None = "a fever") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tiny_models.speech(1.0, seed), 16_000, subtype="PCM_16")
    if text is not None:
        path.with_suffix(".txt").write_text(text)
    return path


def test_an_empty_folder_and_none_at_all_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("what belongs here")
    assert read_out_of_domain(tmp_path, 10, ()) == OtherRecordings()
    assert read_out_of_domain(tmp_path / "none", 10, ()) == OtherRecordings()


def test_recordings_with_a_transcript_are_read_from_any_layout(tmp_path: Path) -> None:
    told = put(tmp_path, "clean/anna/1.wav", 1)
    put(tmp_path, "clean/anna/2.wav", 2, text=None)
    put(tmp_path, "listed/3.wav", 3, text=None)
    (tmp_path / "metadata.csv").write_text("audio,text\nlisted/3.wav,a cough\n")
    held = read_out_of_domain(tmp_path, 10, ())
    assert sorted(u.reference or "" for u in held.utterances) == ["a cough", "a fever"]
    (utterance,) = (u for u in held.utterances if u.reference == "a fever")
    assert utterance.id == sound_digest(read_audio(told))[:16]
    assert (utterance.duration_s, utterance.speaker, utterance.source) == (1.0, "anna", "clean/anna/1.wav")
    assert np.array_equal(held.sounds[utterance.id], read_audio(told))


def test_the_same_ones_are_chosen_where_there_are_too_many_and_more_are_added(tmp_path: Path) -> None:
    for number in range(8):
        put(tmp_path, f"ann/{number}.wav", number)
    some = read_out_of_domain(tmp_path, 4, ())
    assert len(some.utterances) == 4
    assert {u.id for u in some.utterances} < {u.id for u in read_out_of_domain(tmp_path, 8, ()).utterances}


def test_what_is_in_the_corpus_is_no_other_domain(tmp_path: Path) -> None:
    path = put(tmp_path, "ann/1.wav", 1)
    with pytest.raises(DataError, match=r"1 recordings of .* are in data/raw too, first ann/1\.wav"):
        read_out_of_domain(tmp_path, 10, {sound_digest(read_audio(path))[:16]})


def test_a_set_that_cannot_be_heard_is_not_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "ann/1.wav", 1, text=None)
    with pytest.raises(DataError, match="none with a transcript"):
        read_out_of_domain(tmp_path, 10, ())
    path = put(tmp_path, "ann/2.wav", 2)
    path.write_bytes(b"RIFF and no more")
    with pytest.raises(UnusableAudio, match=r"2\.wav"):
        read_out_of_domain(tmp_path, 10, ())
