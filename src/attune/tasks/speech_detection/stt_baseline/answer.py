"""A hypothesis is a label, with the probability that it is right; beside the model two cheap detectors hear the same clips."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from attune.dataset import Sounds, read_utterances
from attune.operations.baseline import calibrated
from attune.params import Params
from attune.records import Hypothesis, Utterance
from attune.tasks.protocol import Heard
from attune.tasks.speech_detection.parts.beside import Beside, beside, speaks
from attune.tasks.speech_detection.parts.hearing import hear_labels
from attune.tasks.speech_detection.parts.labels import speech_probability
from attune.tasks.speech_detection.parts.measures import Truth, equal_error_rate, table
from attune.tasks.speech_detection.parts.slices import COLUMNS, rows, slices
from attune.workcache import WorkCache

_BANDS = {"snr_db": (0, 5, 10, 15, 20), "duration_s": (0.5, 1, 2, 5, 10)}
_CONFIDENCE = 0.95


def hear(prepared: Path, params: Params) -> Heard:
    """The base model's label of each clip, scored by constrained decoding."""
    utterances, sounds = read_utterances(prepared), Sounds(prepared)
    heard, report = hear_labels(params.model.name, utterances, sounds, params, WorkCache())
    heard, doubt = calibrated(utterances, heard, params.stt_baseline.calibration)
    others = [_of_model(heard), *beside(utterances, sounds)]
    truth = np.array([speaks(u) for u in utterances], dtype=bool)
    figures = _figures(utterances, truth, others) | doubt.figures
    return Heard(
        hypotheses=heard,
        columns=COLUMNS,
        scores=[row for each in others for row in _scores(utterances, truth, each)],
        reliability=doubt.rows,
        figures=figures,
        timing={**asdict(report), "real_time_factor": report.real_time_factor},
        sentence=_sentence(figures),
    )


def _of_model(heard: Sequence[Hypothesis]) -> Beside:
    """The model as one of the detectors."""
    return Beside("model", np.array([speech_probability(h) for h in heard], dtype=np.float64), 0.5)


def _scores(utterances: Sequence[Utterance], truth: Truth, each: Beside) -> list[dict[str, Any]]:
    tables = [table(truth[n : n + 1], each.called[n : n + 1]) for n in range(len(utterances))]
    return list(rows(each.name, slices(utterances, tables, _BANDS), _CONFIDENCE))


def _figures(utterances: Sequence[Utterance], truth: Truth, others: Sequence[Beside]) -> dict[str, Any]:
    """Of all clips, a section a detector; equal error rates need no threshold."""
    figures: dict[str, Any] = {"clips": len(utterances), "speech": int(truth.sum())}
    for each in others:
        counts = table(truth, each.called)
        figures[each.name] = {
            "accuracy": counts.accuracy,
            "balanced_accuracy": counts.balanced_accuracy,
            "f1": counts.f1,
            "equal_error_rate": equal_error_rate(truth, each.said),
            "threshold": each.threshold,
        }
    return figures


def _sentence(figures: dict[str, Any]) -> str:
    told = ", ".join(f"{name} {figures[name]['balanced_accuracy']:.1%}" for name in ("model", "silero", "energy"))
    return f"{figures['clips']} clips, {figures['speech']} of them speech; balanced accuracy: {told}."
