"""Experiments against one of them: whose tuned model makes fewer errors on the same utterances, how sure that is, at what cost.

Tests are paired bootstraps over what `evaluate.resample` says (significance), corrected by Holm for there being several. Two
tests are the same where they hold the same recordings with the same references; others are not compared, unless on what all
of them have in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from attune.errors import DataError
from attune.params import EvaluateParams
from attune.report.experiments import Cost, Experiment, changed_params
from attune.report.results import Difference, Unit, UtteranceResult
from attune.report.slices import difference, known, unit_for
from attune.significance import PairedCounts, bootstrap_interval, holm, paired_rates

CostName = Literal["size_mb", "minutes", "memory_mb"]
Judgement = Literal["reference", "better", "worse", "same", "uncertain", "unknown", "not compared"]


@dataclass(frozen=True)
class Compared:
    """One experiment beside the reference. Rates are fractions, differences points in which positive is better than it."""

    name: str
    commit: str | None
    utterances: int
    speakers: int
    common: int
    """Of its utterances, how many the reference has with the same reference text."""
    wer: float | None
    wer_low: float | None
    wer_high: float | None
    cer: float | None
    """Of all its utterances."""
    passed: bool
    """Its own verdict, tuned against base model."""
    difference: Difference | None
    p_value: float | None
    p_corrected: float | None
    """Holm's, over all that were compared."""
    judgement: Judgement
    """By the corrected p-value; `same` errors in every recording; `unknown` where too little was tested."""
    cost: Cost
    on_front: bool
    """Nobody comparable is cheaper and no worse, or better and no dearer; False where the cost is unknown."""
    changed: tuple[tuple[str, str], ...]
    """Params that it sets otherwise than the reference."""


@dataclass(frozen=True)
class Comparison:
    """The reference first, then the others as they were asked for."""

    rows: tuple[Compared, ...]
    unit: Unit
    confidence: float
    cost: CostName
    restricted: bool
    """Whether only what all tests have in common counts."""
    note: str = ""
    """What else to know; a sentence of the task's."""


def compare(
    reference: Experiment,
    others: Sequence[Experiment],
    params: EvaluateParams,
    cost: CostName = "size_mb",
    common: bool = False,
    note: str = "",
) -> Comparison:
    """All of them; with `common` on the utterances that all have. Raises DataError where these are none."""
    everyone = [reference, *others]
    if common:
        everyone = _restricted(everyone)
    first = everyone[0]
    unit = unit_for(len({row.speaker for row in first.utterances}), params)
    rows = [_row(each, first, unit, params) for each in everyone]
    rows = _corrected(rows, params.confidence)
    return Comparison(tuple(_with_front(rows, cost)), unit, params.confidence, cost, common, note)


def paired_counts(rows: Sequence[UtteranceResult], others: Sequence[UtteranceResult], unit: Unit) -> PairedCounts:
    """Word errors of the tuned models of two experiments on the same utterances; both in the order of ids."""
    counts = PairedCounts([r.tuned_errors for r in rows], [o.tuned_errors for o in others], [r.words for r in rows])
    return counts.by_block([row.speaker for row in rows]) if unit == "speakers" else counts


def ordered(experiment: Experiment, ids: set[str]) -> list[UtteranceResult]:
    """Those of its utterances that `ids` names, in the order of ids."""
    return sorted((row for row in experiment.utterances if row.id in ids), key=lambda row: row.id)


def common_ids(one: Experiment, other: Experiment) -> set[str]:
    """The recordings both were tested on, against the same text of as many words."""
    tests = ({(row.id, row.reference, row.words) for row in each.utterances} for each in (one, other))
    return {name for name, _, _ in set.intersection(*tests)}


def same_test(one: Experiment, other: Experiment) -> bool:
    """Whether both were tested on the very same."""
    return len(common_ids(one, other)) == len(one.utterances) == len(other.utterances)


def _restricted(everyone: Sequence[Experiment]) -> list[Experiment]:
    shared = set.intersection(*(common_ids(everyone[0], each) for each in everyone))
    if not shared:
        names = ", ".join(each.name for each in everyone)
        raise DataError(f"the tests of {names} have no utterance in common; leave out those with another test")
    return [replace(each, utterances=tuple(ordered(each, shared))) for each in everyone]


def _row(experiment: Experiment, reference: Experiment, unit: Unit, params: EvaluateParams) -> Compared:
    rows = experiment.utterances
    errors, words = np.array([row.tuned_errors for row in rows]), np.array([row.words for row in rows])
    sums = paired_counts(rows, rows, unit)
    interval = bootstrap_interval(sums.tuned, sums.lengths, params.bootstrap_samples, params.confidence, params.seed)
    base = Compared(
        name=experiment.name,
        commit=experiment.commit,
        utterances=len(rows),
        speakers=len({row.speaker for row in rows}),
        common=len(common_ids(experiment, reference)),
        wer=float(errors.sum() / words.sum()) if words.sum() else None,
        wer_low=known(interval.low),
        wer_high=known(interval.high),
        cer=experiment.outcome.cer,
        passed=experiment.outcome.passed,
        difference=None,
        p_value=None,
        p_corrected=None,
        judgement="reference",
        cost=experiment.cost,
        on_front=False,
        changed=tuple(changed_params(experiment, reference).items()),
    )
    if experiment is reference:
        return base
    if not same_test(experiment, reference):
        return replace(base, judgement="not compared")
    return _tested(base, experiment, reference, unit, params)


def _tested(row: Compared, experiment: Experiment, reference: Experiment, unit: Unit, params: EvaluateParams) -> Compared:
    ids = common_ids(experiment, reference)
    counts = paired_counts(ordered(reference, ids), ordered(experiment, ids), unit)
    (found,) = paired_rates([counts], params.bootstrap_samples, params.confidence, params.seed)
    alike = bool(np.array_equal(counts.base, counts.tuned))
    return replace(
        row,
        difference=difference(found.difference),
        p_value=known(found.difference.p_value),
        judgement="same" if alike else "uncertain",
    )


def _corrected(rows: Sequence[Compared], confidence: float) -> list[Compared]:
    corrected = holm([float("nan") if row.p_value is None else row.p_value for row in rows])
    return [_judged(row, known(p), confidence) for row, p in zip(rows, corrected, strict=True)]


def _judged(row: Compared, p_corrected: float | None, confidence: float) -> Compared:
    if row.judgement != "uncertain" or row.difference is None:
        return replace(row, p_corrected=p_corrected)
    judgement: Judgement = "uncertain"
    if p_corrected is None or row.difference.low is None:
        judgement = "unknown"
    elif p_corrected < 1 - confidence:
        judgement = "better" if (row.difference.points or 0) > 0 else "worse"
    return replace(row, p_corrected=p_corrected, judgement=judgement)


def _with_front(rows: Sequence[Compared], cost: CostName) -> list[Compared]:
    points = {n: (row.wer, _price(row, cost)) for n, row in enumerate(rows) if row.judgement != "not compared"}
    known_points = {n: (wer, price) for n, (wer, price) in points.items() if wer is not None and price is not None}
    front = {n for n, point in known_points.items() if not any(_dominates(other, point) for other in known_points.values())}
    return [replace(row, on_front=n in front) for n, row in enumerate(rows)]


def _price(row: Compared, cost: CostName) -> float | None:
    found: float | None = getattr(row.cost, cost)
    return found


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] <= other[1]
