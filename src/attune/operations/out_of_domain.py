"""Reads the out-of-domain set: a folder of recordings with transcripts, in any layout that data/raw may have."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attune.audio import UnusableAudio, read_pieces, sound_digest
from attune.dataset import SAMPLE_RATE_HZ
from attune.errors import DataError
from attune.layouts import Recording, named, take_inventory
from attune.records import Utterance
from attune.text import normalize

_LONGEST_S = 3600.0


@dataclass(frozen=True)
class OtherRecordings:
    """Utterances with references, in the order of their ids, and their sound by id."""

    utterances: tuple[Utterance, ...] = ()
    sounds: "Mapping[str, NDArray[np.float32]] | _Files" = field(default_factory=dict)


def read_out_of_domain(folder: Path, at_most: int, corpus: Collection[str]) -> OtherRecordings:
    """The transcribed recordings of `folder`, at most so many, chosen by a hash of their names; none of an empty folder.

    Ids are of the sound, as in a corpus. `corpus` are the ids that must not be among them. Raises DataError for a
    recording that cannot be read, and for one of the corpus, which would be no other domain.
    """
    if not any(path.name != "README.md" and path.is_file() for path in folder.rglob("*")):
        return OtherRecordings()
    written = [r for r in take_inventory(folder).recordings if r.reference and normalize(r.reference)]
    chosen = sorted(written, key=lambda r: hashlib.sha256(named(r).encode()).hexdigest())[:at_most]
    found = dict[str, tuple[Utterance, Recording]]()
    for recording in chosen:
        utterance = _utterance(recording)
        found[utterance.id] = (utterance, recording)
    known = sorted(utterance.source for name, (utterance, _) in found.items() if name in corpus)
    if known:
        raise DataError(
            f"{len(known)} recordings of {folder} are in data/raw too, first {known[0]}; what must not be forgotten is told by "
            "recordings of another kind, that nothing is learnt from: take them out of one of the two"
        )
    if not found:
        raise DataError(f"{folder} has recordings, but none with a transcript that can be heard; see `attune data check`")
    utterances = tuple(found[name][0] for name in sorted(found))
    return OtherRecordings(utterances, _Files({name: recording for name, (_, recording) in found.items()}))


class _Files:
    """Sound by id, read when it is asked for."""

    def __init__(self, recordings: dict[str, Recording]) -> None:
        self._recordings = recordings

    def __contains__(self, utterance_id: object) -> bool:
        return utterance_id in self._recordings

    def __getitem__(self, utterance_id: str) -> NDArray[np.float32]:
        return _sound(self._recordings[utterance_id])


def _utterance(recording: Recording) -> Utterance:
    samples = _sound(recording)
    digest = sound_digest(samples)
    return Utterance(
        digest[:16], digest, recording.source, recording.speaker, recording.condition or "clean", "test",
        samples.size / SAMPLE_RATE_HZ, recording.snr_db, recording.reference, session=recording.session,
    )  # fmt: skip


def _sound(recording: Recording) -> NDArray[np.float32]:
    (samples,) = read_pieces(recording.path, [(recording.start_s or 0.0, recording.end_s)], _LONGEST_S)
    if isinstance(samples, UnusableAudio):
        raise samples
    return samples
