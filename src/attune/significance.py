"""How sure a rate or a difference is: bootstrap intervals, p-values, Holm's correction, what a test can detect at all.

Bootstrap: M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004:
units are drawn with replacement, each resample gives a rate as a ratio of sums. A unit is an utterance, or with the sums of
each speaker a speaker, so that what their utterances have in common is not counted as evidence many times.

The percentiles are a little further out than the plain ones, which are too narrow where units are few: T. Hesterberg, "What
teachers should know about the bootstrap", The American Statistician 69 (2015), section 3.2 ("expanded percentile"); from some
hundred units on that makes no difference. Fewer than twenty units, a handful of speakers say, cannot tell by resampling how
far others would lie: there the bounds are those of Student's t with the standard error of a ratio of sums (W. Cochran,
"Sampling techniques", 1977, section 6.4). One unit tells nothing of others: then there are no bounds (NaN).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from attune.resampling import Counts, resampled_sums

Column = NDArray[np.int64] | NDArray[np.float64]
_POWER = 0.8
_RESAMPLED_FROM = 20
"""Units; `benchmarks/evaluate.py coverage` measures what intervals of fewer hold."""


@dataclass(frozen=True)
class Interval:
    """Bounds of a rate as fractions, or of a difference; NaN where nothing could be resampled."""

    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """How much lower the tuned rate is than the base rate, as a fraction: positive is better."""

    point: float
    low: float
    high: float
    probability_better: float
    """Share of the resamples in which tuned made fewer errors; ties count half, so equal systems have 0.5."""
    p_value: float
    """Two-sided, of there being no difference; below 1 - confidence where the interval leaves zero out."""

    @property
    def certain(self) -> bool:
        """Whether the interval leaves zero out, on either side."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class PairedRates:
    """Two systems on the same units."""

    base: Interval
    tuned: Interval
    difference: PairedDifference


@dataclass(frozen=True)
class PairedCounts:
    """Errors of both systems and reference tokens, one entry a unit."""

    base: Counts
    tuned: Counts
    lengths: Counts

    def by_block(self, blocks: Sequence[object]) -> "PairedCounts":
        """Summed over the units that share a block, a speaker say; blocks in the order of their first unit."""
        places: dict[object, int] = {}
        place = np.array([places.setdefault(block, len(places)) for block in blocks], dtype=np.intp)
        columns = (self.base, self.tuned, self.lengths)
        sums = (np.bincount(place, np.asarray(column), len(places)).astype(np.int64) for column in columns)
        return PairedCounts(*sums)


def bootstrap_interval(errors: Counts, lengths: Counts, samples: int, confidence: float, seed: int) -> Interval:
    """Interval of `sum(errors) / sum(lengths)`, both one entry a unit, from `samples` resamples.

    Resamples that hold no reference token at all have no rate and are left out.
    """
    sums = resampled_sums((errors, lengths), samples, seed)
    return _rate_bounds(np.asarray(errors), np.asarray(lengths), sums, confidence)


def paired_difference(
    base_errors: Counts, tuned_errors: Counts, lengths: Counts, samples: int, confidence: float, seed: int
) -> PairedDifference:
    """Base rate minus tuned rate with its interval, from the same resampled units for both systems."""
    return paired_rates([PairedCounts(base_errors, tuned_errors, lengths)], samples, confidence, seed)[0].difference


