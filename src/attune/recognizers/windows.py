"""Cuts clips that are longer than a model's window at quiet places, so that no word is cut in two if it can be helped."""

import numpy as np

from attune.dataset import SAMPLE_RATE_HZ, Samples

_SEARCHED_FROM = 0.6
"""A piece is at least this share of the window, so that a long pause early on does not make many short pieces."""
_SHORTEST_REST = 0.1
"""The rest after a cut is at least this share of the window: a few milliseconds of sound are heard as anything."""
_PAUSE_S, _STEP_S = 0.1, 0.01


def cut(samples: Samples, window: int) -> list[Samples]:
    """The clip in consecutive pieces of at most `window` samples; joined, they are the clip. An empty clip is one piece."""
    pieces = []
    while len(samples) > window:
        place = _quietest(samples, window)
        pieces.append(samples[:place])
        samples = samples[place:]
    return [*pieces, samples]


def _quietest(samples: Samples, window: int) -> int:
    """The middle of the stretch of 0.1 s with the least energy near the window's end; the last one of equals."""
    first = int(window * _SEARCHED_FROM)
    last = min(window, len(samples) - int(window * _SHORTEST_REST))
    half = int(_PAUSE_S * SAMPLE_RATE_HZ) // 2
    places = np.arange(last, first, -max(1, int(_STEP_S * SAMPLE_RATE_HZ)))
    total = np.concatenate([[0.0], np.cumsum(np.square(samples[: last + half], dtype=np.float64))])
    begin, end = np.maximum(places - half, 0), np.minimum(places + half, len(total) - 1)
    return int(places[np.argmin((total[end] - total[begin]) / (end - begin))])
