"""Sound without speech, made here and the same each time: what a model writes down of it, it invents."""

import hashlib
from collections.abc import Iterator

import numpy as np

from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.records import Utterance

_LENGTHS_S = (1.0, 2.0, 3.0, 4.5)
_COLOURS = (0.0, 0.5, 1.0)
"""By what power of the frequency amplitude falls: white, pink and brown noise."""
_LEVELS_DBFS = (-20.0, -30.0, -45.0)
_SILENCE_DBFS = -75.0
_SEED = 7


def probes(clips: int) -> Iterator[tuple[str, Utterance, Samples]]:
    """So many clips of silence (a microphone's hiss), and as many of noise: `silence` or `noise`, the utterance, its samples."""
    for number in range(clips):
        yield "silence", *_clip("silence", number, 0.0, _SILENCE_DBFS)
    for number in range(clips):
        colour, level = _COLOURS[number % len(_COLOURS)], _LEVELS_DBFS[number // len(_COLOURS) % len(_LEVELS_DBFS)]
        yield "noise", *_clip("noise", number, colour, level)


def _clip(kind: str, number: int, colour: float, level_dbfs: float) -> tuple[Utterance, Samples]:
    samples = _noise(_LENGTHS_S[number % len(_LENGTHS_S)], colour, level_dbfs, _SEED + number)
    digest = hashlib.sha256(samples.tobytes()).hexdigest()
    name = f"{kind} {number}"
    return Utterance(digest[:16], digest, name, "nobody", "noisy", "test", len(samples) / SAMPLE_RATE_HZ, None, None), samples


def _noise(duration_s: float, colour: float, level_dbfs: float, seed: int) -> Samples:
    length = int(duration_s * SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(length))
    frequencies = np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)
    wave = np.fft.irfft(spectrum / np.maximum(frequencies, 50.0) ** colour, length)
    level = 10 ** (level_dbfs / 20) / np.sqrt(np.mean(wave**2))
    return np.asarray((wave * level).clip(-1, 1), dtype=np.float32)
