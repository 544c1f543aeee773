"""The raw folder as a corpus of clips whose reference is their label, with the lists that other tools of this kind read.

What a clip must be (SNR, length, centre cut out of its padding, classes balanced) is told by the same params as for
transcription; see docs/detection.md for those of clean and of noisy mode.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from attune import splitting
from attune.files import whole_folder, write_csv
from attune.intake import IntakeReport, check_apart, plan_corpus, write_planned
from attune.params import Params, SplitParams
from attune.records import Rejection, Split, Utterance
from attune.soundcache import SoundCache
from attune.tasks.speech_detection.parts.labels import LABEL, labels_of, require_both
from attune.workcache import WorkCache

_COLUMNS = ("path", "label", "snr_db", "duration", "speaker", "split", "id", "condition")
_SIDES: tuple[Split, ...] = ("train", "validation", "test")


def prepare(raw: Path, prepared: Path, params: Params) -> IntakeReport:
    """Writes the corpus, and metadata.csv, train_metadata.csv, validation_metadata.csv and test_metadata.csv beside it."""
    check_apart(raw, prepared)
    sounds = SoundCache()
    report = plan(raw, params.split_clean_noisy, WorkCache(), sounds)
    with whole_folder(prepared) as draft:
        write_planned(draft, report, sounds)
        for name, side in _lists(report.utterances).items():
            write_csv(draft / name, _COLUMNS, _rows(side))
    return report


def plan(raw: Path, params: SplitParams, cache: WorkCache, sounds: SoundCache) -> IntakeReport:
    """What the corpus would be. Raises DataError for labels that are none, and where one class is missing, altogether or on a
    side.
    """
    report = plan_corpus(raw, params.model_copy(update={"balance": None}), cache, sounds)
    utterances, unlabelled = labelled(report.utterances)
    require_both((u.tags[LABEL] for u in utterances), str(raw))
    kept, surplus = balanced(utterances, params.balance, params.salt)
    _require_sides(kept)
    return replace(report, utterances=tuple(kept), rejected=(*report.rejected, *unlabelled, *surplus))


def labelled(utterances: Sequence[Utterance]) -> tuple[list[Utterance], list[Rejection]]:
    """The same with their label as reference and tag, in capitals, and those that have none. Raises DataError as `labels_of`."""
    pairs = list(zip(utterances, labels_of(utterances), strict=True))
    why = "has no label: no row of a list that can be read is about it, and it is in no folder speech or nonspeech"
    rejected = [Rejection(utterance.source, "no_label", why) for utterance, label in pairs if label is None]
    return [replace(u, reference=label, tags={**u.tags, LABEL: label}) for u, label in pairs if label is not None], rejected


def balanced(utterances: Sequence[Utterance], column: str | None, salt: str) -> tuple[list[Utterance], list[Rejection]]:
    """As many clips of each value of `column` on each side, chosen by a hash, and those left out; all without a column."""
    if column is None:
        return list(utterances), []
    kept = splitting.balanced(utterances, column, salt)
    why = f"left out, so that each {column} is heard as often"
    surplus = [Rejection(u.source, "balance", f"{u.tags.get(column)!r}: {why}") for u in utterances if u.id not in kept]
    return [u for u in utterances if u.id in kept], surplus


def _require_sides(utterances: Sequence[Utterance]) -> None:
    for side in _SIDES:
        labels = [u.tags[LABEL] for u in utterances if u.split == side]
        if labels:
            require_both(labels, f"the {side} side")


def _lists(utterances: Sequence[Utterance]) -> dict[str, list[Utterance]]:
    """Which clips stand in which list."""
    sides = {f"{side}_metadata.csv": [u for u in utterances if u.split == side] for side in _SIDES}
    return {"metadata.csv": list(utterances), **{name: side for name, side in sides.items() if side}}


def _rows(utterances: Iterable[Utterance]) -> list[dict[str, object]]:
    return [
        {
            "path": u.source,
            "label": u.tags[LABEL],
            "snr_db": u.snr_db,
            "duration": u.duration_s,
            "speaker": u.speaker,
            "split": u.split,
            "id": u.id,
            "condition": u.condition,
        }
        for u in utterances
    ]
