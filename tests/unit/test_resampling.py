"""Resampled sums: exact, the same every time, in flat memory, whatever the sizes."""

import tracemalloc

import numpy as np
import pytest

from attune import resampling
from attune.resampling import resampled_sums


def test_sums_are_those_of_the_drawn_units() -> None:
    draw = np.random.default_rng(1)
    columns = [draw.integers(0, 50, 300) for _ in range(7)]
    sums = resampled_sums(columns, samples=200, seed=5)
    drawn = np.random.Generator(np.random.SFC64(5)).integers(300, size=(200, 300), dtype=np.uint32)
    assert np.array_equal(sums, np.stack([column[drawn].sum(axis=1) for column in columns], axis=1))


def test_every_unit_is_as_likely_as_another_and_as_often_in_all() -> None:
    which = np.eye(6, dtype=np.int64)
    counts = resampled_sums(list(which), samples=20_000, seed=1)
    assert (counts.sum(axis=1) == 6).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(6), abs=0.03)
    assert np.cov(counts.T) == pytest.approx(np.where(which, 5 / 6, -1 / 6), abs=0.03)


@pytest.mark.parametrize("largest", [1, 30, 40_000, 3_000_000, 2**40])
def test_large_counts_do_not_overflow(largest: int) -> None:
    columns = [np.full(500, largest), np.zeros(500, dtype=np.int64), np.full(500, 1), np.full(500, largest)]
    sums = resampled_sums(columns, samples=10, seed=1)
    assert (sums == np.array([500 * largest, 0, 500, 500 * largest])).all()


def test_more_units_than_fit_at_once_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "_DRAWS_AT_ONCE", 64)
    ones = np.ones(1000, dtype=np.int64)
    sums = resampled_sums([ones, np.arange(1000)], samples=50, seed=1)
    assert (sums[:, 0] == 1000).all()
    assert sums[:, 1].mean() == pytest.approx(499_500, rel=0.02)


def test_no_unit_gives_no_sums() -> None:
    assert resampled_sums([[], []], samples=10, seed=1).shape == (0, 2)


def test_memory_grows_neither_with_the_resamples_nor_with_the_units() -> None:
    peaks = []
    for units, samples in ((1000, 500), (1000, 4000), (300_000, 20)):
        columns = [np.ones(units, dtype=np.int64)] * 3
        tracemalloc.start()
        resampled_sums(columns, samples, seed=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] > 1_000_000
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[2] < peaks[0] + 60 * 300_000  # the columns themselves, beside each other and packed
