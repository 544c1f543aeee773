"""Makes every pass over the recordings a little different, so that few voices and one microphone are not learnt by heart."""

import numpy as np
import scipy.fft
import soxr
from numpy.typing import NDArray

from attune.dataset import SAMPLE_RATE_HZ
from attune.params import AugmentationParams

Samples = NDArray[np.float32]

_BANDS_HZ = (0, 250, 500, 1000, 2000, 3000, 4000, 8000)
NOISY_SHARE = 2 / 3
_MASKS = 2


def draw_speed(params: AugmentationParams, rng: np.random.Generator) -> float:
    """A factor within `params.speed` of 1."""
    return float(rng.uniform(1 - params.speed, 1 + params.speed))


def at_speed(samples: Samples, speed: float) -> Samples:
    """`speed` times as fast by resampling: tempo, pitch and formants move together (Ko et al., 2015, "Audio Augmentation
    for Speech Recognition"), as they do with the size of a speaker. 16 kHz in and out.
    """
    return np.asarray(soxr.resample(samples, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ), dtype=np.float32)


def through_another_microphone(samples: Samples, params: AugmentationParams, rng: np.random.Generator) -> Samples:
    """Louder or softer, with a random tone colour and, two times of three, steady noise, white to brown, as far as `params`
    allow; same length."""
    if params.gain_db:
        samples = (samples * 10 ** (rng.uniform(-params.gain_db, params.gain_db) / 20)).astype(np.float32)
    if not (params.equalizer_db or params.noise_snr_db):
        return samples
    length = scipy.fft.next_fast_len(samples.size, real=True)
    spectrum = np.fft.rfft(samples, length)
    gains_db = rng.uniform(-params.equalizer_db, params.equalizer_db, len(_BANDS_HZ))
    at_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, spectrum.size)
    coloured = spectrum * 10 ** (np.interp(at_hz, _BANDS_HZ, gains_db) / 20)
    if params.noise_snr_db is not None and rng.random() < NOISY_SHARE:
        noise = np.fft.rfft(rng.standard_normal(length))
        noise[0] = 0  # no constant: it is not heard, and brown noise would be mostly that
        noise /= np.maximum(np.arange(noise.size), 1) ** rng.uniform(0, 1)
        snr_db = rng.uniform(*params.noise_snr_db)
        coloured += noise * np.sqrt(_power(coloured) / max(_power(noise), 1e-20) * 10 ** (-snr_db / 10))
    return np.fft.irfft(coloured, length)[: samples.size].astype(np.float32)


def masked(features: NDArray[np.float32], share: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """With two stretches of each axis, of time and of frequencies, made the mean: up to `share` of either.

    SpecAugment (Park et al., 2019) without its warping of time. `features` are of one axis, samples, or of two in any
    order.
    """
    mean = float(features.mean())
    changed: NDArray[np.float32] = features.copy()
    for axis in range(features.ndim):
        size = features.shape[axis]
        for _ in range(_MASKS):
            width = int(rng.integers(0, int(size * share / _MASKS) + 1))
            start = int(rng.integers(0, size - width + 1))
            where = [slice(None)] * features.ndim
            where[axis] = slice(start, start + width)
            changed[tuple(where)] = mean
    return changed


def _power(spectrum: NDArray[np.complex128]) -> float:
    return float(np.mean(np.square(np.abs(spectrum))))
