"""What each model said of each clip of the test: the rows of metrics/evaluation/clips.jsonl."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attune.records import Condition
from attune.tasks.speech_detection.parts.beside import Beside
from attune.tasks.speech_detection.parts.labels import NONSPEECH, SPEECH, is_speech
from attune.tasks.speech_detection.parts.measures import Truth

CLIPS = "clips.jsonl"
"""The file's name."""


@dataclass(frozen=True)
class Called:
    """One clip of the test."""

    id: str
    source: str
    speaker: str
    condition: Condition
    label: str
    snr_db: float | None
    content_s: float
    base: float
    """P(SPEECH)."""
    tuned: float
    silero: float
    energy_db: float

    @property
    def base_label(self) -> str:
        return _label(self.base)

    @property
    def tuned_label(self) -> str:
        return _label(self.tuned)


def truth_and_models(clips: Sequence[Called]) -> tuple[Truth, list[Beside]]:
    """Which of them are speech, and what base and tuned model said."""
    said = {name: np.array([getattr(clip, name) for clip in clips], dtype=np.float64) for name in ("base", "tuned")}
    truth = np.array([is_speech(clip.label) for clip in clips], dtype=bool)
    return truth, [Beside(name, some, 0.5) for name, some in said.items()]


def _label(speech: float) -> str:
    return SPEECH if speech >= 0.5 else NONSPEECH
