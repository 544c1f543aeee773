"""How often is a recogniser right that says it is sure? Confidences turned into that share, learnt where it is known.

Platt scaling: J. Platt, "Probabilistic outputs for support vector machines", 1999, here on the log-odds of the confidence.
Isotonic regression: B. Zadrozny, C. Elkan, "Transforming classifier scores into accurate multiclass probability estimates",
KDD 2002. Expected calibration error: C. Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["platt", "isotonic"]
Probabilities = NDArray[np.float64]

_BINS = 10
_FOLDS = 5
_FEWEST = 5
_EDGE = 1e-6


@dataclass(frozen=True)
class Calibration:
    """A learnt map, and what it is worth on what it was not learnt from."""

    apply: Callable[[Probabilities], Probabilities]
    learnt_from: int
    error_before: float
    error_after: float
    """Both expected calibration errors, 0 to 1; afterwards each fifth is judged by a map learnt from the others."""
    held_out: Probabilities
    """What those maps say of each example."""

    def rows(self, confidences: Probabilities, right: NDArray[np.bool_]) -> list[dict[str, float | None]]:
        """Of a plot: for each bin of said probability, the share of right ones before and after, and what it should be."""
        before, after = reliability(confidences, right), reliability(self.held_out, right)
        middles = sorted({*before, *after})
        return [{"said": m, "before": before.get(m), "after": after.get(m), "ideal": m} for m in middles]


def calibrate(confidences: Probabilities, right: NDArray[np.bool_], method: Method) -> Calibration | None:
    """A map from confidence to the probability of being right, shapes (examples,).

    None where there are too few to learn from: five right and five wrong ones are the least.
    """
    if min(right.sum(), (~right).sum()) < _FEWEST:
        return None
    held_out, part = np.empty_like(confidences), np.arange(confidences.size) % _FOLDS
    ordered = np.argsort(confidences, kind="stable")  # each part is then spread over all confidences
    for fold in range(_FOLDS):
        rest, tested = ordered[part != fold], ordered[part == fold]
        held_out[tested] = _fit(confidences[rest], right[rest], method)(confidences[tested])
    return Calibration(
        apply=_fit(confidences, right, method),
        learnt_from=confidences.size,
        error_before=expected_calibration_error(confidences, right),
        error_after=expected_calibration_error(held_out, right),
        held_out=held_out,
    )


def expected_calibration_error(probabilities: Probabilities, right: NDArray[np.bool_]) -> float:
    """Mean distance between probability and share of right ones in ten equal bins, weighted by their sizes; 0 for none."""
    total = 0.0
    for _, inside in _bins(probabilities):
        total += inside.sum() * abs(float(probabilities[inside].mean()) - float(right[inside].mean()))
    return total / max(1, probabilities.size)


def reliability(probabilities: Probabilities, right: NDArray[np.bool_]) -> dict[float, float]:
    """For the middle of each bin that holds some, the share of right ones."""
    return {round((number + 0.5) / _BINS, 3): round(float(right[inside].mean()), 4) for number, inside in _bins(probabilities)}


def _bins(probabilities: Probabilities) -> list[tuple[int, NDArray[np.bool_]]]:
    place = np.clip((probabilities * _BINS).astype(int), 0, _BINS - 1)
    return [(number, place == number) for number in range(_BINS) if (place == number).any()]


def _fit(confidences: Probabilities, right: NDArray[np.bool_], method: Method) -> Callable[[Probabilities], Probabilities]:
    if method == "isotonic" or right.all() or not right.any():
        from sklearn.isotonic import IsotonicRegression

        steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(confidences, right.astype(float))
        return lambda some: np.asarray(steps.predict(some), dtype=np.float64)
    from sklearn.linear_model import LogisticRegression

    curve: Any = LogisticRegression(C=1e6).fit(_log_odds(confidences), right)
    return lambda some: np.asarray(curve.predict_proba(_log_odds(some))[:, 1], dtype=np.float64)


def _log_odds(probabilities: Probabilities) -> Probabilities:
    inside = np.clip(probabilities, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside / (1 - inside))[:, None])
