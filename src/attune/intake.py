"""Intake: any honest folder of recordings becomes the prepared corpus, or every file of it a named reason why not.

`layouts` says what there is, `audio` decodes, `splitting` decides the sides; here they are put together, the same sound
is kept once, and the corpus is written whole or not at all.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from attune import splitting
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
from attune.dataset import SAMPLE_RATE_HZ, Samples, encode_flac, write_corpus
from attune.errors import DataError
from attune.files import whole_folder
from attune.layouts import Inventory, Recording, named, take_inventory
from attune.params import SplitParams
from attune.progress import track
from attune.records import Condition, Rejection, Split, Utterance
from attune.voice_activity import cut_at_pauses, speech_share

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_CONDITIONS: tuple[Condition, ...] = ("clean", "noisy")
_GUESSED_NAMES = "speaker names of {} recording(s) were guessed from file names; where these name no people, "
_WITHOUT_TIMES = "it is cut into pieces, whose words its transcript does not tell; list pieces with start, end and text instead"
_BY_SESSION = "{} recording(s) name no speaker and are dealt by session; where one person is in several sessions, "
_BY_FILE = "{} recording(s) name no speaker and are dealt by file; where one person is in several files, "
_NAME_SPEAKERS = "held-out scores are too good: use a folder for each person, or a manifest with a speaker column"


@dataclass(frozen=True)
class IntakeReport:
    """What became of a raw folder."""

    utterances: tuple[Utterance, ...]
    rejected: tuple[Rejection, ...]
    recordings: int
    ignored_files: int
    empty_transcripts: int
    speaker_from: dict[str, int]
    """Usable recordings by the rule that told who speaks; see `layouts`."""
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Clip:
    recording: Recording
    digest: str
    flac: bytes
    duration_s: float
    snr_db: float
    speech_share: float | None


def prepare_corpus(raw: Path, prepared: Path, params: SplitParams) -> IntakeReport:
    """Writes the corpus of all usable recordings below `raw` to the folder `prepared`, which it replaces.

    The same recordings and params give the same bytes. Raises DataError if there is nothing usable or there are fewer
    than two speakers, LeakageError if anything of the test side would be on another.
    """
    _check_apart(raw, prepared)
    inventory = take_inventory(raw)
    splitting.check_speakers((r.speaker for r in inventory.recordings), params)
    clips, refused = _decode_all(inventory.recordings, params)
    clips, doubles = _without_doubles(clips)
    if not clips:
        raise DataError(f"none of the {len(inventory.recordings)} recordings in {raw} is usable: {_reasons(refused)}")
    dealt = splitting.deal({c.digest[:16]: c.recording.speaker for c in clips}, params)
    utterances = [_utterance(clip, dealt.split_of[clip.digest[:16]], params.noisy_below_snr_db) for clip in clips]
    splitting.check_leakage(utterances, params.validation_unit)
    rejected = [*inventory.rejected, *refused, *doubles]
    with whole_folder(prepared) as draft:
        write_corpus(draft, utterances, {c.digest[:16]: c.flac for c in clips}, rejected)
    return _report(inventory, clips, utterances, rejected, dealt.warnings)


def metrics(report: IntakeReport) -> dict[str, Any]:
    """The figures of `metrics/split_clean_noisy.json`: the whole, each side, each condition, and what was left out."""
    of_all = report.utterances
    return {
        "recordings": report.recordings,
        **_figures(of_all),
        "rejected": len(report.rejected),
        "ignored_files": report.ignored_files,
        "empty_transcripts": report.empty_transcripts,
        **{side: _figures(u for u in of_all if u.split == side) for side in _SPLITS},
        **{condition: _figures(u for u in of_all if u.condition == condition) for condition in _CONDITIONS},
        "rejected_for": dict(sorted(Counter(r.reason for r in report.rejected).items())),
        "speaker_from": dict(sorted(report.speaker_from.items())),
        "warnings": list(report.warnings),
    }


def _decode_all(recordings: Sequence[Recording], params: SplitParams) -> tuple[list[_Clip], list[Rejection]]:
    """In the order given, on all cores: decoding, resampling and FLAC release Python's lock. A file's pieces go together."""
    files = [list(group) for _, group in groupby(recordings, key=lambda r: r.path)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = pool.map(partial(_decode, params=params), files)
        try:
            outcomes = [o for outcome in track(decoded, "recordings", len(files)) for o in outcome]
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    return [o for o in outcomes if isinstance(o, _Clip)], [o for o in outcomes if isinstance(o, Rejection)]


def _decode(pieces: list[Recording], params: SplitParams) -> list[_Clip | Rejection]:
    """The clips of one file: the whole, the pieces that a list names, or those between its pauses where it is too long."""
    first = pieces[0]
    if first.start_s is not None:
        spans = [(p.start_s or 0.0, p.end_s) for p in pieces]
        found = read_pieces(first.path, spans, params.max_duration_s)
        return [_checked(piece, samples, params) for piece, samples in zip(pieces, found, strict=True)]
    try:
        return [_checked(first, read_audio(first.path, params.max_duration_s), params)]
    except UnusableAudio as fault:
        if fault.reason == "too_long" and params.cut_long_to_s is not None:
            return _cut(first, params, params.cut_long_to_s)
        return [Rejection(first.source, fault.reason, fault.detail)]


def _cut(recording: Recording, params: SplitParams, longest_s: float) -> list[_Clip | Rejection]:
    """Nobody knows which words of its transcript belong to which piece, so they have none."""
    clips: list[_Clip | Rejection] = []
    try:
        for piece in cut_at_pauses(stream_audio(recording.path), longest_s):
            start_s, end_s = round(piece.start_s, 3), round(piece.start_s + piece.samples.size / SAMPLE_RATE_HZ, 3)
            clips.append(_checked(replace(recording, start_s=start_s, end_s=end_s, reference=None), piece.samples, params))
    except UnusableAudio as fault:
        clips.append(Rejection(recording.source, fault.reason, fault.detail))
    if not clips:
        return [Rejection(recording.source, "no_speech", "nobody speaks in it")]
    if recording.reference is not None:
        clips.append(Rejection(recording.source, "transcript_without_times", _WITHOUT_TIMES))
    return clips


def _checked(recording: Recording, samples: Samples | UnusableAudio, params: SplitParams) -> _Clip | Rejection:
    try:
        if isinstance(samples, UnusableAudio):
            raise samples
        check_audible(recording.path, samples, params.min_duration_s, params.silent_below_dbfs)
        check_length(recording.path, samples, params.max_duration_s)
    except UnusableAudio as fault:
        return Rejection(named(recording), fault.reason, fault.detail)
    share = round(speech_share(samples), 3) if params.min_speech_share > 0 else None
    if share is not None and share < params.min_speech_share:
        return Rejection(
            named(recording), "little_speech", f"{share:.0%} of it is speech; {params.min_speech_share:.0%} are wanted"
        )
    snr_db = round(estimate_snr_db(samples), 1) if recording.snr_db is None else recording.snr_db
    duration_s = round(samples.size / SAMPLE_RATE_HZ, 4)
    return _Clip(recording, sound_digest(samples), encode_flac(samples), duration_s, snr_db, share)


def _without_doubles(clips: list[_Clip]) -> tuple[list[_Clip], list[Rejection]]:
    """Each sound once: the first that has a transcript, else the first."""
    same: dict[str, list[_Clip]] = defaultdict(list)
    for clip in clips:
        same[clip.digest].append(clip)
    kept = {d: next((c for c in group if c.recording.reference), group[0]) for d, group in same.items()}
    doubles = [c for c in clips if kept[c.digest] is not c]
    return [c for c in clips if kept[c.digest] is c], [_double(c.recording, kept[c.digest].recording) for c in doubles]


def _double(recording: Recording, kept: Recording) -> Rejection:
    differs = [name for name in ("speaker", "reference") if getattr(recording, name) not in (None, getattr(kept, name))]
    but = f", but has another {' and '.join(differs)}" if differs else ""
    return Rejection(named(recording), "duplicate_sound", f"is the same sound as {named(kept)}{but}")


def _utterance(clip: _Clip, split: Split, noisy_below_snr_db: float) -> Utterance:
    measured: Condition = "noisy" if clip.snr_db < noisy_below_snr_db else "clean"
    return Utterance(
        id=clip.digest[:16],
        audio_digest=clip.digest,
        source=clip.recording.source,
        speaker=clip.recording.speaker,
        condition=clip.recording.condition or measured,
        split=split,
        duration_s=clip.duration_s,
        snr_db=clip.snr_db,
        speech_share=clip.speech_share,
        reference=clip.recording.reference,
        session=clip.recording.session,
        start_s=clip.recording.start_s,
        end_s=clip.recording.end_s,
        tags=clip.recording.tags,
    )


def _report(
    inventory: Inventory, clips: list[_Clip], utterances: list[Utterance], rejected: list[Rejection], warnings: tuple[str, ...]
) -> IntakeReport:
    rules = Counter(clip.recording.speaker_from for clip in clips)
    naming = [(rules["file_name"], _GUESSED_NAMES), (rules["session"], _BY_SESSION), (rules["recording"], _BY_FILE)]
    warnings += tuple(text.format(count) + _NAME_SPEAKERS for count, text in naming if count)
    return IntakeReport(
        tuple(utterances),
        tuple(rejected),
        len(inventory.recordings),
        inventory.ignored_files,
        inventory.empty_transcripts,
        {str(rule): count for rule, count in rules.items()},
        warnings,
    )


def _figures(utterances: Iterable[Utterance]) -> dict[str, float]:
    some = list(utterances)
    return {
        "utterances": len(some),
        "hours": round(sum(u.duration_s for u in some) / 3600, 4),
        "speakers": len({u.speaker for u in some}),
        "with_reference": sum(u.reference is not None for u in some),
    }


def _reasons(rejected: list[Rejection]) -> str:
    counts = Counter(r.reason for r in rejected)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) + f"; for example {_first(rejected)}"


def _first(rejected: list[Rejection]) -> str:
    return f"{rejected[0].source} {rejected[0].detail}"


def _check_apart(raw: Path, prepared: Path) -> None:
    """Refuses to replace a folder that holds the user's recordings, or to write among them."""
    inside, outside = raw.resolve(), prepared.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise DataError(f"paths.prepared ({prepared}) and paths.raw ({raw}) must be folders apart from each other")
