"""A recogniser that is too sure of itself, and what is made of its confidences."""

from typing import Any

import numpy as np
import pytest

from attune.calibration import calibrate, expected_calibration_error, reliability


def overconfident(count: int) -> tuple[Any, Any]:
    """Confidence c, right with the probability c³."""
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0, 1, count)
    return confidences, rng.uniform(0, 1, count) < confidences**3


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibration_brings_confidence_to_the_share_of_right_ones(method: Any) -> None:
    learnt = calibrate(*overconfident(2000), method)
    assert learnt is not None
    assert learnt.error_before == pytest.approx(0.25, abs=0.03)
    assert learnt.error_after < 0.04
    said = learnt.apply(np.array([0.2, 0.5, 0.8]))
    assert np.all(np.diff(said) >= 0)
    assert said == pytest.approx([0.008, 0.125, 0.512], abs=0.08)
    assert learnt.held_out.shape == (2000,)


@pytest.mark.parametrize("right", [[True] * 40, [False] * 40, [True] * 36 + [False] * 4])
def test_too_few_of_a_kind_teach_nothing(right: list[bool]) -> None:
    assert calibrate(np.linspace(0.1, 0.9, 40), np.array(right), "platt") is None


def test_the_error_is_the_weighted_distance_in_bins() -> None:
    probabilities, right = np.array([0.9, 0.9, 0.9, 0.9, 0.15]), np.array([True, True, False, False, False])
    assert expected_calibration_error(probabilities, right) == pytest.approx((4 * 0.4 + 1 * 0.15) / 5)
    assert reliability(probabilities, right) == {0.15: 0.0, 0.95: 0.5}


def test_perfect_confidence_has_no_error() -> None:
    assert expected_calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0.0
    assert expected_calibration_error(np.array([]), np.array([], dtype=bool)) == 0.0
