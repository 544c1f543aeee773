"""What a room does to a voice: a simulated impulse response, and a clip heard through one.

Rooms are simulated by pyroomacoustics (Scheibler et al., 2018), by the image source method without its random parts, so a room
that is drawn again sounds the same.
"""

import math
from importlib import import_module
from typing import Any

import numpy as np
import scipy.signal

from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.errors import EnvironmentFault

_SIZES_M = ((2.5, 9.0), (2.5, 7.0), (2.3, 3.5))
"""Bounds of length, width and height."""
_REVERBERATION_S = (0.15, 0.8)
"""Bounds of the time in which the sound of a room falls by 60 dB (RT60)."""
_FROM_WALL_M = 0.3
_MOST_ABSORBED = 0.9
_MOST_REFLECTIONS = 30
_SPEED_M_S = 343.0


def simulator() -> Any:
    """The library that simulates rooms. Raises EnvironmentFault where it is missing."""
    try:
        return import_module("pyroomacoustics")
    except ImportError as error:
        raise EnvironmentFault(
            "train.augmentation.room simulates rooms with pyroomacoustics, which is missing: pip install -c constraints.txt -e "
            "'.[augment]'; or name a folder of impulse responses in train.augmentation.room_folder, or set room to 0"
        ) from error


def simulated(rng: np.random.Generator) -> Samples:
    """The impulse response of a box of a room, its size, reverberation and the places of mouth and microphone drawn."""
    library = simulator()
    size = np.array([rng.uniform(*bounds) for bounds in _SIZES_M])
    mouth, microphone = (rng.uniform(_FROM_WALL_M, size - _FROM_WALL_M) for _ in range(2))
    reverberation_s = float(rng.uniform(*_REVERBERATION_S))
    reflections = math.ceil(_SPEED_M_S * reverberation_s / float(size.min()))
    room = library.ShoeBox(
        size,
        fs=SAMPLE_RATE_HZ,
        materials=library.Material(_absorption(size, reverberation_s)),
        max_order=min(reflections, _MOST_REFLECTIONS),
    )
    room.add_source(mouth)
    room.add_microphone(microphone)
    room.compute_rir()
    return np.asarray(room.rir[0][0], dtype=np.float32)


def in_room(samples: Samples, response: Samples) -> Samples:
    """The clip through an impulse response, as long, as loud and beginning when it did: the response starts at its peak."""
    direct = response[int(np.argmax(np.abs(response))) :].astype(np.float64)
    heard = scipy.signal.fftconvolve(samples.astype(np.float64), direct)[: samples.size]
    before, after = float(np.mean(np.square(samples, dtype=np.float64))), float(np.mean(np.square(heard)))
    return np.asarray(heard * math.sqrt(before / after) if after > 0 else samples, dtype=np.float32)


def _absorption(size_m: Any, reverberation_s: float) -> float:
    """The walls' share of energy absorbed, by Sabine's formula."""
    length, width, height = (float(side) for side in size_m)
    volume, surface = length * width * height, 2 * (length * width + length * height + width * height)
    return min(_MOST_ABSORBED, 24 * math.log(10) / _SPEED_M_S * volume / (surface * reverberation_s))
