"""The prepared corpus is what was put in, in few files that change little."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attune import dataset
from attune.dataset import Sounds, encode_flac, read_rejected, read_utterances, write_corpus
from attune.errors import DataError
from attune.records import Rejection, Utterance


def utterance(name: str, speaker: str) -> Utterance:
    return Utterance(name, name * 4, f"{speaker}/{name}.wav", speaker, "clean", "train", 1.0, None, "a text\nwith 'ümläuts'")


def samples(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, 1600).astype(np.float32) / 32768


def write(folder: Path, speakers: list[str]) -> list[Utterance]:
    folder.mkdir()
    utterances = [utterance(f"{speaker}{n}", speaker) for speaker in speakers for n in range(3)]
    write_corpus(folder, reversed(utterances), {u.id: encode_flac(samples(hash(u.id) % 99)) for u in utterances}, [])
    return utterances


def test_flac_keeps_16_bit_samples_exactly(tmp_path: Path) -> None:
    write_corpus(tmp_path, [utterance("a", "anna")], {"a": encode_flac(samples(1))}, [])
    read = Sounds(tmp_path)["a"]
    assert read.dtype == np.float32
    assert np.array_equal(read, samples(1))


def test_lists_come_back_sorted_by_source(tmp_path: Path) -> None:
    utterances = write(tmp_path / "c", ["ben", "anna"])
    assert read_utterances(tmp_path / "c") == sorted(utterances, key=lambda u: u.source)


def test_rejections_come_back_sorted(tmp_path: Path) -> None:
    two = [Rejection("b.wav", "silent", "is silent"), Rejection("a.wav", "nan", "has NaN")]
    write_corpus(tmp_path, [], {}, two)
    assert read_rejected(tmp_path) == two[::-1]


def test_ten_more_clips_of_one_speaker_change_one_shard(tmp_path: Path) -> None:
    people = [f"person {n}" for n in range(12)]
    write(tmp_path / "before", people)
    write(tmp_path / "after", [*people, "somebody new"])
    before, after = ({p.name: p.read_bytes() for p in (tmp_path / c).glob("*.parquet")} for c in ("before", "after"))
    assert len(before) > 3
    assert sum(before.get(name) != content for name, content in after.items()) == 1


def test_any_parquet_reader_gets_at_the_sound(tmp_path: Path) -> None:
    write(tmp_path / "c", ["anna"])
    (shard,) = (tmp_path / "c").glob("*.parquet")
    table = pq.read_table(shard)
    assert table.column_names == ["id", "audio"]
    assert table["audio"][0].as_py()[:4] == b"fLaC"


def test_an_unknown_id_says_which_stage_to_run(tmp_path: Path) -> None:
    write(tmp_path / "c", ["anna"])
    with pytest.raises(DataError, match=r"nobody.*dvc repro split_clean_noisy"):
        Sounds(tmp_path / "c")["nobody"]


def test_a_shard_of_more_than_an_hour_is_parted_and_the_others_stay(tmp_path: Path) -> None:
    people = [f"person {n}" for n in range(12)]
    write(tmp_path / "before", people)
    (tmp_path / "after").mkdir()
    long = [replace(utterance(f"long{n}", "person 3"), duration_s=600.0) for n in range(20)]
    utterances = [utterance(f"{speaker}{n}", speaker) for speaker in people for n in range(3)]
    flac = {u.id: encode_flac(samples(hash(u.id) % 99)) for u in [*utterances, *long]}
    write_corpus(tmp_path / "after", [*utterances, *long], flac, [])
    before, after = ({p.name: p.read_bytes() for p in (tmp_path / c).glob("*.parquet")} for c in ("before", "after"))
    assert len(before.keys() - after.keys()) == 1
    assert all(after[name] == content for name, content in before.items() if name in after)
    by_id = {u.id: u.duration_s for u in [*utterances, *long]}
    for shard in (tmp_path / "after").glob("*.parquet"):
        assert sum(by_id[i] for i in pq.read_table(shard)["id"].to_pylist()) <= 3600
    assert len(Sounds(tmp_path / "after")["long7"]) == 1600


def test_memory_does_not_grow_with_the_number_of_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_KEPT_BYTES", 4_000_000)
    utterances = [utterance(f"u{n}", f"person {n % 7}") for n in range(1200)]
    sound = {u.id: encode_flac(np.tile(samples(n), 10)) for n, u in enumerate(utterances)}
    write_corpus(tmp_path, utterances, sound, [])
    before, sounds = pa.total_allocated_bytes(), Sounds(tmp_path)
    for n in np.random.default_rng(0).permutation(1200):
        assert np.array_equal(sounds[f"u{n}"][:1600], samples(int(n)))
    assert sum(map(len, sound.values())) > 20e6
    assert pa.total_allocated_bytes() - before < 8e6
