"""The clips of a file: the whole, the pieces that a list names, or what stands between the pauses of a long recording.

Each is checked, measured and encoded once: what a file gives is kept under the digest of its content, so that a killed
run goes on, and a grown corpus costs what is new. Memory holds the facts of clips, not their sound.
"""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from attune.audio import (
    UnusableAudio,
    check_audible,
    check_length,
    estimate_snr_db,
    read_audio,
    read_pieces,
    sound_digest,
    stream_audio,
)
from attune.dataset import SAMPLE_RATE_HZ, Samples, encode_flac
from attune.doubles import fingerprint
from attune.files import file_digest
from attune.layouts import Recording, named
from attune.params import SplitParams
from attune.progress import track
from attune.records import Rejection
from attune.soundcache import SoundCache
from attune.voice_activity import cut_at_pauses, speech_share
from attune.workcache import WorkCache, digest_of

_METHOD = "clips 7"
_FULL_SCALE = 0.999
_TICK_NS = 2_000_000_000
"""The coarsest clock of a file system: what was written since may be written to again and look the same."""
_MEASURED = ("digest", "duration_s", "speech_share", "level_dbfs", "clipped_share", "dc_offset", "fingerprint")
_DECISIVE = ("min_duration_s", "max_duration_s", "silent_below_dbfs", "cut_long_to_s", "voice_activity")
_WITHOUT_TIMES = "it is cut into pieces, whose words its transcript does not tell; list pieces with start, end and text instead"


@dataclass(frozen=True)
class Clip:
    """A usable recording, or a usable piece of one; its sound stands in the sound cache under `digest`."""

    recording: Recording
    digest: str
    duration_s: float
    snr_db: float
    speech_share: float | None
    level_dbfs: float
    clipped_share: float
    dc_offset: float
    fingerprint: str
    """See `doubles`."""


@dataclass(frozen=True)
class _Outcome:
    """What became of a file or a piece: a clip's facts, or the reason why there is none."""

    piece: int | None = None
    """Which of the pieces that a list names."""
    start_s: float | None = None
    end_s: float | None = None
    """Where a long recording was cut."""
    digest: str = ""
    duration_s: float = 0.0
    snr_db: float = 0.0
    speech_share: float | None = None
    level_dbfs: float = 0.0
    clipped_share: float = 0.0
    dc_offset: float = 0.0
    fingerprint: str = ""
    reason: str = ""
    detail: str = ""


def make_clips(
    recordings: Sequence[Recording], params: SplitParams, cache: WorkCache, sounds: SoundCache
) -> tuple[list[Clip], list[Rejection]]:
    """In the order given, on all cores: decoding, resampling and FLAC release Python's lock. A file's pieces go together."""
    files = [list(group) for _, group in groupby(recordings, key=lambda r: r.source)]
    known = [_remembered(pieces, params, cache, sounds) for pieces in files]  # quicker than threads that wait for each other
    new = [pieces for pieces, outcomes in zip(files, known, strict=True) if outcomes is None]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(partial(_outcomes_of, params=params, cache=cache, sounds=sounds), new)
        try:
            each = track(zip(files, known, strict=True), "recordings", len(files))
            found = [f for pieces, outcomes in each for f in _told(pieces, next(made) if outcomes is None else outcomes, params)]
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    return [f for f in found if isinstance(f, Clip)], [f for f in found if isinstance(f, Rejection)]


def _remembered(pieces: list[Recording], params: SplitParams, cache: WorkCache, sounds: SoundCache) -> list[_Outcome] | None:
    """What an earlier run made of a file that the file system says is unchanged since."""
    state, _ = _state(pieces[0].path)
    content = cache.get_or_none(state) if state else None
    return _revived(cache.get_or_none(_key(content, pieces, params)), sounds) if content else None


def _outcomes_of(pieces: list[Recording], params: SplitParams, cache: WorkCache, sounds: SoundCache) -> list[_Outcome]:
    state, changed_ns = _state(pieces[0].path)
    try:
        content = file_digest(pieces[0].path)
    except OSError:
        return list(_outcomes(pieces, params, sounds))  # decoding says why
    key = _key(content, pieces, params)
    outcomes = _revived(cache.get_or_none(key), sounds)
    remembered: dict[str, Any] = {}
    if outcomes is None:
        outcomes = list(_outcomes(pieces, params, sounds))
        remembered[key] = [asdict(outcome) for outcome in outcomes]
    if state and time.time_ns() - changed_ns > _TICK_NS:
        remembered[state] = content
    cache.put(remembered)
    return outcomes


def _key(content: str, pieces: list[Recording], params: SplitParams) -> str:
    spans = [(p.start_s, p.end_s, _centre_s(p, params)) for p in pieces]
    return digest_of(_METHOD, content, spans, [getattr(params, name) for name in _DECISIVE])


def _state(path: Path) -> tuple[str | None, int]:
    """A key for the content that a file has for as long as the file system says so, and when that was last changed, in ns."""
    try:
        told = path.stat()
    except OSError:
        return None, 0
    return digest_of(
        "state of a file", path.absolute(), told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns
    ), told.st_ctime_ns


