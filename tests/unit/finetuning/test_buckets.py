import numpy as np
import pytest

from attune.finetuning.buckets import LengthBuckets, order

LENGTHS = [float(n) for n in np.random.default_rng(0).uniform(1, 15, 203)]


@pytest.mark.parametrize("count", [1, 3, 8, 16, 203])
def test_every_example_comes_once_a_pass(count: int) -> None:
    for number in range(3):
        assert sorted(order(LENGTHS[:count], 8, 1, number)) == list(range(count))


def test_batches_are_of_like_length_and_their_order_is_mixed() -> None:
    batches = [order(LENGTHS, 8, 1, 0)[start : start + 8] for start in range(0, 200, 8)]
    heard = np.array([[LENGTHS[place] for place in batch] for batch in batches])
    padded = heard.max(1).sum() * 8 / heard.sum()
    assert padded < 1.12
    assert abs(np.corrcoef(np.arange(25), heard.mean(1))[0, 1]) < 0.6


def test_order_depends_on_seed_and_pass_and_on_nothing_else() -> None:
    sampler = LengthBuckets(LENGTHS, 8, 1)
    first = list(sampler)
    assert first == list(sampler) == order(LENGTHS, 8, 1, 0)
    sampler.set_epoch(1)
    assert first != list(sampler) == order(LENGTHS, 8, 1, 1)
    assert first != order(LENGTHS, 8, 2, 0)
    assert len(sampler) == 203


def test_a_clip_has_other_neighbours_in_another_pass() -> None:
    def beside(number: int) -> set[int]:
        places = order(LENGTHS[:200], 8, 1, number)
        start = places.index(7) // 8 * 8
        return set(places[start : start + 8])

    assert len({frozenset(beside(number)) for number in range(5)}) > 1
