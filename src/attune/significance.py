"""How sure a rate or a difference is: bootstrap intervals over utterances, vectorised, in flat memory.

Method: M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP
2004. Utterances are drawn with replacement; each resample gives a rate as a ratio of sums; the interval lies between
the percentiles of these rates. Where speakers rather than utterances are to be drawn, pass sums per speaker.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = Sequence[int] | NDArray[np.int64]
_DRAWS_AT_ONCE = 2_000_000
"""Bounds the memory to some 60 MB, whatever the number of resamples."""


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

    @property
    def certain(self) -> bool:
        """Whether the interval leaves zero out, on either side."""
        return self.low > 0 or self.high < 0


def bootstrap_interval(errors: Counts, lengths: Counts, samples: int, confidence: float, seed: int) -> Interval:
    """Interval of `sum(errors) / sum(lengths)`, both one entry an utterance, from `samples` resamples.

    Resamples that hold no reference token at all have no rate and are left out.
    """
    drawn_errors, drawn_lengths = _resampled_sums((errors, lengths), samples, seed).T
    return _interval(_ratio(drawn_errors, drawn_lengths), confidence)


def paired_difference(
    base_errors: Counts, tuned_errors: Counts, lengths: Counts, samples: int, confidence: float, seed: int
) -> PairedDifference:
    """Base rate minus tuned rate with its interval, from the same resampled utterances for both systems."""
    base, tuned, drawn_lengths = _resampled_sums((base_errors, tuned_errors, lengths), samples, seed).T
    interval = _interval(_ratio(base - tuned, drawn_lengths), confidence)
    total, saved = float(np.sum(lengths)), float(np.sum(base_errors)) - float(np.sum(tuned_errors))
    better = float(np.mean(np.sign(base - tuned) / 2 + 0.5)) if len(base) else float("nan")
    return PairedDifference(saved / total if total else float("nan"), interval.low, interval.high, better)


def _resampled_sums(columns: Sequence[Counts], samples: int, seed: int) -> NDArray[np.float64]:
    """Sums of each column over utterances drawn with replacement: shape (samples, columns), or (0, columns) for no utterance."""
    table = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
    utterances = len(table)
    if not utterances:
        return np.empty((0, len(columns)))
    generator = np.random.default_rng(seed)
    sums = np.empty((samples, len(columns)))
    rows = max(1, _DRAWS_AT_ONCE // utterances)
    for start in range(0, samples, rows):
        chunk = sums[start : start + rows]
        drawn = generator.integers(utterances, size=(len(chunk), utterances))
        drawn += np.arange(len(chunk))[:, None] * utterances
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        chunk[:] = times @ table
    return sums


def _ratio(errors: NDArray[np.float64], lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    present = lengths > 0
    return errors[present] / lengths[present]


def _interval(rates: NDArray[np.float64], confidence: float) -> Interval:
    if not len(rates):
        return Interval(float("nan"), float("nan"))
    tail = (1 - confidence) / 2
    low, high = np.quantile(rates, (tail, 1 - tail))
    return Interval(float(low), float(high))