def paired_rates(tokens: Sequence[PairedCounts], samples: int, confidence: float, seed: int) -> list[PairedRates]:
    """Intervals of both rates and of their difference for each kind of token (words, characters), all from the same draws."""
    columns = [column for counts in tokens for column in (counts.base, counts.tuned, counts.lengths)]
    sums = resampled_sums(columns, samples, seed)
    return [_paired(counts, sums[:, 3 * n : 3 * n + 3], confidence) for n, counts in enumerate(tokens)]


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for there being several, in their order: below 5% all together err in at most 5%.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979). NaN stays
    NaN and does not count.

    >>> holm([0.01, 0.04, 0.03, 0.005])
    [0.03, 0.06, 0.06, 0.02]
    """
    adjusted, reached = list(p_values), 0.0
    ordered = sorted((p, place) for place, p in enumerate(p_values) if p == p)
    for rank, (p, place) in enumerate(ordered):
        reached = max(reached, min(1.0, (len(ordered) - rank) * p))
        adjusted[place] = reached
    return adjusted


def minimum_detectable(counts: PairedCounts, confidence: float) -> float:
    """The smallest true difference of rates, as a fraction, that such a test finds certain four times in five.

    Normal approximation with the standard error of the paired difference as a ratio of sums (delta method). NaN for fewer than
    two units, or where all of them differ alike, which tells nothing of how others would differ.
    """
    saved, lengths = (np.asarray(c, dtype=np.float64) for c in (np.subtract(counts.base, counts.tuned), counts.lengths))
    units = len(saved)
    if units < 2 or not lengths.any() or not saved.any():
        return float("nan")
    error = _standard_error(saved, lengths)
    return float(stdtrit(units - 1, (1 + confidence) / 2) + ndtri(_POWER)) * error if error else float("nan")


def _paired(counts: PairedCounts, sums: NDArray[np.int64], confidence: float) -> PairedRates:
    units, (base, tuned, _) = len(counts.lengths), sums.T
    columns = [np.asarray(column) for column in (counts.base, counts.tuned, counts.lengths)]
    spoken = columns[2]
    saved, total = int(np.sum(counts.base)) - int(np.sum(counts.tuned)), int(np.sum(counts.lengths))
    bounds = _bounds(columns[0] - columns[1], spoken, base - tuned, sums[:, 2], confidence)
    if bounds.low == bounds.high and saved and 2.0 ** (1 - units) > 1 - confidence:
        bounds = Interval(float("nan"), float("nan"))  # all of a few units alike is no proof: their signs alone can be counted
    known = units > 1 and total > 0
    difference = PairedDifference(
        point=saved / total if total else float("nan"),
        low=bounds.low,
        high=bounds.high,
        probability_better=float(np.mean(np.sign(base - tuned) / 2 + 0.5)) if known else float("nan"),
        p_value=_two_sided(columns[0] - columns[1], spoken, base - tuned) if known else float("nan"),
    )
    one, other = (_rate_bounds(columns[place], spoken, sums[:, [place, 2]], confidence) for place in (0, 1))
    return PairedRates(one, other, difference)


def _two_sided(saved: Column, lengths: Column, drawn: Column) -> float:
    """Twice the smaller share of resamples at or beyond zero, expanded as the intervals are; Student's t for few units."""
    units = len(saved)
    if units < _RESAMPLED_FROM:
        error = _standard_error(saved, lengths)
        point = abs(float(saved.sum())) / float(lengths.sum())
        return float(2 * stdtr(units - 1, -point / error)) if error else 2.0 ** (1 - units) if point else 1.0
    smaller = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    tail = min(0.5, (smaller + 1) / (len(drawn) + 1))
    return float(2 * stdtr(units - 1, ndtri(tail) * np.sqrt((units - 1) / units)))


def _rate_bounds(errors: Column, lengths: Column, sums: Column, confidence: float) -> Interval:
    """Of a rate, which is never below 0; `sums` are those of the resamples, shape (samples, 2)."""
    bounds = _bounds(errors, lengths, sums[:, 0], sums[:, 1], confidence)
    return Interval(max(0.0, bounds.low) if bounds.low == bounds.low else bounds.low, bounds.high)


def _bounds(errors: Column, lengths: Column, drawn: Column, drawn_lengths: Column, confidence: float) -> Interval:
    present = drawn_lengths > 0
    units = len(errors)
    if units < 2 or not present.any():
        return Interval(float("nan"), float("nan"))
    if units < _RESAMPLED_FROM:
        point = float(errors.sum()) / float(lengths.sum())
        reach = float(stdtrit(units - 1, (1 + confidence) / 2)) * _standard_error(errors, lengths)
        return Interval(point - reach, point + reach)
    tail = float(ndtr(np.sqrt(units / (units - 1)) * stdtrit(units - 1, (1 - confidence) / 2)))
    low, high = np.quantile(drawn[present] / drawn_lengths[present], (tail, 1 - tail))
    return Interval(float(low), float(high))


def _standard_error(errors: Column, lengths: Column) -> float:
    """Of `sum(errors) / sum(lengths)`, by the residuals of the units."""
    units, total = len(errors), float(lengths.sum())
    residuals = errors - float(errors.sum()) / total * lengths
    return float(np.sqrt(units / (units - 1) * np.sum(residuals**2))) / total
