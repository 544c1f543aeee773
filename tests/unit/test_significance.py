"""Intervals that hold what they promise, from the same numbers every time."""

import math
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from attune import significance
from attune.significance import Interval, bootstrap_interval, paired_difference

Counts = NDArray[np.int64]


def _utterances(count: int, rate: float, seed: int) -> tuple[Counts, Counts]:
    """Errors and lengths of utterances whose true error rate is `rate`, each with a difficulty of its own."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(3, 15, count)
    difficulty = draw.beta(4 * rate, 4 * (1 - rate), count)
    return draw.binomial(lengths, difficulty), lengths


def test_interval_holds_the_pooled_rate_and_narrows_with_data() -> None:
    wide, narrow = (
        bootstrap_interval(*_utterances(count, 0.3, seed=1), samples=2000, confidence=0.95, seed=7) for count in (100, 2500)
    )
    assert narrow.low < 0.3 < narrow.high
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(5, rel=0.25)


def test_interval_agrees_with_the_delta_method() -> None:
    errors, lengths = _utterances(1000, 0.3, seed=2)
    rate = errors.sum() / lengths.sum()
    deviation = math.sqrt(np.var(errors - rate * lengths) / len(lengths)) / lengths.mean()
    interval = bootstrap_interval(errors, lengths, samples=10_000, confidence=0.95, seed=1)
    assert interval.low == pytest.approx(rate - 1.96 * deviation, abs=0.15 * deviation)
    assert interval.high == pytest.approx(rate + 1.96 * deviation, abs=0.15 * deviation)


def test_95_percent_intervals_cover_the_truth_about_95_times_in_100() -> None:
    trials = 400
    covered = 0
    for trial in range(trials):
        interval = bootstrap_interval(*_utterances(200, 0.25, seed=trial), samples=600, confidence=0.95, seed=trial)
        covered += interval.low <= 0.25 <= interval.high
    assert 0.92 <= covered / trials <= 0.975


def test_equal_systems_are_called_different_at_most_as_often_as_promised() -> None:
    trials, called = 400, 0
    for trial in range(trials):
        draw = np.random.default_rng(trial)
        lengths = draw.integers(3, 15, 200)
        difficulty = draw.beta(1, 3, 200)
        base, tuned = draw.binomial(lengths, difficulty), draw.binomial(lengths, difficulty)
        called += paired_difference(base, tuned, lengths, samples=600, confidence=0.95, seed=trial).certain
    assert 0 < called / trials <= 0.075


def test_resampling_both_systems_together_is_sharper_than_apart() -> None:
    base, lengths = _utterances(300, 0.4, seed=3)
    tuned = np.maximum(base - 1, 0)
    apart = bootstrap_interval(base, lengths, samples=2000, confidence=0.95, seed=1)
    together = paired_difference(base, tuned, lengths, samples=2000, confidence=0.95, seed=1)
    assert together.high - together.low < 0.5 * (apart.high - apart.low)


def test_better_tuned_system_has_a_positive_difference() -> None:
    difference = paired_difference([4, 3, 5, 2] * 20, [1, 1, 2, 0] * 20, [10, 8, 9, 5] * 20, samples=500, confidence=0.95, seed=1)
    assert difference.point == pytest.approx(10 / 32)
    assert 0 < difference.low <= difference.point <= difference.high
    assert difference.probability_better == 1.0
    assert difference.certain


def test_worse_tuned_system_has_a_negative_difference_and_is_certain_too() -> None:
    difference = paired_difference([0, 1] * 40, [3, 4] * 40, [10, 10] * 40, samples=500, confidence=0.95, seed=1)
    assert difference.high < 0
    assert difference.probability_better == 0.0
    assert difference.certain


def test_equal_texts_leave_no_difference_and_even_odds() -> None:
    difference = paired_difference([1, 2, 0], [1, 2, 0], [5, 5, 5], samples=200, confidence=0.95, seed=1)
    assert (difference.point, difference.low, difference.high) == (0, 0, 0)
    assert difference.probability_better == 0.5
    assert not difference.certain


def test_same_seed_gives_the_same_bounds_and_another_seed_others() -> None:
    errors, lengths = _utterances(150, 0.3, seed=4)
    first, again, other = (bootstrap_interval(errors, lengths, 300, 0.95, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_higher_confidence_is_wider() -> None:
    errors, lengths = _utterances(150, 0.3, seed=5)
    usual, strict = (bootstrap_interval(errors, lengths, 2000, confidence, seed=1) for confidence in (0.95, 0.99))
    assert strict.low < usual.low < usual.high < strict.high


def test_one_utterance_gives_an_interval_of_its_own_rate() -> None:
    assert bootstrap_interval([1], [4], samples=100, confidence=0.95, seed=1) == Interval(0.25, 0.25)


def test_no_utterance_gives_no_bounds() -> None:
    interval = bootstrap_interval([], [], samples=100, confidence=0.95, seed=1)
    difference = paired_difference([], [], [], samples=100, confidence=0.95, seed=1)
    values = (interval.low, interval.high, difference.point, difference.low, difference.high, difference.probability_better)
    assert all(math.isnan(value) for value in values)
    assert not difference.certain


def test_references_without_words_give_no_bounds_and_resamples_without_words_are_left_out() -> None:
    assert math.isnan(bootstrap_interval([2], [0], samples=100, confidence=0.95, seed=1).low)
    mixed = bootstrap_interval([2, 1], [0, 4], samples=200, confidence=0.95, seed=1)
    assert 0 < mixed.low <= mixed.high < math.inf


def test_memory_does_not_grow_with_the_number_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "_DRAWS_AT_ONCE", 20_000)
    errors, lengths = _utterances(1000, 0.3, seed=6)
    peaks = []
    for samples in (100, 2000):
        tracemalloc.start()
        bootstrap_interval(errors, lengths, samples, confidence=0.95, seed=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] > 100_000
    assert peaks[1] < 1.5 * peaks[0]


def test_work_in_chunks_resamples_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    errors, lengths = _utterances(70, 0.3, seed=8)
    whole = bootstrap_interval(errors, lengths, 999, confidence=0.9, seed=1)
    monkeypatch.setattr(significance, "_DRAWS_AT_ONCE", 70 * 7)
    assert bootstrap_interval(errors, lengths, 999, confidence=0.9, seed=1) == whole
