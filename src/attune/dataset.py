"""The prepared corpus: `utterances.jsonl`, and the sound as FLAC inside Parquet shards.

Ten thousand clips are a few files for DVC, and any Parquet reader gets at them. A shard holds the recordings of
some speakers, chosen by a hash of the speaker's name, so that one more speaker changes one shard.
"""

import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from numpy.typing import NDArray

from attune.errors import DataError
from attune.files import read_jsonl, write_jsonl
from attune.records import Rejection, Utterance

SAMPLE_RATE_HZ = 16_000
_SHARDS = 8
_ROW_GROUP = 64
UTTERANCES, _REJECTED = "utterances.jsonl", "rejected.jsonl"

Samples = NDArray[np.float32]


def encode_flac(samples: Samples) -> bytes:
    """16 kHz mono samples in [-1, 1] as the bytes of a 16-bit FLAC file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def write_corpus(folder: Path, utterances: Iterable[Utterance], flac: Mapping[str, bytes], rejected: Iterable[Rejection]) -> None:
    """Writes the lists, sorted, and the shards. `flac` maps utterance ids to encoded sound."""
    ordered = sorted(utterances, key=lambda u: (u.source, u.id))
    write_jsonl(folder / UTTERANCES, ordered)
    write_jsonl(folder / _REJECTED, sorted(rejected, key=lambda r: (r.source, r.reason)))
    for shard in range(_SHARDS):
        rows = [u for u in ordered if _shard_of(u.speaker) == shard]
        if rows:
            table = pa.table({"id": [u.id for u in rows], "audio": pa.array([flac[u.id] for u in rows], pa.binary())})
            pq.write_table(table, folder / f"audio-{shard:02d}.parquet", row_group_size=_ROW_GROUP, compression="none")


def read_utterances(folder: Path) -> list[Utterance]:
    """Every utterance of a prepared corpus, ordered by source."""
    return read_jsonl(folder / UTTERANCES, Utterance)


def read_rejected(folder: Path) -> list[Rejection]:
    """Everything the split refused, with the reasons."""
    return read_jsonl(folder / _REJECTED, Rejection)


class Sounds:
    """The recordings of a prepared corpus by utterance id; encoded sound stays in memory, samples are decoded on demand."""

    def __init__(self, folder: Path) -> None:
        self._flac: dict[str, bytes] = {}
        for shard in sorted(folder.glob("audio-*.parquet")):
            table = pq.read_table(shard)
            self._flac.update(zip(table["id"].to_pylist(), table["audio"].to_pylist(), strict=True))
        self._folder = folder

    def __getitem__(self, utterance_id: str) -> Samples:
        """Float32 samples in [-1, 1] at 16 kHz, shape (time,). Raises DataError for an id that is not there."""
        if utterance_id not in self._flac:
            raise DataError(f"{self._folder} has no sound for utterance {utterance_id}; run: dvc repro split_clean_noisy")
        samples, _ = soundfile.read(io.BytesIO(self._flac[utterance_id]), dtype="float32")
        return np.asarray(samples, dtype=np.float32)


def _shard_of(speaker: str) -> int:
    return hashlib.sha256(speaker.encode()).digest()[0] % _SHARDS
