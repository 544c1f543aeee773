"""Intake: any honest folder of recordings becomes the prepared corpus, or every file of it a named reason why not.

`layouts` says what there is, `clips` decodes and measures, `splitting` decides the sides; here they are put together,
the same sound is kept once, and the corpus is written whole or not at all.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from attune import splitting
from attune.clips import Clip, make_clips
from attune.dataset import write_corpus
from attune.errors import DataError
from attune.files import whole_folder
from attune.layouts import Inventory, named, person, take_inventory, tested
from attune.params import SplitParams
from attune.records import Condition, Rejection, Split, Utterance
from attune.soundcache import SoundCache
from attune.transcripts import Doubt, Transcripts
from attune.winnowing import without_doubles, without_overlaps
from attune.workcache import WorkCache

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
    check_apart(raw, prepared)
    report = plan_corpus(raw, params, cache, sounds)
    with whole_folder(prepared) as draft:
        write_planned(draft, report, sounds)
    return report


def write_planned(draft: Path, report: IntakeReport, sounds: SoundCache) -> None:
    """Writes the corpus of a plan into the folder `draft`."""
    write_corpus(draft, report.utterances, _ById(report.utterances, sounds), report.rejected)


def plan_corpus(raw: Path, params: SplitParams, cache: WorkCache, sounds: SoundCache) -> IntakeReport:
    """What the corpus would be. Raises as `prepare_corpus` does."""
    inventory = take_inventory(raw, sounds)
    fixed = {*map(person, params.test_speakers), *(r.speaker for r in inventory.recordings if tested(r))}
    validated = tuple(map(person, params.validation_speakers))
    params = params.model_copy(update={"test_speakers": tuple(sorted(fixed)), "validation_speakers": validated})
    splitting.check_speakers((r.speaker for r in inventory.recordings), params)
    transcripts = Transcripts((r.reference for r in inventory.recordings if r.reference), params.transcripts)
    clips, refused = make_clips(inventory.recordings, params, cache, sounds)
    clips, overlaps = without_overlaps(clips, params)
    clips, doubles = without_doubles(clips, params, sounds)
    params = _present(params, {c.recording.speaker for c in clips})
    if not clips:
        raise DataError(f"none of the {len(inventory.recordings)} recordings in {raw} is usable: {_reasons(refused)}")
    dealt = splitting.deal({c.digest[:16]: c.recording.speaker for c in clips}, params)
    conditions = _conditions(clips, params)
    references, set_aside = _references(clips, transcripts)
    facts = zip(clips, conditions, references, strict=True)
    utterances = [_utterance(clip, dealt.split_of[clip.digest[:16]], condition, text) for clip, condition, text in facts]
    utterances, surplus = _balanced(utterances, params)
    splitting.check_leakage(utterances, params.validation_unit)
    rejected = [*inventory.rejected, *refused, *overlaps, *doubles, *set_aside, *surplus]
    return _report(inventory, clips, utterances, rejected, dealt.warnings)


def _present(params: SplitParams, heard: set[str]) -> SplitParams:
    """Without fixed speakers of whom nothing usable is left, as long as there are others."""
    kept = {key: tuple(s for s in getattr(params, key) if s in heard) for key in ("test_speakers", "validation_speakers")}
    return params.model_copy(update={key: names for key, names in kept.items() if names})


class _ById:
    """Encoded sound by utterance id, read as it is asked for."""

    def __init__(self, utterances: Iterable[Utterance], sounds: SoundCache) -> None:
        self._digests, self._sounds = {u.id: u.audio_digest for u in utterances}, sounds

    def __getitem__(self, utterance_id: str) -> bytes:
        return self._sounds[self._digests[utterance_id]]


def _references(clips: list[Clip], transcripts: Transcripts) -> tuple[list[str | None], list[Rejection]]:
    """Each clip's text as it is to be written, None without one; and the texts that cannot be of their clip."""
    given = ((c, c.recording.reference) for c in clips)
    judged = [transcripts.judge(text, c.duration_s, c.speech_share) if text else None for c, text in given]
    set_aside = [
        Rejection(named(clip.recording), doubt.reason, f"its transcript: {doubt.detail}")
        for clip, doubt in zip(clips, judged, strict=True)
        if isinstance(doubt, Doubt)
    ]
    return [None if isinstance(text, Doubt) else text for text in judged], set_aside


def _balanced(utterances: list[Utterance], params: SplitParams) -> tuple[list[Utterance], list[Rejection]]:
    """Without what the classes of the column `balance` have too much of."""
    column = params.balance
    if column is None:
        return utterances, []
    kept = splitting.balanced(utterances, column, params.salt)
    why = f"left out, so that each {column} is heard as often"
    surplus = [Rejection(u.source, "balance", f"{u.tags.get(column)!r}: {why}") for u in utterances if u.id not in kept]
    return [u for u in utterances if u.id in kept], surplus


def _conditions(clips: list[Clip], params: SplitParams) -> list[Condition]:
    """What the folder or the list says of each clip; else what its noise says, or its place among those that nobody tells of."""
    untold = sorted(clip.recording.source for clip in clips if clip.recording.condition is None)
    first_half = set(untold[: (len(untold) + 1) // 2])

    def condition(clip: Clip) -> Condition:
        if params.flat_folders == "halves":
            return "clean" if clip.recording.source in first_half else "noisy"
        return "noisy" if clip.snr_db < params.noisy_below_snr_db else "clean"

    return [clip.recording.condition or condition(clip) for clip in clips]


def _utterance(clip: Clip, split: Split, condition: Condition, reference: str | None) -> Utterance:
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
        level_dbfs=clip.level_dbfs,
        clipped_share=clip.clipped_share,
        dc_offset=clip.dc_offset,
        reference=reference,
        transcript=clip.recording.reference,
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


def _reasons(rejected: list[Rejection]) -> str:
    counts = Counter(r.reason for r in rejected)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) + f"; for example {_first(rejected)}"


def _first(rejected: list[Rejection]) -> str:
    return f"{rejected[0].source} {rejected[0].detail}"


def check_apart(raw: Path, prepared: Path) -> None:
    """Refuses to replace a folder that holds the user's recordings, or to write among them. Raises DataError."""
    inside, outside = raw.resolve(), prepared.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise DataError(f"paths.prepared ({prepared}) and paths.raw ({raw}) must be folders apart from each other")
