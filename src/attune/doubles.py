"""The same sound twice, also at another rate, level or in another format: found by what is heard, not by the bytes.

A fingerprint is how fast the energies of nine bands rise and fall, whenever that may be: the amplitudes of their Fourier
transforms, which silence put before or after does not change. Clips whose lengths differ by a third of a second at most, and
whose fingerprints are alike, are then compared by their waves: two formats of one sound move up and down together, while
nobody says a word twice so.
"""

import base64
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import scipy.fft
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from attune.dataset import SAMPLE_RATE_HZ, Samples

_WINDOW, _HOP, _BANDS = 512, 400, 9
_EDGES = np.round(np.geomspace(200, 3400, _BANDS + 1) * _WINDOW / SAMPLE_RATE_HZ).astype(int)
_FLOOR_DB = 35
_TRANSFORMED = 2048
_PACES = np.unique(np.geomspace(4, 600, 80).astype(int))
"""Which bins of a transform of 2048 steps of 25 ms: from 0.08 to 12 Hz."""
_LENGTH_SLACK_S = 0.35
"""More than codecs add at both ends, also at 8 kHz."""
_ALIKE = 0.978
_MOST_CANDIDATES = 6
_WAVE_RATE_HZ = 8000
_ABOVE_100_HZ = butter(4, 100, "highpass", fs=_WAVE_RATE_HZ, output="sos")
_SHORT_S = 1.0
_ENOUGH, _ENOUGH_IF_SHORT = 0.75, 0.96
"""How far waves must agree; of one word said twice in the same voice they may agree to 0.95."""
_HOPELESS = 0.4
_PART_S, _SHIFT_S = 0.25, 0.01
_MAY_DIFFER, _MAY_DIFFER_IF_TEXTS_DO = 0.2, 0.05
"""The share of the energy that need not agree; less where transcripts say that these are two sentences."""
_MOST_ALIKE, _ENOUGH_THEN = 0.998, 0.9
"""For clips whose fingerprints agree so far, which no two sayings of a word did, less is enough."""
_WAVES_KEPT = 2000

Vector = NDArray[np.float32]


def fingerprint(samples: Samples) -> str:
    """The length in seconds, a colon, and numbers from 0 to 255 in base64: nine bands, each at all paces."""
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP] * np.hanning(_WINDOW).astype(np.float32)
    power = np.square(np.abs(scipy.fft.rfft(frames)))
    energies_db = 10 * np.log10(np.stack([power[:, a:b].sum(axis=1) for a, b in pairwise(_EDGES)]) + 1e-12)
    heard_db = np.maximum(energies_db - (energies_db.max() - _FLOOR_DB), 0)
    paces = np.abs(np.fft.rfft(heard_db, _TRANSFORMED))[:, _PACES]
    scaled = np.round(paces * (255 / max(float(paces.max()), 1e-6))).astype(np.uint8)
    return f"{samples.size / SAMPLE_RATE_HZ:.2f}:{base64.b64encode(scaled.tobytes()).decode()}"


def same_sounds(fingerprints: Sequence[str], texts: Sequence[str | None], samples_of: Callable[[int], Samples]) -> list[int]:
    """For each clip the number of the first one that sounds the same; its own where there is none before it.

    `texts` are what is said in them, normalised, as far as anybody knows. `samples_of` gives a clip's samples by its number;
    only those that have their like are asked for.
    """
    parts = [each.split(":") for each in fingerprints]
    lengths_s = np.array([float(length) for length, _ in parts])
    paces = np.frombuffer(b"".join(base64.b64decode(text) for _, text in parts), np.uint8)
    vectors = paces.reshape(len(parts), _BANDS * _PACES.size).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    wave = lru_cache(_WAVES_KEPT)(lambda number: _wave(samples_of(number)))
    order = np.argsort(lengths_s, kind="stable")
    ordered_s = lengths_s[order]
    first = list(range(len(parts)))
    for place, number in enumerate(order):
        near = order[place + 1 : int(np.searchsorted(ordered_s, ordered_s[place] + _LENGTH_SLACK_S, side="right"))]
        enough = _ENOUGH if ordered_s[place] >= _SHORT_S else _ENOUGH_IF_SHORT
        for other, likeness in _alike(vectors[number], vectors[near], near):
            one, two = sorted((_root(first, int(number)), _root(first, other)))
            wanted = min(enough, _ENOUGH_THEN) if likeness >= _MOST_ALIKE else enough
            two_texts = texts[one] is not None and texts[two] is not None and texts[one] != texts[two]
            spared = _MAY_DIFFER_IF_TEXTS_DO if two_texts else _MAY_DIFFER
            if one != two and _together(wave(int(number)), wave(other), spared) >= wanted:
                first[two] = one
    return [_root(first, number) for number in range(len(first))]


