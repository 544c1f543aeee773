"""Which clips are heard together: those of like length, as many as a budget of seconds, and memory, allow."""

import math
from collections.abc import Sequence


def padded_s(length_s: float, window_s: float | None) -> float:
    """What a clip of this length costs: whole windows for a model that fills them up, else itself.

    >>> padded_s(7.0, 5.0), padded_s(7.0, None)
    (10.0, 7.0)
    """
    return length_s if window_s is None else max(1, math.ceil(length_s / window_s)) * window_s


def in_batches(lengths_s: Sequence[float], budget_s: float, window_s: float | None = None) -> list[list[int]]:
    """Places in `lengths_s`, longest first, parted so that no batch takes more than `budget_s`, padding counted.

    A clip that is too long by itself is a batch of its own.

    >>> in_batches([1.0, 4.0, 3.0], 8.0)
    [[1, 2], [0]]
    """
    ordered = sorted(range(len(lengths_s)), key=lambda place: (-lengths_s[place], place))
    batches: list[list[int]] = []
    for place in ordered:
        if not batches or (len(batches[-1]) + 1) * padded_s(lengths_s[batches[-1][0]], window_s) > budget_s:
            batches.append([])
        batches[-1].append(place)
    return batches
