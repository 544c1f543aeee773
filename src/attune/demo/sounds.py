"""Speech and noise to make clips of for the demo of speech detection: synthetic voices, and synthetic noises that are nobody's.

Voices and sentences are those of `corpus` and `grammar`. Each noise is a recording of its own: hiss of many colours, machines,
wind, dishes and alarms, drawn anew each time.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import soundfile
from numpy.typing import NDArray

from attune.demo import acoustics
from attune.demo.grammar import sentences
from attune.demo.voices import Synthesizer, Voice
from attune.errors import DataError
from attune.files import whole_folder
from attune.progress import track

SAMPLE_RATE_HZ = 16_000
Samples = NDArray[np.float32]
_ACCENTS = ("en-029", "en-gb-scotland", "en-us-nyc", "en-gb-x-gbcwmd", "en-us", "gmw/en", "en-gb-x-rp", "en-gb-x-gbclan")
_TIMBRES = ("m1", "f1", "m3", "Andy", "f4", "klatt2", "Annie", "m7", "Gene", "belinda", "m5", "linda", "max", "steph")
_SPEECH_S, _NOISE_S = 20.0, 12.0


def write_sounds(folder: Path, speakers: int, count: int, seed: int) -> None:
    """Writes `folder/speech/NAME/NNN.wav`, and `folder/noise/KIND-NN.wav`, `count` of them or a few more.

    Byte for byte the same in every fresh process.
    Raises DataError where the folder holds something.
    """
    if folder.exists() and any(path.name != ".gitignore" for path in folder.iterdir()):
        raise DataError(f"{folder} is not empty, and nothing is overwritten; name a folder that is new or empty")
    with whole_folder(folder) as draft:
        for place, samples in track(_all(speakers, count, seed), "demo sounds", None):
            path = draft / place
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, acoustics.to_peak(samples, 0.6), SAMPLE_RATE_HZ, subtype="PCM_16")


def noises(seconds: float, each: int, seed: int) -> dict[str, list[Samples]]:
    """So many recordings of every kind of noise."""
    count = round(seconds * SAMPLE_RATE_HZ)
    draws = ((kind, place, number) for place, kind in enumerate(_KINDS) for number in range(each))
    made: dict[str, list[Samples]] = {}
    for kind, place, number in draws:
        made.setdefault(kind, []).append(_KINDS[kind](count, np.random.default_rng((seed, place, number))))
    return made


def _all(speakers: int, count: int, seed: int) -> Iterator[tuple[str, Samples]]:
    synthesizer = Synthesizer()
    for number in range(speakers):
        yield from _said(synthesizer, number, seed)
    for kind, some in noises(_NOISE_S, -(-count // len(_KINDS)), seed).items():
        for number, samples in enumerate(some):
            yield f"noise/{kind}-{number:02d}.wav", samples


def _said(synthesizer: Synthesizer, number: int, seed: int) -> Iterator[tuple[str, Samples]]:
    rng = Random(f"{seed}-{number}")
    name = f"{_ACCENTS[number % len(_ACCENTS)]}+{_TIMBRES[number % len(_TIMBRES)]}"
    voice = Voice(name, rng.randint(135, 195), rng.randint(20, 80), rng.randint(30, 70))
    texts, said_s, count = sentences("everyday", rng.randint(0, 10**9)), 0.0, 0
    while said_s < _SPEECH_S:
        samples = synthesizer.speak(next(texts), voice, SAMPLE_RATE_HZ)
        yield f"speech/speaker-{number:02d}/{count:03d}.wav", samples
        said_s, count = said_s + samples.size / SAMPLE_RATE_HZ, count + 1


def _hiss(count: int, rng: np.random.Generator) -> Samples:
    return acoustics.coloured_noise(count, float(rng.uniform(0.0, 2.0)), rng)


_KINDS: dict[str, Callable[[int, np.random.Generator], Samples]] = {
    "hiss": _hiss,
    "machine": lambda count, rng: acoustics.hum(count, SAMPLE_RATE_HZ, rng),
    "wind": lambda count, rng: acoustics.wind(count, SAMPLE_RATE_HZ, rng),
    "dishes": lambda count, rng: acoustics.clatter(count, SAMPLE_RATE_HZ, rng),
    "alarm": lambda count, rng: acoustics.alarm(count, SAMPLE_RATE_HZ, rng),
}
