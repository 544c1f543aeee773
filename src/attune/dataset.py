"""The prepared corpus: `utterances.jsonl`, and the sound as FLAC inside Parquet shards.

Ten thousand clips are a few files for DVC, and any Parquet reader gets at them. A shard holds the recordings of
some speakers, chosen by a hash of the speaker's name, so that one more speaker changes one shard; where that would
hold more than an hour (about 60 MB), it is parted in two.
"""

import hashlib
import io
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from numpy.typing import NDArray

from attune.errors import DataError
from attune.files import read_jsonl, write_jsonl
from attune.records import Rejection, Utterance

SAMPLE_RATE_HZ = 16_000
_SHARD_S = 3600
_FIRST_BITS = 3
_HASH_BITS = 16
_ROW_GROUP = 16
_KEPT_BYTES = 1 << 27
"""Of FLAC, the sound of two hours: clips are asked for by their length or by chance, and each is read with 15 others."""
_AS_IT_IS: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
"""FLAC is as small as it gets, and no two clips are equal."""
_SCHEMA = pa.schema([("id", pa.string()), ("audio", pa.binary())])
UTTERANCES, _REJECTED = "utterances.jsonl", "rejected.jsonl"

Samples = NDArray[np.float32]


def encode_flac(samples: Samples) -> bytes:
    """16 kHz mono samples in [-1, 1] as the bytes of a 16-bit FLAC file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decode_flac(flac: bytes) -> Samples:
    """The samples again: float32, shape (time,)."""
    samples, _ = soundfile.read(io.BytesIO(flac), dtype="float32")
    return np.asarray(samples, dtype=np.float32)


class Encoded(Protocol):
    """FLAC by utterance id."""

    def __getitem__(self, utterance_id: str, /) -> bytes: ...


def write_corpus(folder: Path, utterances: Iterable[Utterance], flac: Encoded, rejected: Iterable[Rejection]) -> None:
    """Writes the lists, sorted, and the shards, a few clips in memory at a time."""
    ordered = sorted(utterances, key=lambda u: (u.source, u.start_s or 0.0, u.id))
    write_jsonl(folder / UTTERANCES, ordered)
    write_jsonl(folder / _REJECTED, sorted(rejected, key=lambda r: (r.source, r.reason)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(partial(_write_shard, folder, flac), _shards(ordered, "")):
            pass


def _write_shard(folder: Path, flac: Encoded, shard: tuple[str, list[Utterance]]) -> None:
    name, rows = shard
    with pq.ParquetWriter(folder / f"audio-{name}.parquet", _SCHEMA, **_AS_IT_IS) as writer:
        for start in range(0, len(rows), _ROW_GROUP):
            group = rows[start : start + _ROW_GROUP]
            columns = {"id": [u.id for u in group], "audio": [flac[u.id] for u in group]}
            writer.write_table(pa.table(columns, schema=_SCHEMA))


def _shards(rows: list[Utterance], prefix: str) -> Iterator[tuple[str, list[Utterance]]]:
    """The rows whose hash bits begin with `prefix`, parted by the next bit as long as they are too much for one file.

    The speaker's bits come first, then the utterance's, so that what is new changes the shards of its speaker only.
    """
    much = len(rows) > 1 and sum(u.duration_s for u in rows) > _SHARD_S
    if rows and len(prefix) >= _FIRST_BITS and (not much or len(prefix) == 2 * _HASH_BITS):
        yield prefix, rows
    elif rows:
        for bit in "01":
            yield from _shards([u for u in rows if _bits(u)[len(prefix)] == bit], prefix + bit)


def _bits(utterance: Utterance) -> str:
    hashed = (hashlib.sha256(name.encode()).digest() for name in (utterance.speaker, utterance.id))
    return "".join(f"{int.from_bytes(digest[:2], 'big'):0{_HASH_BITS}b}" for digest in hashed)


def read_utterances(folder: Path) -> list[Utterance]:
    """Every utterance of a prepared corpus, ordered by source."""
    return read_jsonl(folder / UTTERANCES, Utterance)


def read_rejected(folder: Path) -> list[Rejection]:
    """Everything the split refused, with the reasons."""
    return read_jsonl(folder / _REJECTED, Rejection)


class Sounds:
    """The recordings of a prepared corpus by utterance id, read and decoded on demand; of what was read, 128 MB are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, Lock()
        self._shards = [pq.ParquetFile(shard) for shard in sorted(folder.glob("audio-*.parquet"))]
        self._places = {name: place for number in range(len(self._shards)) for name, place in self._ids(number)}
        self._recent: OrderedDict[tuple[int, int], pa.ChunkedArray] = OrderedDict()
        self._kept = 0

    def __getitem__(self, utterance_id: str) -> Samples:
        """Float32 samples in [-1, 1] at 16 kHz, shape (time,). Raises DataError for an id that is not there."""
        if utterance_id not in self._places:
            raise DataError(f"{self._folder} has no sound for utterance {utterance_id}; run: dvc repro split_clean_noisy")
        shard, group, row = self._places[utterance_id]
        with self._lock:
            flac = self._group(shard, group)[row].as_py()
        return decode_flac(flac)

    def _ids(self, number: int) -> Iterator[tuple[str, tuple[int, int, int]]]:
        """Each id of a shard with the number of the shard, of the row group in it, and of the row in that."""
        shard, names = self._shards[number], iter(self._shards[number].read(["id"], use_threads=False)["id"].to_pylist())
        for group in range(shard.num_row_groups):
            for row in range(shard.metadata.row_group(group).num_rows):
                yield next(names), (number, group, row)

    def _group(self, shard: int, group: int) -> pa.ChunkedArray:
        if (shard, group) not in self._recent:
            table = self._shards[shard].read_row_group(group, ["audio"], use_threads=False)  # loaders fork
            self._recent[shard, group] = table["audio"]
            self._kept += table.nbytes
            while self._kept > _KEPT_BYTES and len(self._recent) > 1:
                self._kept -= self._recent.popitem(last=False)[1].nbytes
        return self._recent[shard, group]
