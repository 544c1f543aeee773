"""Sums over units drawn with replacement: the work of a bootstrap, exact, in flat memory, at some 5 ns a draw.

Each resample draws as many units as there are, independently and all equally likely; nothing is approximated. Speed comes
from counting small numbers together: three columns travel in one 64-bit word, so that a draw is looked up once for them.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Counts = Sequence[int] | NDArray[np.int64]
_DRAWS_AT_ONCE = 250_000
"""Bounds the memory to some 5 MB, whatever the number of units and resamples, and stays within a processor's cache."""
_BITS = 63
_FEWEST_TOGETHER = 64
"""So many units at least must fit into a sum before it is taken apart."""


def resampled_sums(columns: Sequence[Counts], samples: int, seed: int) -> NDArray[np.int64]:
    """Sums of each column (counts, none below 0) over the same drawn units: shape (samples, columns).

    Shape (0, columns) where there is no unit.
    """
    table = np.stack([np.asarray(column, dtype=np.int64) for column in columns])
    units = table.shape[1]
    if not units:
        return np.empty((0, len(table)), dtype=np.int64)
    packs, bits, longest = _packed(table)
    generator = np.random.Generator(np.random.SFC64(seed))
    sums = np.zeros((samples, len(table)), dtype=np.int64)
    for rows, length in _chunks(samples, units, longest):
        drawn = generator.integers(units, size=(rows.stop - rows.start, length), dtype=np.uint32).astype(np.intp)
        together = [pack.take(drawn).sum(axis=1) for pack in packs]
        sums[rows] += np.stack(list(_unpacked(together, bits, len(table))), axis=1)
    return sums


def _packed(table: NDArray[np.int64]) -> tuple[list[NDArray[np.int64]], int, int]:
    """Columns side by side in 64-bit words, how many bits each has, and how many units may be summed before one is full."""
    largest = max(1, int(table.max()))
    together = max([n for n in (1, 2, 3) if largest * _FEWEST_TOGETHER < 1 << (_BITS // n)], default=1)
    bits = _BITS // together
    packs = []
    for start in range(0, len(table), together):
        columns = table[start : start + together]
        packs.append(np.asarray(sum(column << (bits * place) for place, column in enumerate(columns)), dtype=np.int64))
    return packs, bits, ((1 << bits) - 1) // largest


def _chunks(samples: int, units: int, longest: int) -> Iterator[tuple[slice, int]]:
    """Which rows of the sums are added to next, and how many draws a row."""
    length = min(units, longest, _DRAWS_AT_ONCE)
    at_once = max(1, _DRAWS_AT_ONCE // length)
    for start in range(0, samples, at_once):
        rows = slice(start, min(start + at_once, samples))
        for done in range(0, units, length):
            yield rows, min(length, units - done)


def _unpacked(packs: Sequence[NDArray[np.int64]], bits: int, columns: int) -> Iterator[NDArray[np.int64]]:
    together = _BITS // bits
    for number in range(columns):
        pack, place = divmod(number, together)
        yield (packs[pack] >> (bits * place)) & ((1 << bits) - 1)
