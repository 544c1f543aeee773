"""What was found on the test: one record, written as evaluation_results.json; all that people read comes from it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attune.errors import DataError
from attune.files import build, write_json
from attune.params import EvaluateParams
from attune.records import Utterance
from attune.tasks.speech_detection.parts.beside import Beside
from attune.tasks.speech_detection.parts.measures import (
    Truth,
    area_under_roc,
    balanced_interval,
    equal_error_rate,
    interval,
    mcnemar,
    table,
)
from attune.tasks.speech_detection.parts.slices import content_s, rows, slices

RESULTS = "evaluation_results.json"
"""Where in the folder of metrics they stand."""
VERSION = "speech_detection 2"
_PLACES = 6
_MOST_LENGTHS, _MOST_RATIOS = 6, 12
"""Of a psychometric plot; where there are more, bands take their place."""


@dataclass(frozen=True)
class Score:
    """One detector on the test."""

    who: str
    clips: int
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    balanced_accuracy: float | None
    balanced_accuracy_low: float | None
    balanced_accuracy_high: float | None
    f1: float | None
    equal_error_rate: float | None
    area_under_roc: float | None
    threshold: float


@dataclass(frozen=True)
class Point:
    """One place of a psychometric curve: clips of a content length at an SNR."""

    who: str
    duration_s: float
    """Or the lower edge of a band of lengths; so is `snr_db`."""
    snr_db: float
    clips: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Results:
    """Of base, tuned and the detectors beside them."""

    version: str
    base: str
    tuned: str
    trained: bool
    clips: int
    """Of the test, those that were heard."""
    of: int
    quick_accuracy: float | None
    """Of the tuned model on the quick look; None where there was none."""
    stopped_after_quick_look: bool
    scores: tuple[Score, ...]
    confidence: float
    """Of the intervals."""
    only_base_right: int
    only_tuned_right: int
    p_value: float
    """McNemar's, exact."""
    accepted: bool
    verdict: str
    points: tuple[Point, ...]
    slices: tuple[dict[str, Any], ...]

    def score_of(self, who: str) -> Score:
        return next(score for score in self.scores if score.who == who)


@dataclass(frozen=True)
class Look:
    """How much of the test was heard, and why no more."""

    clips: int
    of: int
    accuracy: float | None
    stopped: bool


