"""A thousand damaged recordings and hundreds of damaged lists: none crashes the intake, none loses a good one, each is told."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from shipped import split_params

from attune.dataset import read_rejected, read_utterances
from attune.intake import prepare_corpus
from attune.soundcache import SoundCache
from attune.workcache import WorkCache

RATE = 16_000
_FORMATS = ("wav", "flac", "ogg", "mp3")
_PER_FORMAT = 260


def sound(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pitch_hz = np.repeat(rng.uniform(100, 2000, 8), RATE // 10)
    return (0.3 * np.sin(2 * np.pi * np.cumsum(pitch_hz) / RATE) + 0.01 * rng.standard_normal(pitch_hz.size)).astype(np.float32)


def damages(whole: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    """Endless ways to spoil a file: flipped bytes, lost ends and beginnings, lying headers, absurd rates and sizes, bombs."""
    while True:
        spoilt = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 200), int(rng.integers(1, 12))):
            spoilt[place] = int(rng.integers(256))
        yield bytes(spoilt)
        yield whole[: int(rng.integers(1, len(whole)))]
        yield whole[int(rng.integers(1, 60)) :]
        spoilt = bytearray(whole)
        for place in rng.integers(0, len(whole), 40):
            spoilt[place] ^= 1 << int(rng.integers(8))
        yield bytes(spoilt)
        place = int(rng.integers(4, 48))
        yield whole[:place] + struct.pack("<I", int(rng.choice([0, 1, 2**31 - 1, 2**32 - 1]))) + whole[place + 4 :]
        yield b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + whole
        yield whole[:4] + b"\x04\xff\xff\xff" + whole[8:]
        yield rng.bytes(int(rng.integers(1, 4000)))
        yield whole + rng.bytes(500)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Ten good recordings of two speakers."""
    for number in range(10):
        path = tmp_path / "raw" / f"clean/{'ab'[number % 2]}/good-{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound(number), RATE)
    return tmp_path / "raw"


def prepare(raw: Path) -> None:
    cache = WorkCache(raw.parent / "cache")
    params = split_params(min_duration_s=0.1, cut_long_to_s=None)
    prepare_corpus(raw, raw.parent / "prepared", params, cache, SoundCache(raw.parent / "sounds"))
    cache.close()


def kept_and_told(raw: Path) -> tuple[set[str], set[str]]:
    prepared = raw.parent / "prepared"
    return {u.source for u in read_utterances(prepared)}, {r.source for r in read_rejected(prepared)}


def test_no_damaged_recording_crashes_hangs_or_goes_unmentioned(raw: Path) -> None:
    rng = np.random.default_rng(0)
    spoilt = []
    for kind in _FORMATS:
        soundfile.write(raw / f"whole.{kind}", sound(100), RATE)
        whole = (raw / f"whole.{kind}").read_bytes()
        (raw / f"whole.{kind}").unlink()
        for number, content in zip(range(_PER_FORMAT), damages(whole, rng), strict=False):
            path = raw / "noisy" / "ab"[number % 2] / f"bad-{number}.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            spoilt.append(path.relative_to(raw).as_posix())
    prepare(raw)
    kept, told = kept_and_told(raw)
    assert len(spoilt) > 1000
    assert {source for source in kept if "good" in source} == {f"clean/{'ab'[n % 2]}/good-{n}.wav" for n in range(10)}
    assert kept | told >= set(spoilt)
    assert not kept & told
    assert len(told) > len(spoilt) / 2
    assert {path.name for path in raw.parent.iterdir()} == {"raw", "prepared", "cache", "sounds"}


def test_no_damaged_list_crashes_or_loses_what_is_good(raw: Path) -> None:
    rng = np.random.default_rng(1)
    names = [(f"clean/{'ab'[n % 2]}/good-{n}.wav", "ab"[n % 2]) for n in range(10)]
    rows = [{"audio": audio, "text": "good", "speaker": speaker} for audio, speaker in names]
    outside = [{"audio": "../../etc/passwd", "text": "x"}, {"audio": "/etc/passwd", "text": "x"}]
    table = "audio,text,speaker\n" + "".join(f'{audio},"line\nbreak",{speaker}\n' for audio, speaker in names)
    sources = {
        "manifest.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "metadata.csv": table,
        "other.tsv": table.replace(",", "\t"),
        "export.json": json.dumps([*rows, *outside, 7, None]),
    }
    number = 0
    for name, content in sources.items():
        for spoilt in (c for _, c in zip(range(60), damages(("\ufeff" + content).encode(), rng), strict=False)):
            folder = raw / f"lists/{number}"
            folder.mkdir(parents=True)
            (folder / name).write_bytes(spoilt)
            number += 1
    prepare(raw)
    kept, _ = kept_and_told(raw)
    assert kept == {f"clean/{'ab'[n % 2]}/good-{n}.wav" for n in range(10)}
    assert {path.name for path in raw.parent.iterdir()} == {"raw", "prepared", "cache", "sounds"}
