"""Synthetic speakers: eSpeak NG through the shared library that the `espeakng-loader` package carries.

eSpeak keeps state between calls, so the same text can differ by what was spoken before it. Each corpus is
therefore made in a process of its own, in a fixed order; it then repeats bit for bit.
"""

import ctypes
from dataclasses import dataclass

import espeakng_loader
import numpy as np
import soxr
from numpy.typing import NDArray

from attune.errors import EnvironmentFault

_SYNCHRONOUS, _UTF8, _CHARACTER_POSITION = 2, 1, 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Voice:
    """One speaker: an eSpeak voice with its variant (`en-us+f3`), speed in words per minute, pitch and its range in 0–99."""

    name: str
    words_per_minute: int
    pitch: int
    pitch_range: int = 50


class Synthesizer:
    """Speaks text into arrays. Make one per process: the library underneath is global."""

    def __init__(self) -> None:
        self._library = ctypes.cdll.LoadLibrary(espeakng_loader.get_library_path())
        path = espeakng_loader.get_data_path().encode()
        self._rate_hz = self._library.espeak_Initialize(_SYNCHRONOUS, 0, path, 0)
        if self._rate_hz <= 0:
            raise EnvironmentFault(f"eSpeak NG could not start with its data in {path!r}; reinstall espeakng-loader")
        self._pieces: list[NDArray[np.int16]] = []
        self._callback = _CALLBACK(self._collect)  # kept alive here: C holds only the pointer
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: Voice, sample_rate_hz: int = 16_000) -> NDArray[np.float32]:
        """Mono samples in [-1, 1]. Raises EnvironmentFault for a voice that eSpeak does not have."""
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise EnvironmentFault(f"eSpeak NG has no voice {voice.name!r}")
        for parameter, value in ((_RATE, voice.words_per_minute), (_PITCH, voice.pitch), (_RANGE, voice.pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._pieces = []
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, _CHARACTER_POSITION, 0, _UTF8, None, None)
        samples = np.concatenate(self._pieces).astype(np.float32) / 32768.0
        return np.asarray(soxr.resample(samples, self._rate_hz, sample_rate_hz), dtype=np.float32)

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0