def _outcomes(pieces: list[Recording], params: SplitParams, sounds: SoundCache) -> Iterator[_Outcome]:
    path, listed = pieces[0].path, pieces[0].start_s is not None
    if listed:
        found = read_pieces(path, [(p.start_s or 0.0, p.end_s) for p in pieces], params.max_duration_s)
        for number, samples in enumerate(found):
            yield replace(_measured(path, samples, params, sounds), piece=number)
        return
    centre_s = _centre_s(pieces[0], params)
    try:
        samples = _middle(path, centre_s) if centre_s else read_audio(path, params.max_duration_s)
        yield _measured(path, samples, params, sounds)
    except UnusableAudio as fault:
        if fault.reason != "too_long" or params.cut_long_to_s is None:
            yield _Outcome(reason=fault.reason, detail=fault.detail)
        else:
            yield from _cut(path, params, params.cut_long_to_s, sounds)


def _cut(path: Path, params: SplitParams, longest_s: float, sounds: SoundCache) -> Iterator[_Outcome]:
    nothing = True
    try:
        for piece in cut_at_pauses(stream_audio(path), longest_s):
            start_s, end_s = round(piece.start_s, 3), round(piece.start_s + piece.samples.size / SAMPLE_RATE_HZ, 3)
            yield replace(_measured(path, piece.samples, params, sounds), start_s=start_s, end_s=end_s)
            nothing = False
    except UnusableAudio as fault:
        yield _Outcome(reason=fault.reason, detail=fault.detail)
        nothing = False
    if nothing:
        yield _Outcome(reason="no_speech", detail="nobody speaks in it")


def _measured(path: Path, samples: Samples | UnusableAudio, params: SplitParams, sounds: SoundCache) -> _Outcome:
    try:
        if isinstance(samples, UnusableAudio):
            raise samples
        level_dbfs = check_audible(path, samples, params.min_duration_s, params.silent_below_dbfs)
        check_length(path, samples, params.max_duration_s)
    except UnusableAudio as fault:
        return _Outcome(reason=fault.reason, detail=fault.detail)
    digest = sound_digest(samples)
    sounds.put(digest, encode_flac(samples))
    return _Outcome(
        digest=digest,
        duration_s=round(samples.size / SAMPLE_RATE_HZ, 4),
        snr_db=round(estimate_snr_db(samples), 1),
        speech_share=round(speech_share(samples), 3) if params.voice_activity else None,
        level_dbfs=round(level_dbfs, 1),
        clipped_share=round(float(np.mean(np.abs(samples) >= _FULL_SCALE)), 6),
        dc_offset=round(float(samples.mean()), 6),
        fingerprint=fingerprint(samples),
    )


def _middle(path: Path, wanted_s: float) -> Samples | UnusableAudio:
    """So many seconds from the middle of a recording of any length; all of it where it is shorter. Raises UnusableAudio."""
    length_s = sum(block.size for block in stream_audio(path)) / SAMPLE_RATE_HZ
    before_s = max(0.0, (length_s - wanted_s) / 2)
    (samples,) = read_pieces(path, [(before_s, before_s + wanted_s if before_s else None)], wanted_s + 1)
    return samples


def _centre_s(recording: Recording, params: SplitParams) -> float | None:
    """How much of its middle is wanted; None for all, also where that is too much for a clip and is cut at pauses."""
    wanted_s = recording.content_s if params.cut_centre and recording.start_s is None else None
    return wanted_s if wanted_s is not None and wanted_s <= params.max_duration_s else None


def _told(pieces: list[Recording], outcomes: Sequence[_Outcome], params: SplitParams) -> Iterator[Clip | Rejection]:
    """What the lists say, put to what was found. Nobody knows which words belong to which part of a cut recording."""
    for outcome in outcomes:
        recording = pieces[outcome.piece or 0]
        if outcome.start_s is not None:
            recording = replace(recording, start_s=outcome.start_s, end_s=outcome.end_s, reference=None)
        if outcome.reason:
            yield Rejection(named(recording), outcome.reason, outcome.detail)
        else:
            snr_db = outcome.snr_db if recording.snr_db is None else recording.snr_db
            facts = {name: getattr(outcome, name) for name in _MEASURED}
            clip = Clip(recording=recording, snr_db=snr_db, **facts)
            yield _unwanted(clip, params) or clip
    if pieces[0].reference is not None and any(o.start_s is not None for o in outcomes):
        yield Rejection(pieces[0].source, "transcript_without_times", _WITHOUT_TIMES)


def _unwanted(clip: Clip, params: SplitParams) -> Rejection | None:
    """Why a sound clip is not wanted, cheap to decide anew from what was measured."""
    name, share, least_db = named(clip.recording), clip.speech_share, params.min_snr_db
    if share is not None and share < params.min_speech_share:
        return Rejection(name, "little_speech", f"{share:.0%} of it is speech; {params.min_speech_share:.0%} are wanted")
    if least_db is not None and clip.snr_db < least_db:
        return Rejection(name, "too_noisy", f"has an SNR of {clip.snr_db:.1f} dB; {least_db:g} dB are wanted")
    return None


def _revived(value: Any, sounds: SoundCache) -> list[_Outcome] | None:
    """Cached outcomes; None for anything that does not look like them, or whose sound is gone."""
    try:
        outcomes = [_Outcome(**outcome) for outcome in value]
    except TypeError:
        return None
    return outcomes if all(outcome.reason or outcome.digest in sounds for outcome in outcomes) else None
