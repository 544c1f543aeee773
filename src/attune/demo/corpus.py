"""The demo corpus: a small clinic's recordings as a user would bring them, spoken by voices the shipped models never heard.

Layout: `clean/SPEAKER/NNN.wav` and `noisy/SPEAKER/NNN.wav`, a transcript `NNN.txt` beside four of five. The clean
recordings are everyday sentences. One noisy recording in four is clinical, with words and sentences that the shipped
models do not know, and all of them are made in loud, echoing rooms. No sentence is said twice, so that none is both
trained on and tested on. Accents, timbres and noises differ from those in `pool`.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import soundfile
from numpy.typing import NDArray

from attune.ahead import ahead
from attune.demo import acoustics
from attune.demo.grammar import sentences
from attune.demo.voices import Synthesizer, Voice
from attune.files import whole_folder
from attune.progress import track

SAMPLE_RATE_HZ = 16_000
_LONGEST_S = 4.7
_SNR_DB = (14.0, 24.0)
_CLEAN_SNR_DB = (35.0, 45.0)
_SPOKEN_AHEAD = 32
_ACCENTS = ("en-029", "en-gb-scotland", "en-us-nyc", "en-gb-x-gbcwmd")
# Any names would do; with the salt of params.yaml the hash tests five of these, with all four accents, and validates with three.
_PEOPLE = {
    "amara": "Tweaky", "bjorn": "m6", "chidi": "Reed", "dolores": "Andrea", "emeka": "Nguyen", "farah": "Henrique",
    "goran": "aunty", "hamish": "klatt3", "ines": "anikaRobot", "idris": "miguel", "keiko": "michel", "lars": "ed",
    "mina": "pedro", "nadia": "edward2", "oskar": "m8", "priya": "mike2", "quentin": "Storm", "rosa": "announcer",
}  # fmt: skip
_OTHERS = ("steph2", "Marco", "Gene2")
"""Who talks in the background; none of them is in `pool` either, nor breathy, as breath is random."""


@dataclass(frozen=True)
class _Recording:
    path: str
    samples: NDArray[np.float32]
    text: str | None


def write_demo_corpus(folder: Path, speakers: int, clean_each: int, noisy_each: int, seed: int) -> int:
    """Writes `speakers` x (`clean_each` + `noisy_each`) recordings and returns their number.

    Byte for byte the same in every fresh process; eSpeak's state makes a second call in one process differ.
    """
    total = speakers * (clean_each + noisy_each)
    with whole_folder(folder) as draft:
        for recording in track(_recordings(speakers, clean_each, noisy_each, seed), "demo corpus", total):
            path = draft / recording.path
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, recording.samples, SAMPLE_RATE_HZ, subtype="PCM_16")
            if recording.text is not None:
                path.with_suffix(".txt").write_text(recording.text + "\n", encoding="utf-8")
    return total


def most_speakers() -> int:
    """How many different people the demo can have."""
    return len(_PEOPLE)


@dataclass(frozen=True)
class _Speech:
    """A sentence said nowhere yet."""

    path: str
    noisy: bool
    samples: NDArray[np.float32]
    text: str | None


def _recordings(speakers: int, clean_each: int, noisy_each: int, seed: int) -> Iterator[_Recording]:
    synthesizer = Synthesizer()
    rooms = _Rooms(synthesizer, seed)
    for speech in ahead(_speeches(synthesizer, speakers, clean_each, noisy_each, seed), _SPOKEN_AHEAD):
        samples = rooms.loud(speech.samples) if speech.noisy else rooms.quiet(speech.samples)
        yield _Recording(speech.path, samples, speech.text)


def _speeches(synthesizer: Synthesizer, speakers: int, clean_each: int, noisy_each: int, seed: int) -> Iterator[_Speech]:
    said = set[str]()
    for number, (name, timbre) in enumerate(list(_PEOPLE.items())[:speakers]):
        rng = Random(f"{seed}-{name}")
        voice = Voice(
            f"{_ACCENTS[number % len(_ACCENTS)]}+{timbre}", rng.randint(135, 195), rng.randint(25, 75), rng.randint(30, 70)
        )
        everyday, clinic = sentences("everyday", rng.randint(0, 10**9)), sentences("clinic", rng.randint(0, 10**9))
        for index in range(clean_each + noisy_each):
            noisy = index >= clean_each
            text, samples = _utter(synthesizer, voice, clinic if noisy and index % 4 == 1 else everyday, said)
            said.add(text)
            path = f"{'noisy' if noisy else 'clean'}/{name}/{index:03d}.wav"
            yield _Speech(path, noisy, samples, None if index % 5 == 2 else text)


def _utter(synthesizer: Synthesizer, voice: Voice, texts: Iterator[str], said: Container[str]) -> tuple[str, NDArray[np.float32]]:
    """The next sentence that nobody said yet, fits into the shipped models' window of 5 s and lasts half a second or more."""
    while True:
        text = next(texts)
        if text in said:
            continue
        speech = synthesizer.speak(text, voice, SAMPLE_RATE_HZ)
        if 0.5 <= speech.size / SAMPLE_RATE_HZ <= _LONGEST_S:
            return text, speech


class _Rooms:
    """A quiet office, and loud places: wind, clattering dishes, alarms and other people talking, with echo."""

    def __init__(self, synthesizer: Synthesizer, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        minute = 60 * SAMPLE_RATE_HZ
        texts = sentences("clinic", seed)
        others = [synthesizer.speak(next(texts), Voice(f"en-029+{t}", 170, 50), SAMPLE_RATE_HZ) for t in _OTHERS]
        self._hiss = acoustics.coloured_noise(minute, 1.0, self._rng)
        self._noises = [
            acoustics.wind(minute, SAMPLE_RATE_HZ, self._rng),
            acoustics.clatter(minute, SAMPLE_RATE_HZ, self._rng),
            acoustics.alarm(minute, SAMPLE_RATE_HZ, self._rng),
            acoustics.babble(others * 3, minute, self._rng),
        ]

    def quiet(self, speech: NDArray[np.float32]) -> NDArray[np.float32]:
        noisy = acoustics.add_noise(speech, self._cut(self._hiss, speech.size), self._rng.uniform(*_CLEAN_SNR_DB))
        return acoustics.to_peak(noisy, 0.6)

    def loud(self, speech: NDArray[np.float32]) -> NDArray[np.float32]:
        echoing = acoustics.reverberate(speech, SAMPLE_RATE_HZ, self._rng.uniform(0.1, 0.3), self._rng)
        noise = self._cut(self._noises[int(self._rng.integers(len(self._noises)))], speech.size)
        return acoustics.to_peak(acoustics.add_noise(echoing, noise, self._rng.uniform(*_SNR_DB)), 0.6)

    def _cut(self, noise: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        start = int(self._rng.integers(noise.size - count))
        return noise[start : start + count]
