"""Which windows a Whisper-class model learns to write with timestamps, and when somebody speaks in them.

A model that is fine-tuned without them forgets them, and with them how to go through long sound window after window. So a share
of the windows is written with them, drawn anew in each pass; the seed, the pass and the window's id decide, not what came before.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attune.dataset import SAMPLE_RATE_HZ
from attune.finetuning.families import Example, Family, SoundSource, WhisperFamily
from attune.finetuning.prompts import Segment
from attune.voice_activity import speech_span

_CHOICE = 1
"""Keeps this draw apart from that of how the window sounds."""


class Labels:
    """What a window's label is in a pass: a pure function of the window, the pass and the seed."""

    def __init__(self, family: Family, share: float, seed: int) -> None:
        """`share` of the windows, 0 to 1, gets timestamps, where the family has any."""
        self._family, self._seed = family, seed
        self.share = timestamps_share(family, share)

    def of(self, example: Example, number: int, speed: float = 1.0) -> list[int]:
        """Label ids of `example` in pass `number`, where it is played `speed` times as fast."""
        plain = self._family.labels(example.text, example.language)
        if not self._is_timed(example, number) or not isinstance(self._family, WhisperFamily):
            return plain
        segments = [Segment(start / speed, end / speed, text) for start, end, text in example.segments]
        timed = self._family.writing.timed(segments, example.language)
        return timed if self._family.refusal(example, timed) is None else plain

    def _is_timed(self, example: Example, number: int) -> bool:
        if not self.share or not example.text.strip():
            return False
        rng = np.random.default_rng((self._seed, number, zlib.crc32(example.id.encode()), _CHOICE))
        return bool(rng.random() < self.share)


def timestamps_share(family: Family, wanted: float) -> float:
    """`wanted` for families with timestamps, else 0."""
    return wanted if isinstance(family, WhisperFamily) and family.writing.has_timestamps else 0.0


def with_speech_spans(examples: Sequence[Example], sounds: SoundSource) -> list[Example]:
    """The examples with the seconds between which somebody speaks; the whole clip where nobody was noticed."""
    return [replace(example, speech_s=_span(example, sounds)) for example in examples]


def _span(example: Example, sounds: SoundSource) -> tuple[float, float]:
    samples = sounds[example.id]
    return speech_span(samples) or (0.0, samples.size / SAMPLE_RATE_HZ)
