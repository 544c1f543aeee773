"""When was each token of a Whisper-class model said? Read off the cross-attention of its alignment heads.

As in OpenAI's Whisper (`timing.py`): weights normalised over the tokens, smoothed over seven frames (mirrored at the ends),
averaged over the heads; dynamic time warping then finds the way through tokens and frames.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SMOOTHED_FRAMES = 7


def align(weights: NDArray[np.float32], prompt: int) -> list[tuple[int, int]]:
    """The way through attention weights of shape (heads, tokens, frames): pairs of token and frame, both from 0 and rising.

    The first `prompt` tokens and the last one, which is the end, are no part of it.
    """
    import librosa
    from scipy.ndimage import median_filter

    spread = np.maximum(weights.std(axis=-2, keepdims=True), 1e-8)
    normal = (weights - weights.mean(axis=-2, keepdims=True)) / spread
    costs = -median_filter(normal, size=(1, 1, _SMOOTHED_FRAMES), mode="mirror").mean(axis=0)[prompt:-1]
    _, way = librosa.sequence.dtw(C=costs.astype(np.float64))
    return [(int(token), int(frame)) for token, frame in way[::-1]]


def starts_of(way: Sequence[tuple[int, int]], tokens: int, frame_s: float) -> tuple[float, ...]:
    """Seconds at which each of `tokens` text tokens begins and, as one more, the last one ends; empty if `way` does not tell.

    `frame_s` is the time from one of the encoder's frames to the next.
    """
    first: dict[int, int] = {}
    for token, frame in way:
        first.setdefault(token, frame)
    last = way[-1][1] + 1 if way else 0
    begins = [first.get(token, last) for token in range(tokens + 1)]
    return tuple(round(frame * frame_s, 3) for frame in begins) if way else ()
