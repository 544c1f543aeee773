"""How WER of the tuned model changed between two revisions on each slice of the utterances that both were tested on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from attune.params import EvaluateParams
from attune.records import Utterance
from attune.report.comparing import common_ids, ordered, paired_counts
from attune.report.experiments import Experiment
from attune.report.results import UtteranceResult
from attune.report.slices import known, unit_for
from attune.significance import holm, paired_rates
from attune.slicing import places


@dataclass(frozen=True)
class SliceChange:
    """A slice of the test in both commits. Rates are fractions, points positive where the change made it better."""

    dimension: str
    value: str
    utterances: int
    before: float | None
    after: float | None
    points: float | None
    low: float | None
    high: float | None
    p_corrected: float | None
    """Holm's, over all slices."""


def slice_changes(here: Experiment, base: Experiment, params: EvaluateParams) -> list[SliceChange]:
    """Every slice of the common utterances, what got worse first: by condition, noise, length, speaker, folder, and the columns
    of lists that params name and `here` was evaluated with.
    """
    ids = common_ids(here, base)
    groups = _groups(ordered(base, ids), ordered(here, ids), params)
    found = [_slice(*name, *rows, params) for name, rows in groups.items()]
    corrected = holm([float("nan") if p is None else p for _, p in found])
    changes = [replace(change, p_corrected=known(p)) for (change, _), p in zip(found, corrected, strict=True)]
    return sorted(changes, key=lambda change: (change.points is None, change.points or 0.0))


def _groups(
    before: Sequence[UtteranceResult], after: Sequence[UtteranceResult], params: EvaluateParams
) -> Mapping[tuple[str, str], tuple[list[UtteranceResult], list[UtteranceResult]]]:
    groups: dict[tuple[str, str], tuple[list[UtteranceResult], list[UtteranceResult]]] = {}
    for one, other in zip(before, after, strict=True):
        for name in _places(other, params):
            pair = groups.setdefault(name, ([], []))
            pair[0].append(one)
            pair[1].append(other)
    dimensions = [dimension for dimension, _ in groups]
    return {name: pair for name, pair in groups.items() if dimensions.count(name[0]) > 1}


def _places(row: UtteranceResult, params: EvaluateParams) -> Iterator[tuple[str, str]]:
    bands = {"snr_db": params.slices.snr_db, "duration_s": params.slices.duration_s}
    utterance = Utterance(
        id=row.id, audio_digest="", source=row.source, speaker=row.speaker, condition=row.condition, split="test",
        duration_s=row.duration_s, snr_db=row.snr_db, reference=row.reference, session=row.columns.get("session"),
        tags=row.columns,
    )  # fmt: skip
    for dimension, (_, value) in places(utterance, bands, params.slices.columns).items():
        yield dimension, value


def _slice(
    dimension: str, value: str, before: Sequence[UtteranceResult], after: Sequence[UtteranceResult], params: EvaluateParams
) -> tuple[SliceChange, float | None]:
    unit = unit_for(len({row.speaker for row in before}), params)
    (found,) = paired_rates([paired_counts(before, after, unit)], params.bootstrap_samples, params.confidence, params.seed)
    words = sum(row.words for row in before)
    rates = [sum(row.tuned_errors for row in rows) / words if words else None for rows in (before, after)]
    points, low, high = (known(v * 100) for v in (found.difference.point, found.difference.low, found.difference.high))
    change = SliceChange(dimension, value, len(before), rates[0], rates[1], points, low, high, None)
    return change, known(found.difference.p_value)
