"""Intervals that hold what they promise, from the same numbers every time."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from attune.significance import PairedCounts, bootstrap_interval, holm, minimum_detectable, paired_difference

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


def test_one_utterance_has_no_bounds_as_it_tells_nothing_of_others() -> None:
    assert math.isnan(bootstrap_interval([1], [4], samples=100, confidence=0.95, seed=1).low)
    difference = paired_difference([1], [0], [4], samples=100, confidence=0.95, seed=1)
    assert difference.point == 0.25
    assert math.isnan(difference.low)
    assert math.isnan(difference.p_value)
    assert not difference.certain


def test_no_utterance_gives_no_bounds() -> None:
    interval = bootstrap_interval([], [], samples=100, confidence=0.95, seed=1)
    difference = paired_difference([], [], [], samples=100, confidence=0.95, seed=1)
    values = (interval.low, interval.high, difference.point, difference.low, difference.high, difference.probability_better)
    assert all(math.isnan(value) for value in values)
    assert not difference.certain


def test_references_without_words_give_no_bounds_and_resamples_without_words_are_left_out() -> None:
    assert math.isnan(bootstrap_interval([2], [0], samples=100, confidence=0.95, seed=1).low)
    mixed = bootstrap_interval([2, 1] * 15, [0, 4] * 15, samples=200, confidence=0.95, seed=1)
    assert 0 < mixed.low <= mixed.high < math.inf


def test_bounds_agree_with_scipy_s_bootstrap() -> None:
    errors, lengths = _utterances(300, 0.3, seed=9)
    peer = stats.bootstrap(
        (errors, lengths), lambda e, n, axis=-1: e.sum(axis=axis) / n.sum(axis=axis), paired=True, vectorized=True,
        n_resamples=10_000, method="percentile", rng=np.random.default_rng(3),
    )  # fmt: skip
    ours = bootstrap_interval(errors, lengths, samples=10_000, confidence=0.95, seed=1)
    assert ours.low == pytest.approx(peer.confidence_interval.low, abs=0.1 * peer.standard_error)
    assert ours.high == pytest.approx(peer.confidence_interval.high, abs=0.1 * peer.standard_error)


def test_p_value_is_small_exactly_where_the_interval_leaves_zero_out() -> None:
    seen = set()
    for trial in range(60):
        draw = np.random.default_rng(trial)
        lengths = draw.integers(3, 15, 12)
        base, tuned = draw.binomial(lengths, 0.4), draw.binomial(lengths, 0.25)
        difference = paired_difference(base, tuned, lengths, samples=4000, confidence=0.95, seed=trial)
        if abs(difference.p_value - 0.05) > 0.01:
            assert difference.certain == (difference.p_value < 0.05)
            seen.add(difference.certain)
    assert seen == {True, False}


def test_p_value_is_near_that_of_the_normal_test_where_there_are_many() -> None:
    draw = np.random.default_rng(2)
    lengths = np.full(2000, 10)
    base, tuned = draw.binomial(10, 0.3, 2000), draw.binomial(10, 0.286, 2000)
    found = paired_difference(base, tuned, lengths, samples=10_000, confidence=0.95, seed=1)
    assert found.p_value == pytest.approx(stats.ttest_rel(base, tuned).pvalue, rel=0.35)


def test_blocks_are_summed_so_that_what_speakers_share_is_counted_once() -> None:
    counts = PairedCounts([1, 2, 3], [0, 1, 1], [5, 6, 7]).by_block(["ben", "anna", "ben"])
    assert [list(column) for column in (counts.base, counts.tuned, counts.lengths)] == [[4, 2], [1, 1], [12, 6]]


def test_intervals_by_speaker_cover_the_truth_where_those_by_utterance_do_not() -> None:
    covered = {"speakers": 0, "utterances": 0}
    trials = 200
    for trial in range(trials):
        draw = np.random.default_rng(trial)
        speaker = np.repeat(np.arange(15), 20)
        lengths = draw.integers(3, 15, 300)
        errors = draw.binomial(lengths, draw.beta(2, 6, 15)[speaker])
        counts = PairedCounts(errors, errors, lengths)
        for unit, some in (("utterances", counts), ("speakers", counts.by_block(speaker.tolist()))):
            bounds = bootstrap_interval(some.base, some.lengths, samples=500, confidence=0.95, seed=trial)
            covered[unit] += bounds.low <= 0.25 <= bounds.high
    assert covered["utterances"] / trials < 0.7
    assert covered["speakers"] / trials > 0.9


def test_few_units_that_are_all_alike_are_no_proof() -> None:
    few = paired_difference([2] * 4, [1] * 4, [5] * 4, samples=200, confidence=0.95, seed=1)
    assert math.isnan(few.low)
    assert few.p_value == 0.125
    more = paired_difference([2] * 8, [1] * 8, [5] * 8, samples=200, confidence=0.95, seed=1)
    assert (more.low, more.high, more.certain) == (0.2, 0.2, True)


@pytest.mark.parametrize("speakers", [2, 4, 7, 12, 19, 25])
def test_intervals_hold_the_truth_however_few_the_units_are(speakers: int) -> None:
    held, trials = 0, 400
    for trial in range(trials):
        draw = np.random.default_rng(trial)
        lengths = draw.integers(100, 300, speakers)
        errors = draw.binomial(lengths, draw.beta(8, 24, speakers))
        bounds = bootstrap_interval(errors, lengths, samples=300, confidence=0.95, seed=trial)
        held += bounds.low <= 0.25 <= bounds.high
    assert 0.91 <= held / trials <= 0.985


def test_bounds_of_few_units_are_student_s_t_where_all_are_as_long() -> None:
    errors = [3, 5, 2, 6, 4]
    found = bootstrap_interval(errors, [10] * 5, samples=100, confidence=0.95, seed=1)
    peer = stats.ttest_1samp(np.array(errors) / 10, 0).confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(peer.low), pytest.approx(peer.high))


def test_holm_gives_the_published_values() -> None:
    """As R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.04, 0.001, 0.6]) == pytest.approx([0.08, 0.003, 0.6])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([0.04, float("nan")])[0] == 0.04


def test_the_smallest_detectable_difference_is_found_four_times_in_five() -> None:
    draw = np.random.default_rng(1)
    lengths = np.full(200, 10)
    difficulty = draw.beta(2, 4, 200)
    smallest = minimum_detectable(PairedCounts(draw.binomial(10, difficulty), draw.binomial(10, difficulty), lengths), 0.95)
    found, trials = 0, 200
    for trial in range(trials):
        other = np.random.default_rng(100 + trial)
        level = other.beta(2, 4, 200)
        base, tuned = other.binomial(10, np.minimum(1, level + smallest)), other.binomial(10, level)
        found += paired_difference(base, tuned, lengths, samples=400, confidence=0.95, seed=trial).certain
    assert 0.68 < found / trials < 0.92


def test_nothing_is_detectable_where_nothing_differs_or_too_little_was_tested() -> None:
    assert math.isnan(minimum_detectable(PairedCounts([1, 2], [1, 2], [5, 5]), 0.95))
    assert math.isnan(minimum_detectable(PairedCounts([1], [2], [5]), 0.95))
    assert math.isnan(minimum_detectable(PairedCounts([], [], []), 0.95))
