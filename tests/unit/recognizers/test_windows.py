import numpy as np
import pytest

from attune.recognizers.windows import cut

_WINDOW = 5 * 16_000


@pytest.mark.parametrize("count", [0, 1, _WINDOW - 1, _WINDOW, _WINDOW + 1, 2 * _WINDOW, 3 * _WINDOW, 7 * _WINDOW + 123])
def test_pieces_joined_are_the_clip_and_none_is_longer_than_the_window(count: int) -> None:
    samples = np.random.default_rng(count).standard_normal(count).astype(np.float32)
    pieces = cut(samples, _WINDOW)
    np.testing.assert_array_equal(np.concatenate(pieces), samples)
    assert max(len(piece) for piece in pieces) <= _WINDOW
    assert all(len(piece) >= _WINDOW // 10 for piece in pieces) or count < _WINDOW // 10


def test_a_clip_is_cut_in_its_pause() -> None:
    samples = np.random.default_rng(0).standard_normal(8 * 16_000).astype(np.float32)
    samples[int(3.9 * 16_000) : int(4.3 * 16_000)] = 0.0
    first, rest = cut(samples, _WINDOW)
    assert 3.9 < len(first) / 16_000 < 4.3
    assert len(rest) == len(samples) - len(first)


def test_silence_is_cut_as_late_as_possible() -> None:
    pieces = cut(np.zeros(8 * 16_000, np.float32), _WINDOW)
    assert len(pieces[0]) == _WINDOW


def test_a_clip_that_fits_is_left_whole() -> None:
    assert len(cut(np.ones(_WINDOW, np.float32), _WINDOW)) == 1