def _alike(vector: Vector, others: NDArray[np.float32], numbers: NDArray[np.int64]) -> list[tuple[int, float]]:
    """The numbers of those whose fingerprints are most alike, the likest first, and how much they are, 0 to 1."""
    likeness = others @ vector
    likest = np.argsort(-likeness, kind="stable")[:_MOST_CANDIDATES]
    return [(int(numbers[place]), float(likeness[place])) for place in likest if likeness[place] >= _ALIKE]


def _wave(samples: Samples) -> Vector:
    """`_slow` with unit energy."""
    slow = _slow(samples)
    return np.asarray(slow / max(float(np.linalg.norm(slow)), 1e-9), dtype=np.float32)


def _slow(samples: Samples) -> Vector:
    """What stands between 100 and 4000 Hz: all that a telephone keeps."""
    slow = soxr.resample(samples, SAMPLE_RATE_HZ, _WAVE_RATE_HZ)
    return np.asarray(sosfilt(_ABOVE_100_HZ, slow), dtype=np.float32)


def _together(one: Vector, other: Vector, spared: float) -> float:
    """How far two waves of unit energy agree, 0 to 1, whatever their signs and wherever they begin.

    For short ones it is the highest cross-correlation; for others, aligned by it, the agreement that all of the energy but the
    share `spared` reaches piece by piece: sentences may share some words of a synthetic voice, or a jingle, and be two.
    """
    length = scipy.fft.next_fast_len(one.size + other.size, real=True)
    spectrum = scipy.fft.rfft(one, length) * np.conj(scipy.fft.rfft(other, length))
    correlation = np.abs(scipy.fft.irfft(spectrum, length))
    lag, best = int(correlation.argmax()), float(correlation.max())
    if best < _HOPELESS or min(one.size, other.size) < _SHORT_S * _WAVE_RATE_HZ:
        return best
    lag -= length if lag > one.size else 0
    return _by_parts(one[max(0, lag) :], other[max(0, -lag) :], spared)


def _by_parts(one: Vector, other: Vector, spared: float) -> float:
    """The local agreement that is reached by all but that share of the energy of two aligned waves."""
    part, shift = round(_PART_S * _WAVE_RATE_HZ), round(_SHIFT_S * _WAVE_RATE_HZ)
    agreements, energies = list[float](), list[float]()
    for start in range(0, min(one.size, other.size), part):
        window, near = one[start : start + part], other[max(0, start - shift) : start + part + shift]
        energy = float(window @ window)
        if near.size < window.size or energy == 0:
            continue
        squares = np.convolve(np.square(near), np.ones(window.size), "valid")
        local = np.abs(np.correlate(near, window, "valid")) / np.sqrt(np.maximum(squares * energy, 1e-18))
        agreements.append(float(local.max()))
        energies.append(energy)
    order = np.argsort(agreements)
    reached = np.cumsum(np.asarray(energies)[order]) / max(sum(energies), 1e-12)
    return float(np.asarray(agreements)[order][np.searchsorted(reached, spared)]) if agreements else 0.0


def _root(first: list[int], number: int) -> int:
    while first[number] != number:
        number = first[number]
    return number
