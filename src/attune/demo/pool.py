"""Spoken sentences to learn from: a pool of synthetic recordings, and the distortions that make each pass over it new."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from random import Random

import numpy as np
from numpy.typing import NDArray

from attune.demo import acoustics
from attune.demo.grammar import digit_strings, sentences, unrelated_words
from attune.demo.voices import Synthesizer, Voice

SAMPLE_RATE_HZ = 16_000
_LONGEST_S = 4.6
_SHARES = (0.5, 0.3, 0.2)
_ACCENTS = ("en-us", "gmw/en", "en-gb-x-rp", "en-gb-x-gbclan")
_TIMBRES = (  # none of the breathy ones: their breath is random, and no two runs the same
    "m1", "m2", "m3", "m4", "m5", "m7", "f1", "f4", "klatt2", "klatt4", "Andy", "Annie", "Denis", "Gene",
    "Hugo", "Jacky", "Lee", "Mario", "Michael", "adam", "anika", "belinda", "benjamin", "boris", "caleb", "david",
    "edward", "grandpa", "gustave", "ian", "john", "linda", "marcelo", "max", "norbert", "pablo", "paul", "quincy",
    "rob", "robert", "shelby", "steph", "travis", "zac", "grandma",
)  # fmt: skip


@dataclass(frozen=True)
class Spoken:
    """One recording of the pool: 16 kHz mono int16 samples and the words they say."""

    samples: NDArray[np.int16]
    text: str


def make_pool(count: int, seed: int, *, held_out: bool = False) -> Iterator[Spoken]:
    """`count` recordings, bit for bit the same in a fresh process: half everyday sentences, the rest unrelated words and digits.

    With `held_out` they are everyday sentences that the default never gives.
    """
    rng = Random(f"pool-{seed}-{held_out}")
    synthesizer = Synthesizer()
    sources = [sentences("everyday", seed, held_out=held_out), unrelated_words(seed), digit_strings(seed)]
    shares = [1, 0, 0] if held_out else _SHARES
    voices = [f"{accent}+{timbre}" for accent, timbre in product(_ACCENTS, _TIMBRES)]
    for _ in range(count):
        text = next(*rng.choices(sources, shares))
        voice = Voice(rng.choice(voices), rng.randint(125, 215), rng.randint(15, 85), rng.randint(20, 80))
        samples = synthesizer.speak(text, voice, SAMPLE_RATE_HZ)
        if 0 < samples.size <= _LONGEST_S * SAMPLE_RATE_HZ:
            peak = acoustics.to_peak(_trim(samples), 0.7)
            yield Spoken((peak * 32767).astype(np.int16), text)


class Distorter:
    """Makes a clean recording sound as if somebody else had made it, somewhere else, with another microphone."""

    def __init__(self, pool: Sequence[Spoken], seed: int) -> None:
        rng = np.random.default_rng(seed)
        minute = 60 * SAMPLE_RATE_HZ
        voices = [_floats(s) for s in islice(pool, 40)]
        self._noises = [
            *(acoustics.coloured_noise(minute, slope, rng) for slope in (0.0, 0.5, 1.0, 1.5, 2.0)),
            acoustics.hum(minute, SAMPLE_RATE_HZ, rng),
            acoustics.babble(voices, minute, rng),
        ]

    def __call__(self, spoken: Spoken, rng: np.random.Generator) -> tuple[NDArray[np.float32], float, float]:
        """The distorted samples, and where in them the speech starts and ends in seconds."""
        speech = _floats(spoken)
        speech = _resampled(speech, rng.uniform(0.8, 1.25)) if rng.random() < 0.5 else speech
        if rng.random() < 0.35:
            speech = acoustics.reverberate(speech, SAMPLE_RATE_HZ, rng.uniform(0.1, 0.6), rng)
        if rng.random() < 0.3:
            speech = acoustics.band_limit(speech, SAMPLE_RATE_HZ, rng.uniform(60, 350), rng.uniform(3000, 3900))
        elif rng.random() < 0.3:
            speech = acoustics.tilt(speech, rng.uniform(-0.7, 0.7))
        room_s = max(0.0, 4.95 - speech.size / SAMPLE_RATE_HZ)
        lead, tail = (int(rng.uniform(0, min(0.6, room_s / 2)) * SAMPLE_RATE_HZ) for _ in range(2))
        padded = np.pad(speech, (lead, tail))
        if rng.random() < 0.55:
            noise = self._noises[int(rng.integers(len(self._noises)))]
            start = int(rng.integers(noise.size - padded.size))
            padded = acoustics.add_noise(padded, noise[start : start + padded.size], rng.uniform(12, 40))
        padded = acoustics.to_peak(padded, float(10 ** rng.uniform(-1.5, 0)))
        return padded, lead / SAMPLE_RATE_HZ, (lead + speech.size) / SAMPLE_RATE_HZ

    def silence(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Up to 3 s of a room in which nobody speaks (never the babble: those are people)."""
        noise = self._noises[int(rng.integers(len(self._noises) - 1))]
        start, count = int(rng.integers(50 * SAMPLE_RATE_HZ)), int(rng.uniform(0.3, 3.0) * SAMPLE_RATE_HZ)
        return acoustics.to_peak(noise[start : start + count], float(10 ** rng.uniform(-3, -0.5)))


def _floats(spoken: Spoken) -> NDArray[np.float32]:
    return spoken.samples.astype(np.float32) / 32768.0


def _resampled(samples: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Faster or slower by linear interpolation; pitch and formants move along, as with another body."""
    positions = np.arange(0, samples.size - 1, speed)
    return np.asarray(np.interp(positions, np.arange(samples.size), samples), dtype=np.float32)


def _trim(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.max(np.abs(samples)))
    return samples[loud[0] : loud[-1] + 1]
