"""Which clips make a step together: those of like length, so that little of a batch is padding."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

_JITTER = 0.05


class LengthBuckets(Sampler[int]):
    """Every example once a pass, in an order that `seed` and the pass decide; a resumed pass has the order it was begun with."""

    def __init__(self, lengths: Sequence[float], step_size: int, seed: int) -> None:
        """`step_size` examples make a step, over all processes and accumulated batches."""
        self._lengths, self._step_size, self._seed = lengths, step_size, seed
        self._pass = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer before each pass."""
        self._pass = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(order(self._lengths, self._step_size, self._seed, self._pass))

    def __len__(self) -> int:
        return len(self._lengths)


def order(lengths: Sequence[float], step_size: int, seed: int, number: int) -> list[int]:
    """Places in `lengths` such that each `step_size` of them in a row are of like length, and the rows come in any order.

    Within a row the shortest come first, so that the batches it is cut into are of like length too; which examples make a row
    depends neither on their size nor on how many processes share them. Lengths count 5% more or less in each pass, so that a
    clip has other neighbours in the next one.
    """
    rng = np.random.default_rng((seed, number))
    felt = np.asarray(lengths, dtype=float) * rng.uniform(1 - _JITTER, 1 + _JITTER, len(lengths))
    ranked = np.lexsort((rng.random(len(lengths)), felt))
    rows, over = divmod(len(ranked), step_size)
    cut = int(rng.integers(0, rows + 1)) * step_size  # those left over are of any length, not always the longest
    last, whole = ranked[cut : cut + over], np.concatenate([ranked[:cut], ranked[cut + over :]])
    places = [row for n in rng.permutation(rows) for row in whole[n * step_size : (n + 1) * step_size]]
    return [int(place) for place in (*places, *last)]
