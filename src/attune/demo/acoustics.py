"""Rooms, noises and microphones for synthetic speech: every function takes its randomness as an argument."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

Samples = NDArray[np.float32]


def add_noise(speech: Samples, noise: Samples, snr_db: float) -> Samples:
    """`speech` with `noise` scaled so that the ratio of their mean powers is `snr_db`."""
    gain = np.sqrt(_power(speech) / (_power(noise) * 10 ** (snr_db / 10)))
    return np.asarray(speech + gain * noise, dtype=np.float32)


def coloured_noise(count: int, slope: float, rng: np.random.Generator) -> Samples:
    """Noise whose power falls with frequency as f^-slope: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.maximum(np.fft.rfftfreq(count), 1 / count)
    return np.fft.irfft(spectrum / frequency ** (slope / 2), count).astype(np.float32)


def hum(count: int, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """A machine: a mains tone of 50 or 60 Hz with harmonics, over faint pink noise."""
    time_s = np.arange(count) / sample_rate_hz
    base_hz = rng.choice([50.0, 60.0, 97.0])
    tones = sum(np.sin(2 * np.pi * base_hz * k * time_s + rng.uniform(0, 6.3)) / k for k in range(1, 12))
    return np.asarray(tones + 2.0 * coloured_noise(count, 1.0, rng), dtype=np.float32)


def wind(count: int, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """Gusts: brown noise swelling and falling about once a second."""
    gusts = np.interp(np.arange(count), *_turning_points(count, sample_rate_hz, rng))
    return (coloured_noise(count, 2.0, rng) / 40 * gusts + 0.05 * coloured_noise(count, 0.5, rng)).astype(np.float32)


def clatter(count: int, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """Dishes: about six short ringing knocks a second over soft pink noise."""
    samples = 0.02 * coloured_noise(count, 1.0, rng)
    ring_s = np.arange(sample_rate_hz // 8) / sample_rate_hz
    for start in rng.integers(0, count - ring_s.size, 6 * count // sample_rate_hz):
        pitch_hz, fade_s = rng.uniform(900, 4500), rng.uniform(0.008, 0.04)
        ring = np.sin(2 * np.pi * pitch_hz * ring_s) * np.exp(-ring_s / fade_s) * rng.uniform(0.2, 1.0)
        samples[start : start + ring_s.size] += ring.astype(np.float32)
    return samples


def alarm(count: int, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """A monitor: beeps of changing pitch, three a second, over soft white noise."""
    time_s = np.arange(count) / sample_rate_hz
    pitch_hz = np.repeat(rng.uniform(600, 1800, count // (sample_rate_hz // 3) + 1), sample_rate_hz // 3)[:count]
    beeps = np.sin(2 * np.pi * np.cumsum(pitch_hz) / sample_rate_hz) * (np.mod(time_s * 3, 1) < 0.5)
    return (beeps + 0.3 * rng.standard_normal(count)).astype(np.float32)


def babble(voices: list[Samples], count: int, rng: np.random.Generator) -> Samples:
    """Several people at once: each recording from a random start, wrapped to `count` samples, summed."""
    tracks = [np.resize(np.roll(v, int(rng.integers(v.size))), count) for v in voices]
    return np.asarray(np.sum(tracks, axis=0), dtype=np.float32)


def reverberate(speech: Samples, sample_rate_hz: int, rt60_s: float, rng: np.random.Generator) -> Samples:
    """Speech in a room, by an impulse response of exponentially decaying noise (Polack's model); same length."""
    time_s = np.arange(int(rt60_s * sample_rate_hz)) / sample_rate_hz
    response = rng.standard_normal(time_s.size) * np.exp(-6.91 * time_s / rt60_s)
    response *= 0.5 / np.sqrt(np.sum(response**2))
    response[0] = 1.0
    return fftconvolve(speech, response)[: speech.size].astype(np.float32)


def band_limit(speech: Samples, sample_rate_hz: int, low_hz: float, high_hz: float) -> Samples:
    """What a telephone or a cheap microphone leaves of it."""
    sections = butter(4, [low_hz, high_hz], "bandpass", fs=sample_rate_hz, output="sos")
    return sosfilt(sections, speech).astype(np.float32)


def tilt(speech: Samples, amount: float) -> Samples:
    """A brighter (amount > 0) or duller microphone: a one-zero or one-pole filter, |amount| < 1."""
    if amount > 0:
        return lfilter([1.0, -amount], [1.0], speech).astype(np.float32)
    return lfilter([1.0 + amount], [1.0, amount], speech).astype(np.float32)


def to_peak(speech: Samples, peak: float) -> Samples:
    """Scaled so that the loudest sample has the magnitude `peak`."""
    return (speech * (peak / max(float(np.max(np.abs(speech))), 1e-9))).astype(np.float32)


def _power(samples: Samples) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) + 1e-12


def _turning_points(count: int, sample_rate_hz: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    number = max(2, count // sample_rate_hz)
    return np.linspace(0, count, number), rng.uniform(0.1, 1.0, number) ** 2
