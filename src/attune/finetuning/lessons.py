"""What a model learns and is judged by, and how each pass hears it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attune.finetuning.augmentation import at_speed, draw_speed, masked, through_another_microphone
from attune.finetuning.families import Example, Family, SoundSource
from attune.finetuning.forgetting import Forgetting
from attune.finetuning.surroundings import Surroundings
from attune.params import AugmentationParams

_FEATURE_BYTES = 1 << 30


class Features:
    """Features and labels by example, kept once computed as long as they fit into memory."""

    def __init__(self, family: Family, sounds: SoundSource, surroundings: Surroundings | None = None) -> None:
        self.family, self._sounds, self._surroundings = family, sounds, surroundings
        self._kept: dict[str, NDArray[np.float32]] = {}
        self._free_bytes = _FEATURE_BYTES

    def of(self, example: Example) -> NDArray[np.float32]:
        if example.id in self._kept:
            return self._kept[example.id]
        features = self.family.features(self._sounds[example.id])
        if features.nbytes <= self._free_bytes:
            self._kept[example.id] = features
            self._free_bytes -= features.nbytes
        return features

    def exact(self) -> "Features":
        """Those that validation hears."""
        family = self.family.exact()
        return self if family is self.family else Features(family, self._sounds)

    def varied(self, example: Example, params: AugmentationParams, rng: np.random.Generator) -> NDArray[np.float32]:
        """The example as another speaker with another microphone; at its own speed where the family could not learn it faster."""
        if not varies(params):
            return self.of(example)
        samples = at_speed(self._sounds[example.id], self.speed(example, params, rng))
        if self._surroundings is not None:
            samples = self._surroundings.around(samples, rng)
        if params.noise_folder is not None:
            params = params.model_copy(update={"noise_snr_db": None})  # the noise is there already
        features = self.family.features(through_another_microphone(samples, params, rng))
        return masked(features, params.spec_augment, rng) if params.spec_augment else features

    def speed(self, example: Example, params: AugmentationParams, rng: np.random.Generator) -> float:
        """How fast it is played; the first draw from `rng`, so that what is drawn later cannot change it."""
        speed = draw_speed(params, rng)
        played = replace(example, duration_s=example.duration_s / speed)
        return speed if self.family.refusal(played, self.family.labels(example.text, example.language)) is None else 1.0


@dataclass(frozen=True)
class Lesson:
    """The windows to learn, those that judge what was learnt, and those that tell what was forgotten."""

    features: Features
    learnable: Sequence[Example]
    validation: Sequence[Example]
    forgetting: Forgetting


def varies(params: AugmentationParams) -> bool:
    """Whether each pass hears the recordings changed."""
    told = (params.speed, params.gain_db, params.equalizer_db, params.noise_snr_db, params.spec_augment, params.room)
    return any(told)
