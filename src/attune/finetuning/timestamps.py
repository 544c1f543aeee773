"""Which windows a Whisper-class model learns to write with timestamps, and when somebody speaks in them.

A model that is fine-tuned without them forgets them, and with them how to go through long sound window after window. So a share
of the windows is written with them, drawn anew in each pass; the seed, the pass and the window's id decide, not what came before.
"""

import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from attune.dataset import SAMPLE_RATE_HZ
from attune.finetuning.families import Example, Family, SoundSource
from attune.finetuning.prompts import Segment, Writing
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
        plain, writing = self._family.labels(example.text, example.language), _writing(self._family)
        if writing is None or not self._is_timed(example, number):
            return plain
        segments = [Segment(start / speed, end / speed, text) for start, end, text in example.segments]
        timed = writing.timed(segments, example.language)
        return timed if self._family.refusal(example, timed) is None else plain

    def _is_timed(self, example: Example, number: int) -> bool:
        if not self.share or not example.text.strip():
            return False
        rng = np.random.default_rng((self._seed, number, zlib.crc32(example.id.encode()), _CHOICE))
        return bool(rng.random() < self.share)


def timestamps_share(family: Family, wanted: float) -> float:
    """`wanted` for families with timestamps, else 0."""
    writing = _writing(family)
    return wanted if writing is not None and writing.has_timestamps else 0.0


def _writing(family: Family) -> Writing | None:
    """How Whisper-class families write labels, also where a part of their model is frozen."""
    writing: Writing | None = getattr(family, "writing", None)
    return writing


def with_speech_spans(examples: Sequence[Example], sounds: SoundSource) -> list[Example]:
    """The examples with the seconds between which somebody speaks; the whole clip where nobody was noticed."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        spans = pool.map(lambda example: _span(example, sounds), examples)
        return [replace(example, speech_s=span) for example, span in zip(examples, spans, strict=True)]


def _span(example: Example, sounds: SoundSource) -> tuple[float, float]:
    samples = sounds[example.id]
    return speech_span(samples) or (0.0, samples.size / SAMPLE_RATE_HZ)
