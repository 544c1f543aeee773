"""Intake: any honest folder of recordings becomes the prepared corpus, or every file of it a named reason why not.

`layouts` says what there is, `clips` decodes and measures, `splitting` decides the sides; here they are put together,
the same sound is kept once, and the corpus is written whole or not at all.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attune import splitting
from attune.clips import Clip, make_clips
from attune.dataset import write_corpus
from attune.doubles import same_sounds
from attune.errors import DataError
from attune.files import whole_folder
from attune.layouts import Inventory, Recording, named, take_inventory, tested
from attune.params import SplitParams
from attune.records import Condition, Rejection, Split, Utterance
from attune.soundcache import SoundCache
from attune.workcache import WorkCache

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_CONDITIONS: tuple[Condition, ...] = ("clean", "noisy")
_GUESSED_NAMES = "speaker names of {} recording(s) were guessed from file names; where these name no people, "
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


def prepare_corpus(raw: Path, prepared: Path, params: SplitParams, cache: WorkCache, sounds: SoundCache) -> IntakeReport:
    """Writes the corpus of all usable recordings below `raw` to the folder `prepared`, which it replaces.

    The same recordings and params give the same bytes. Raises DataError if there is nothing usable or there are fewer
    than two speakers, LeakageError if anything of the test side would be on another.
    """
    _check_apart(raw, prepared)
    inventory = take_inventory(raw)
    fixed = {*params.test_speakers, *(r.speaker for r in inventory.recordings if tested(r))}
    params = params.model_copy(update={"test_speakers": tuple(sorted(fixed))})
    splitting.check_speakers((r.speaker for r in inventory.recordings), params)
    clips, refused = make_clips(inventory.recordings, params, cache, sounds)
    clips, doubles = _without_doubles(clips)
    if not clips:
        raise DataError(f"none of the {len(inventory.recordings)} recordings in {raw} is usable: {_reasons(refused)}")
    dealt = splitting.deal({c.digest[:16]: c.recording.speaker for c in clips}, params)
    conditions = _conditions(clips, params)
    utterances = [_utterance(c, dealt.split_of[c.digest[:16]], heard) for c, heard in zip(clips, conditions, strict=True)]
    splitting.check_leakage(utterances, params.validation_unit)
    rejected = [*inventory.rejected, *refused, *doubles]
    with whole_folder(prepared) as draft:
        write_corpus(draft, utterances, _ById(clips, sounds), rejected)
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


def histogram(values: Iterable[float | None], width: int, unit: str) -> list[dict[str, Any]]:
    """Rows of a plot: how many values fall into each bin of `width`, in the order of the values; none are left out between."""
    counts = Counter(int(value // width) for value in values if value is not None)
    bins = range(min(counts), max(counts) + 1) if counts else range(0)
    digits = max((len(str(abs(number * width))) for number in bins), default=1)
    named = ((number, f"{number * width:{digits}d} to {(number + 1) * width:{digits}d} {unit}") for number in bins)
    return [{"bin": name, "utterances": counts[number]} for number, name in named]


class _ById:
    """The clips' encoded sound by utterance id, read as it is asked for."""

    def __init__(self, clips: Iterable[Clip], sounds: SoundCache) -> None:
        self._digests, self._sounds = {clip.digest[:16]: clip.digest for clip in clips}, sounds

    def __getitem__(self, utterance_id: str) -> bytes:
        return self._sounds[self._digests[utterance_id]]


def _without_doubles(clips: list[Clip]) -> tuple[list[Clip], list[Rejection]]:
    """Each sound once: the first that has a transcript, else the first."""
    firsts = same_sounds([c.fingerprint for c in clips], [c.duration_s for c in clips])
    same: dict[int, list[Clip]] = defaultdict(list)
    for clip, first in zip(clips, firsts, strict=True):
        same[first].append(clip)
    kept = {first: next((c for c in group if c.recording.reference), group[0]) for first, group in same.items()}
    doubles = [(c, kept[first]) for c, first in zip(clips, firsts, strict=True) if kept[first] is not c]
    lost = {id(clip) for clip, _ in doubles}
    return [c for c in clips if id(c) not in lost], [_double(c.recording, other.recording) for c, other in doubles]


def _double(recording: Recording, kept: Recording) -> Rejection:
    differs = [name for name in ("speaker", "reference") if getattr(recording, name) not in (None, getattr(kept, name))]
    but = f", but has another {' and '.join(differs)}" if differs else ""
    return Rejection(named(recording), "duplicate_sound", f"is the same sound as {named(kept)}{but}")


def _conditions(clips: list[Clip], params: SplitParams) -> list[Condition]:
    """What the folder or the list says of each clip; else what its noise says, or its place among those that nobody tells of."""
    untold = sorted(clip.recording.source for clip in clips if clip.recording.condition is None)
    first_half = set(untold[: (len(untold) + 1) // 2])

    def condition(clip: Clip) -> Condition:
        if params.flat_folders == "halves":
            return "clean" if clip.recording.source in first_half else "noisy"
        return "noisy" if clip.snr_db < params.noisy_below_snr_db else "clean"

    return [clip.recording.condition or condition(clip) for clip in clips]


def _utterance(clip: Clip, split: Split, condition: Condition) -> Utterance:
    return Utterance(
        id=clip.digest[:16],
        audio_digest=clip.digest,
        source=clip.recording.source,
        speaker=clip.recording.speaker,
        condition=condition,
        split=split,
        duration_s=clip.duration_s,
        snr_db=clip.snr_db,
        speech_share=clip.speech_share,
        clipped_share=clip.clipped_share,
        dc_offset=clip.dc_offset,
        reference=clip.recording.reference,
        session=clip.recording.session,
        start_s=clip.recording.start_s,
        end_s=clip.recording.end_s,
        tags=clip.recording.tags,
    )


def _report(
    inventory: Inventory, clips: list[Clip], utterances: list[Utterance], rejected: list[Rejection], warnings: tuple[str, ...]
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
