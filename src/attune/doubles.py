"""The same sound twice, also at another rate, level or in another format: found by what is heard, not by the bytes.

A fingerprint is 512 bits: for 64 moments and 8 pairs of neighbouring bands, whether the difference of their energies rose.
After J. Haitsma, T. Kalker: "A Highly Robust Audio Fingerprinting System", ISMIR 2002, with the moments spread over the
whole of a short clip. Bits of unrelated sounds agree by half; those of one sound in two formats nearly all.
"""

from collections.abc import Sequence
from hashlib import sha512
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from attune.dataset import SAMPLE_RATE_HZ, Samples

_MOMENTS, _BANDS = 65, 9
_EDGES_HZ = np.geomspace(200, 3400, _BANDS + 1)
_WORDS = (_MOMENTS - 1) * (_BANDS - 1) // 64
_WINDOW = 1024
_LENGTH_SLACK_S = 0.06
_MOST_DIFFERENT = 0.12
_STEADY = 0.25


def fingerprint(samples: Samples) -> str:
    """512 bits as 128 hex digits."""
    padded = np.pad(samples, (0, max(0, _WINDOW - samples.size)))
    starts = np.linspace(0, padded.size - _WINDOW, _MOMENTS).astype(int)
    frames = np.stack([padded[start : start + _WINDOW] for start in starts]) * np.hanning(_WINDOW).astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(frames)))
    edges = np.round(_EDGES_HZ * _WINDOW / SAMPLE_RATE_HZ).astype(int)
    energies = np.log(np.stack([power[:, a:b].sum(axis=1) for a, b in pairwise(edges)], axis=1) + 1e-9)
    slopes = energies[:, :-1] - energies[:, 1:]
    rose = slopes[1:] > slopes[:-1]
    if not _STEADY < rose.mean() < 1 - _STEADY:
        return sha512(samples.tobytes()).hexdigest()  # a hum or a tone: only the very same one is the same
    return np.packbits(rose).tobytes().hex()


def same_sounds(fingerprints: Sequence[str], durations_s: Sequence[float]) -> list[int]:
    """For each clip the number of the first one that sounds the same; its own where there is none before it."""
    bits = np.frombuffer(bytes.fromhex("".join(fingerprints)), np.uint64).reshape(-1, _WORDS)
    order = np.argsort(durations_s, kind="stable")
    lengths = np.asarray(durations_s)[order]
    first = list(range(len(fingerprints)))
    for place, number in enumerate(order):
        near = order[place + 1 : int(np.searchsorted(lengths, lengths[place] + _LENGTH_SLACK_S, side="right"))]
        for other in near[_distances(bits[number], bits[near]) <= _MOST_DIFFERENT]:
            one, two = sorted((_root(first, int(number)), _root(first, int(other))))
            first[two] = one
    return [_root(first, number) for number in range(len(first))]


def _distances(one: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.float64]:
    """The share of bits in which they differ."""
    return np.asarray(np.bitwise_count(one ^ others).sum(axis=1) / (64 * one.size), dtype=np.float64)


def _root(first: list[int], number: int) -> int:
    while first[number] != number:
        number = first[number]
    return number
