"""How audio language models learn labels: only the label's tokens are in the loss, and adapters sit in the language model."""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from attune.dataset import Samples
from attune.finetuning.families import Batch, Example
from attune.params import DetectionModelParams
from attune.tasks.speech_detection.parts.labels import LABELS
from attune.tasks.speech_detection.parts.prompting import Prompting
from attune.tasks.speech_detection.parts.scoring import label_of, of_features, probabilities

LANGUAGE_MODEL = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)"
"""Bare names would match the audio tower, too."""
AUDIO_TOWER = r".*audio_tower.*\.(q_proj|k_proj|v_proj|out_proj)"
BOTH = f"(?:{LANGUAGE_MODEL}|{AUDIO_TOWER})"
_AT_ONCE = 16


class LabelFamily:
    """See `finetuning.families.Family`."""

    adapted_layers = LANGUAGE_MODEL

    def __init__(self, params: DetectionModelParams, processor: Any) -> None:
        self._prompting = Prompting(processor, params.question, params.max_audio_length_s)

    def refusal(self, example: Example, labels: Sequence[int]) -> str | None:  # noqa: ARG002
        if example.text not in LABELS:
            return "no_label"
        return "longer_than_window" if example.duration_s > self._prompting.window_s + 0.01 else None

    def labels(self, text: str, language: str | None = None) -> list[int]:  # noqa: ARG002 : labels are of none
        return self._prompting.label_ids(text) if text in LABELS else []

    def positions(self, duration_s: float) -> int:
        return self._prompting.positions(duration_s)

    def features(self, samples: Samples) -> NDArray[Any]:
        return self._prompting.features(samples)

    def collate(self, rows: Sequence[tuple[NDArray[Any], list[int]]]) -> Batch:
        return self._prompting.batch([features for features, _ in rows], [labels for _, labels in rows])

    def exact(self) -> "LabelFamily":
        return self

    def recognize(self, model: Any, features: Sequence[NDArray[Any]]) -> list[str]:
        called: list[str] = []
        with torch.no_grad():
            for start in range(0, len(features), _AT_ONCE):
                said = of_features(model, self._prompting, features[start : start + _AT_ONCE])
                called += [label_of(speech) for speech in probabilities(said).tolist()]
        return called


def label_family(params: DetectionModelParams, kind: str, model: Any, processor: Any, language: str | None) -> LabelFamily:  # noqa: ARG001
    """Of a checkpoint that was opened to train; `params` come first, so that they can be bound."""
    return LabelFamily(params, processor)