def quick_clips(utterances: Sequence[Utterance], truth: Truth, wanted: int) -> list[Utterance]:
    """So many clips, half of each class, chosen by their ids, which are hashes."""
    ordered = sorted(range(len(utterances)), key=lambda place: utterances[place].id)
    speech, other = ([p for p in ordered if bool(truth[p]) == kind] for kind in (True, False))
    chosen = {*speech[: (wanted + 1) // 2], *other[: wanted // 2]}
    return [utterance for place, utterance in enumerate(utterances) if place in chosen]


def found(
    names: tuple[str, str],
    trained: bool,
    utterances: Sequence[Utterance],
    truth: Truth,
    heard: Sequence[Beside],
    look: Look,
    params: EvaluateParams,
) -> Results:
    """Of detectors called base, tuned and otherwise, that all heard `utterances`."""
    base, tuned = (next(each for each in heard if each.name == name) for name in ("base", "tuned"))
    right = [(each.called == truth).tolist() for each in (base, tuned)]
    only_base, only_tuned, p_value = mcnemar(*right)
    scores = tuple(_score(each, truth, params.confidence) for each in heard)
    accepted, why = _verdict(scores, p_value, look, params)
    bands = {"snr_db": params.slices.snr_db, "duration_s": params.slices.duration_s}
    parts = []
    for each in heard:
        tables = [table(truth[n : n + 1], each.called[n : n + 1]) for n in range(len(utterances))]
        parts += list(rows(each.name, slices(utterances, tables, bands, params.slices.columns), params.confidence))
    return Results(
        version=VERSION,
        base=names[0],
        tuned=names[1],
        trained=trained,
        clips=look.clips,
        of=look.of,
        quick_accuracy=look.accuracy,
        stopped_after_quick_look=look.stopped,
        scores=scores,
        confidence=params.confidence,
        only_base_right=only_base,
        only_tuned_right=only_tuned,
        p_value=p_value,
        accepted=accepted,
        verdict=why,
        points=tuple(_points(utterances, truth, heard, params)),
        slices=tuple(parts),
    )


def write_results(file: Path, results: Results) -> None:
    write_json(file, json.loads(json.dumps(asdict(results))))


def read_results(file: Path) -> Results:
    """What `write_results` wrote. Raises DataError where it is missing, damaged, or of another task or version of Attune."""
    try:
        return parse_results(file.read_text(encoding="utf-8"), str(file))
    except FileNotFoundError as error:
        raise DataError(f"{file} does not exist; make it with: dvc repro") from error


def parse_results(text: str, where: str) -> Results:
    """The same from text, as `git show REV:FILE` gives it; `where` is named in errors."""
    try:
        content: Any = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where} is no evaluation's JSON ({error}); make it anew with: dvc repro --force evaluate") from error
    found = content.get("version") if isinstance(content, dict) else None
    if found != VERSION:
        other = content.get("format") if found is None and isinstance(content, dict) else found
        raise DataError(f"{where} is of {other!r}, and this task and version read {VERSION!r}; run: dvc repro")
    try:
        return build(Results, content)
    except (TypeError, KeyError) as error:
        raise DataError(f"{where} is not a whole evaluation ({error}); make it anew with: dvc repro --force evaluate") from error


def _score(each: Beside, truth: Truth, confidence: float) -> Score:
    counts = table(truth, each.called)
    low, high = interval(counts, confidence) or (None, None)
    balanced_low, balanced_high = balanced_interval(counts, confidence) or (None, None)
    both = bool(truth.any() and not truth.all())
    return Score(
        who=each.name,
        clips=counts.clips,
        accuracy=counts.accuracy,
        accuracy_low=low,
        accuracy_high=high,
        balanced_accuracy=counts.balanced_accuracy,
        balanced_accuracy_low=balanced_low,
        balanced_accuracy_high=balanced_high,
        f1=counts.f1,
        equal_error_rate=equal_error_rate(truth, each.said) if both else None,
        area_under_roc=area_under_roc(truth, each.said) if both else None,
        threshold=each.threshold,
    )


def _verdict(scores: Sequence[Score], p_value: float, look: Look, params: EvaluateParams) -> tuple[bool, str]:
    """Whether the tuned model may take the base's place, and a sentence about it."""
    base, tuned = (next(s for s in scores if s.who == who) for who in ("base", "tuned"))
    gain = (tuned.accuracy or 0.0) - (base.accuracy or 0.0)
    told = f"accuracy {base.accuracy or 0:.1%} -> {tuned.accuracy or 0:.1%} on {look.clips} clips (McNemar p = {p_value:.2g})"
    if look.stopped:
        return False, (
            f"The quick look at {look.clips} of {look.of} clips found {look.accuracy:.0%} of them right, and more than "
            f"{params.detection.full_above:.0%} are wanted before the whole test is heard: look through data/gold/review.jsonl, "
            "bring more clips, or train for more epochs or with a larger rank."
        )
    wanted = params.validation
    if wanted.require_significance and p_value >= 1 - params.confidence:
        return False, f"No difference that cannot be chance: {told}."
    if gain <= wanted.min_wer_improvement:
        return False, f"The tuned model is not better by more than {wanted.min_wer_improvement:.1%}: {told}."
    return True, f"The tuned model may take the base's place: {told}."


def _points(utterances: Sequence[Utterance], truth: Truth, heard: Sequence[Beside], params: EvaluateParams) -> list[Point]:
    """By content length and SNR, of clips whose SNR is known."""
    known = [(number, u, u.snr_db) for number, u in enumerate(utterances) if u.snr_db is not None]
    lengths = steps([content_s(u) for _, u, _ in known], params.slices.duration_s, _MOST_LENGTHS)
    ratios = steps([snr_db for _, _, snr_db in known], params.slices.snr_db, _MOST_RATIOS)
    places: dict[tuple[float, float], list[int]] = {}
    for (number, _, _), length, ratio in zip(known, lengths, ratios, strict=True):
        places.setdefault((length, ratio), []).append(number)
    points = []
    for each in heard:
        for (duration_s, snr_db), some in sorted(places.items()):
            chosen = np.array(some)
            counts = table(truth[chosen], each.called[chosen])
            low, high = interval(counts, params.confidence) or (0.0, 1.0)
            share = round(counts.right / counts.clips, _PLACES)
            points.append(Point(each.name, duration_s, snr_db, counts.clips, share, round(low, _PLACES), round(high, _PLACES)))
    return points


def steps(values: Sequence[float], edges: Sequence[float], most: int) -> list[float]:
    """The values as they are where few differ, as in a crossed design; else each one's band, by its lower edge.

    >>> steps([0.25, 0.5, 0.25], (1, 2), 2), steps([0.3, 0.9, 1.4, 7.0], (1, 2), 2)
    ([0.25, 0.5, 0.25], [0.3, 0.3, 1, 2])
    """
    rounded = [round(value, 2) for value in values]
    if len(set(rounded)) <= most:
        return rounded
    return [max((edge for edge in edges if edge <= value), default=min(rounded)) for value in values]
