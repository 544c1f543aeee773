"""Both models on the whole test and on its slices: by condition, noise, length, speaker, source and named columns."""

import math
from collections.abc import Collection, Iterator, Sequence

from attune.errors import ParamsError
from attune.params import EvaluateParams
from attune.records import ErrorCounts
from attune.report.pairs import Pair, characters, counts, words
from attune.report.results import Difference, ModelScores, SliceScores, Unit
from attune.scoring import pool
from attune.significance import Interval, PairedDifference, paired_rates
from attune.slicing import column_of, places

ENOUGH_SPEAKERS = 5
"""From so many on `auto` resamples speakers."""
_POINTS = 100


def overall(pairs: Sequence[Pair], params: EvaluateParams) -> SliceScores:
    """The whole test."""
    return _scores("overall", "all", pairs, params)


def out_of_domain(pairs: Sequence[Pair], params: EvaluateParams) -> SliceScores | None:
    """What the base model could and must not forget, which is no part of the test; None where there is none."""
    return _scores("out_of_domain", "all", pairs, params) if pairs else None


def slices(pairs: Sequence[Pair], params: EvaluateParams) -> tuple[SliceScores, ...]:
    """In the order of dimensions, then of values; a dimension that parts nothing is left out, but for the condition, and so
    are folders that are nothing but the conditions.

    Raises ParamsError where a column of `evaluate.slices.columns` is in no manifest.
    """
    _require_columns(pairs, params.slices.columns)
    return tuple(_scores(*name, members, params) for name, members in _members(pairs, params))


def deciding_unit(pairs: Sequence[Pair], params: EvaluateParams) -> Unit:
    """What is resampled of them: as `evaluate.resample` says, but never less than two speakers."""
    return unit_for(len({pair.utterance.speaker for pair in pairs}), params)


def unit_for(speakers: int, params: EvaluateParams) -> Unit:
    """The same, of so many speakers."""
    if params.resample == "auto":
        return "speakers" if speakers >= ENOUGH_SPEAKERS else "utterances"
    return "utterances" if speakers < 2 else params.resample


def known_tags(pairs: Sequence[Pair]) -> list[str]:
    """Columns of manifests that tell something of them."""
    told = {"session" for pair in pairs if pair.utterance.session is not None}
    return sorted(told | {tag for pair in pairs for tag in pair.utterance.tags})


def difference(found: PairedDifference) -> Difference:
    """In percentage points, None for what is not known."""
    return Difference(
        points=known(found.point * _POINTS),
        low=known(found.low * _POINTS),
        high=known(found.high * _POINTS),
        probability_better=known(found.probability_better),
    )


def known(value: float) -> float | None:
    """None for NaN."""
    return None if math.isnan(value) else value


def _members(pairs: Sequence[Pair], params: EvaluateParams) -> Iterator[tuple[tuple[str, str], list[Pair]]]:
    bands = {"snr_db": params.slices.snr_db, "duration_s": params.slices.duration_s}
    placed = [(pair, places(pair.utterance, bands, params.slices.columns)) for pair in pairs]
    for dimension in placed[0][1]:
        groups: dict[tuple[int, str], list[Pair]] = {}
        for pair, place in placed:
            groups.setdefault(place[dimension], []).append(pair)
        again = dimension == "source" and _parts_alike(groups.values())
        if (len(groups) > 1 and not again) or dimension == "condition":
            for order, value in sorted(groups):
                yield (dimension, value), groups[order, value]


def _parts_alike(groups: Collection[Sequence[Pair]]) -> bool:
    """Whether these are the very groups that the conditions make."""
    conditions = [{pair.utterance.condition for pair in members} for members in groups]
    return all(len(each) == 1 for each in conditions) and len(set().union(*conditions)) == len(groups)


def _require_columns(pairs: Sequence[Pair], columns: Sequence[str]) -> None:
    known_columns = known_tags(pairs)
    for column in columns:
        if all(column_of(pair.utterance, column) is None for pair in pairs):
            raise ParamsError(
                f"evaluate.slices.columns names {column!r}, of which no test utterance says anything; their columns are: "
                f"{', '.join(known_columns) or 'none beyond those that Attune reads itself'}"
            )


def _scores(dimension: str, value: str, pairs: Sequence[Pair], params: EvaluateParams) -> SliceScores:
    unit = deciding_unit(pairs, params)
    tokens = [counts(pairs, kind) for kind in (words, characters)]
    if unit == "speakers":
        tokens = [each.by_block([pair.utterance.speaker for pair in pairs]) for each in tokens]
    wer, cer = paired_rates(tokens, params.bootstrap_samples, params.confidence, params.seed)
    base, tuned = pool(pair.base for pair in pairs), pool(pair.tuned for pair in pairs)
    gone = wer.difference.point / base[0].rate if base[0].errors and base[0].reference_length else float("nan")
    return SliceScores(
        dimension=dimension,
        value=value,
        utterances=len(pairs),
        speakers=len({pair.utterance.speaker for pair in pairs}),
        words=base[0].reference_length,
        hours=round(sum(pair.utterance.duration_s for pair in pairs) / 3600, 4),
        unit=unit,
        base=_model(*base, wer.base, cer.base, sum(pair.base.words.errors > 0 for pair in pairs)),
        tuned=_model(*tuned, wer.tuned, cer.tuned, sum(pair.tuned.words.errors > 0 for pair in pairs)),
        wer_improvement=difference(wer.difference),
        cer_improvement=difference(cer.difference),
        relative_improvement=known(gone),
    )


def _model(spoken: ErrorCounts, written: ErrorCounts, wer: Interval, cer: Interval, error_samples: int) -> ModelScores:
    return ModelScores(
        wer=known(spoken.rate),
        wer_low=known(wer.low),
        wer_high=known(wer.high),
        cer=known(written.rate),
        cer_low=known(cer.low),
        cer_high=known(cer.high),
        substitutions=spoken.substitutions,
        deletions=spoken.deletions,
        insertions=spoken.insertions,
        error_samples=error_samples,
    )
