"""How well labels are told: counts of a table of two by two, and what follows from them; scikit-learn does the curves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class Table:
    """Clips by what they are and what they were called. `+` pools counts, so rates are never averaged."""

    hits: int = 0
    """Speech called speech."""
    misses: int = 0
    false_alarms: int = 0
    """Nonspeech called speech."""
    rejections: int = 0

    def __add__(self, other: "Table") -> "Table":
        return Table(
            self.hits + other.hits,
            self.misses + other.misses,
            self.false_alarms + other.false_alarms,
            self.rejections + other.rejections,
        )

    @property
    def clips(self) -> int:
        return self.hits + self.misses + self.false_alarms + self.rejections

    @property
    def right(self) -> int:
        return self.hits + self.rejections

    @property
    def accuracy(self) -> float | None:
        return self.right / self.clips if self.clips else None

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of the shares of either class that are right; None where a class is missing."""
        speech, other = self.hits + self.misses, self.false_alarms + self.rejections
        return (self.hits / speech + self.rejections / other) / 2 if speech and other else None

    @property
    def f1(self) -> float | None:
        """Of SPEECH; None where nothing is speech and nothing was called so."""
        total = 2 * self.hits + self.misses + self.false_alarms
        return 2 * self.hits / total if total else None


def table(truth: Truth, called: Truth) -> Table:
    """Counts of clips that are and are called speech, shapes (clips,)."""
    return Table(
        int((truth & called).sum()), int((truth & ~called).sum()), int((~truth & called).sum()), int((~truth & ~called).sum())
    )


def roc(truth: Truth, said: Scores) -> list[tuple[float, float, float]]:
    """False-alarm rate, hit rate and threshold, from the strictest on. Both classes must be there."""
    from sklearn.metrics import roc_curve

    false_alarms, hits, thresholds = roc_curve(truth, said)
    return [(float(f), float(h), float(t)) for f, h, t in zip(false_alarms, hits, thresholds, strict=True)]


def area_under_roc(truth: Truth, said: Scores) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, said))


def det(truth: Truth, said: Scores) -> list[tuple[float, float]]:
    """False-alarm rate and miss rate at each threshold (detection error trade-off; Martin et al., 1997)."""
    from sklearn.metrics import det_curve

    false_alarms, misses, _ = det_curve(truth, said)
    return [(float(f), float(m)) for f, m in zip(false_alarms, misses, strict=True)]


def equal_error_rate(truth: Truth, said: Scores) -> float:
    """Where as large a share of nonspeech is called speech as of speech is missed, interpolated on the ROC curve."""
    points = np.array([(f, 1 - h) for f, h, _ in roc(truth, said)])
    gaps = points[:, 1] - points[:, 0]  # falls from 1 to -1
    place = int(np.argmax(gaps <= 0))
    if place == 0 or gaps[place] == 0:
        return float(points[place].mean())
    share = gaps[place - 1] / (gaps[place - 1] - gaps[place])
    return float((points[place - 1] + share * (points[place] - points[place - 1])).mean())


def mcnemar(base_right: Sequence[bool], tuned_right: Sequence[bool]) -> tuple[int, int, float]:
    """Clips that only the base has right, those that only the tuned model has, and the exact two-sided p (McNemar, 1947)."""
    from scipy.stats import binomtest

    pairs = list(zip(base_right, tuned_right, strict=True))
    base, tuned = sum(b and not t for b, t in pairs), sum(t and not b for b, t in pairs)
    return base, tuned, float(binomtest(base, base + tuned, 0.5).pvalue) if base + tuned else 1.0


def interval(counts: Table, confidence: float) -> tuple[float, float] | None:
    """Of the accuracy: Wilson's score interval (1927); None for no clips."""
    from scipy.stats import binomtest

    if not counts.clips:
        return None
    found = binomtest(counts.right, counts.clips).proportion_ci(confidence, "wilson")
    return float(found.low), float(found.high)


def balanced_interval(counts: Table, confidence: float) -> tuple[float, float] | None:
    """Of the balanced accuracy: Wilson's intervals of both classes, put together by squaring and adding (Newcombe, 1998; method
    10 there); None where a class is missing."""
    centre = counts.balanced_accuracy
    speech, other = (
        Table(hits=counts.hits, misses=counts.misses),
        Table(false_alarms=counts.false_alarms, rejections=counts.rejections),
    )
    parts = [(part.accuracy, interval(part, confidence)) for part in (speech, other)]
    if centre is None:
        return None
    below = sum((share - bounds[0]) ** 2 for share, bounds in parts if share is not None and bounds)
    above = sum((bounds[1] - share) ** 2 for share, bounds in parts if share is not None and bounds)
    return centre - below**0.5 / 2, centre + above**0.5 / 2
