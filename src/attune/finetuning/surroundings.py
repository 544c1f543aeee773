"""Where a clip is heard: in a room with its echo, beside a noise that was recorded somewhere. Drawn anew in each pass.

All chance is in the generator that is handed in, so what is heard does not depend on what was heard before.
"""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attune.dataset import Samples
from attune.finetuning.augmentation import NOISY_SHARE
from attune.finetuning.rooms import in_room, simulated, simulator
from attune.finetuning.sound_folder import SoundFolder
from attune.params import AugmentationParams

_SILENCE = 1e-10
"""Power below which a stretch of noise is none, as its ratio to speech cannot be set."""


class Surroundings:
    """The noises and rooms that params ask for; with none of them every clip stays as it is."""

    def __init__(self, params: AugmentationParams) -> None:
        """Reads the folders. Raises TrainingError for one without sound, EnvironmentFault where a package is missing."""
        self._params = params
        self._noises = _folder(params.noise_folder, "train.augmentation.noise_folder")
        self._responses = _folder(params.room_folder, "train.augmentation.room_folder")
        simulates = params.room > 0 and self._responses is None
        self._simulator = str(simulator().__version__) if simulates else ""

    @property
    def digest(self) -> str:
        """Of the sounds in the folders and of what simulates rooms, for the fingerprint of a training run."""
        parts = [self._simulator, *(folder.digest if folder else "" for folder in (self._noises, self._responses))]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def figures(self) -> dict[str, Any]:
        """For `metrics/train.json`: how many files are heard, and the others with one word for why."""
        folders: Mapping[str, SoundFolder | None] = {"noise": self._noises, "room": self._responses}
        told = {name: {"files": len(f), "refused": dict(sorted(f.refused.items()))} for name, f in folders.items() if f}
        return dict(told)

    def around(self, samples: Samples, rng: np.random.Generator) -> Samples:
        """The clip in a room, for a share of them, and then beside a noise, for two of three; same length."""
        if self._params.room and rng.random() < self._params.room:
            samples = in_room(samples, self._response(rng))
        if self._noises is not None and self._params.noise_snr_db and rng.random() < NOISY_SHARE:
            noise = _stretch(self._noises[int(rng.integers(len(self._noises)))], samples.size, rng)
            samples = mixed(samples, noise, float(rng.uniform(*self._params.noise_snr_db)))
        return samples

    def _response(self, rng: np.random.Generator) -> Samples:
        if self._responses is None:
            return simulated(rng)
        return self._responses[int(rng.integers(len(self._responses)))]


def mixed(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """Speech and noise of one length, their powers in this ratio; the speech stays as loud as it is."""
    speech_power, noise_power = _power(samples), _power(noise)
    if noise_power < _SILENCE:
        return samples
    loudness = np.float32(math.sqrt(speech_power / noise_power * 10 ** (-snr_db / 10)))
    return np.asarray(samples + noise * loudness, dtype=np.float32)


def _stretch(noise: Samples, size: int, rng: np.random.Generator) -> Samples:
    """So many samples from a place of chance; a shorter noise goes round."""
    start = int(rng.integers(max(1, noise.size - size + 1) if noise.size >= size else noise.size))
    return np.resize(noise[start:], size) if noise.size >= size else np.resize(np.roll(noise, -start), size)


def _power(samples: Samples) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64)))


def _folder(folder: Path | None, param: str) -> SoundFolder | None:
    return None if folder is None else SoundFolder(folder, param)
