"""The detector to deploy: the merged model, which plain transformers loads, with the adapters beside it.

CTranslate2 has no audio tower for models of this class, and what is written says so. The merged model is proven to say what the
tuned one says.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attune.checkpoints import quietly, read_training_record, tuned_place
from attune.dataset import Sounds, read_utterances
from attune.errors import ParityError
from attune.export.parity import parity_set
from attune.files import write_csv, write_text
from attune.operations.sealing import close
from attune.params import Params
from attune.recognizers.transcription import TranscriptionReport
from attune.records import Hypothesis, Utterance
from attune.tasks.protocol import Tuned
from attune.tasks.speech_detection.convert_ct2.facts import write_detection_facts
from attune.tasks.speech_detection.parts.deployed import Calibration, write_settings
from attune.tasks.speech_detection.parts.hearing import hear_labels
from attune.tasks.speech_detection.parts.labels import speech_probability
from attune.tasks.speech_detection.parts.opening import open_unpacked
from attune.workcache import WorkCache

WHY_NOT_CTRANSLATE2 = (
    "CTranslate2 has no audio tower for models of the Qwen2-Audio class, so this is the merged model for transformers, with its "
    "adapters beside it"
)
_ENGINE, _ADAPTERS, _CARD = "transformers", "adapters", "README.md"
_FEWEST = 5
"""Right and wrong labels that calibration is learnt from, at least."""
_POINTS = 100


@dataclass(frozen=True)
class ReleasedDetector:
    """What was released; see `protocol.Released`."""

    parity: Mapping[str, Any]
    report: TranscriptionReport

    def figures(self) -> dict[str, Any]:
        return dict(self.parity)

    def costs(self, folder: Path) -> dict[str, dict[str, Any]]:  # noqa: ARG002 : measured while parity was proven
        report = self.report
        cost = {"real_time_factor": report.real_time_factor, "memory_mb": report.peak_memory_mb, "gpu_memory_mb": None}
        return {_ENGINE: {**asdict(report), **cost}}

    def write_plot(self, file: Path) -> None:
        told = self.parity
        points, wrong = told["parity_wer_increase_points"], told["parity_exported_wer"]
        row = {"export": _ENGINE, "size_mb": told["size_mb"], "wer": wrong, "wer_increase_points": points}
        write_csv(file, (*row, "identical_share"), [{**row, "identical_share": told["identical_share"]}])

    def sentence(self) -> str:
        told = self.parity
        return (
            f"{_ENGINE} model of {told['size_mb']:.1f} MB; {told['identical_share']:.0%} of {told['utterances']} labels "
            f"identical, probabilities differ by at most {told['max_probability_difference']:.4f}. {WHY_NOT_CTRANSLATE2}."
        )


def release(tuned_model: Tuned, folder: Path, params: Params) -> ReleasedDetector:
    """Writes merged model, adapters, detection.json, card and facts into `folder`. Raises ParityError where it calls clips
    otherwise, DataError where nothing was evaluated."""
    finetuned = tuned_model.finetuned
    utterances, sounds = read_utterances(tuned_model.prepared), Sounds(tuned_model.prepared)
    compared = parity_set(utterances, params.convert_ct2.parity_utterances)
    tuned, _ = hear_labels(finetuned, compared, sounds, params, WorkCache())
    _write_model(finetuned, folder, params)
    calibration = _calibration(compared, tuned)
    write_settings(folder, params.model.detection, calibration)
    exported, report = hear_labels(folder, compared, sounds, params, WorkCache())
    figures = _parity(compared, tuned, exported)
    _require_parity(figures, params.convert_ct2.max_wer_increase_points.float32)
    size_mb = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    told = {
        "engine": _ENGINE,
        "reason": WHY_NOT_CTRANSLATE2,
        "size_mb": size_mb,
        **figures,
        "calibrated_on": calibration.learnt_from,
    }
    write_detection_facts(finetuned, tuned_model.evaluated, told, params, folder)
    close(folder)
    return ReleasedDetector(told, report)


def _write_model(finetuned: Path, folder: Path, params: Params) -> None:
    """Merged into the base as it is without packing; adapters that are learnt on packed weights belong to that one, too."""
    merged = open_unpacked(str(finetuned), params.model)
    with quietly():
        merged.model.save_pretrained(folder)
        merged.processor.save_pretrained(folder)
    method = read_training_record(finetuned).method
    learnt = finetuned / tuned_place(method) if method in ("lora", "qlora") else None
    if learnt is not None:
        shutil.copytree(learnt, folder / _ADAPTERS)
    card = finetuned / tuned_place(method) / _CARD if method != "none" else finetuned / _CARD
    if card.is_file():
        head, body = card.read_text(encoding="utf-8").split("---\n", 2)[1:]
        head = head.replace("library_name: peft", "library_name: transformers")
        write_text(folder / _CARD, f"---\n{head}---\n\nExported: {WHY_NOT_CTRANSLATE2}.\n{body}")


def _parity(utterances: Sequence[Utterance], tuned: Sequence[Hypothesis], exported: Sequence[Hypothesis]) -> dict[str, Any]:
    """Of the same clips; points are of wrong labels, as far as labels are known."""
    same = sum(t.text == e.text for t, e in zip(tuned, exported, strict=True))
    apart = [abs(speech_probability(t) - speech_probability(e)) for t, e in zip(tuned, exported, strict=True)]
    wrong = [
        sum(h.text != u.reference for u, h in zip(utterances, heard, strict=True)) / max(1, len(utterances))
        for heard in (tuned, exported)
    ]
    return {
        "parity_wer_increase_points": (wrong[1] - wrong[0]) * _POINTS,
        "identical_share": same / len(utterances) if utterances else 1.0,
        "max_probability_difference": max(apart, default=0.0),
        "parity_tuned_wer": wrong[0],
        "parity_exported_wer": wrong[1],
        "utterances": len(utterances),
    }


def _require_parity(figures: dict[str, Any], allowed_points: float) -> None:
    if figures["parity_wer_increase_points"] > allowed_points:
        raise ParityError(
            f"the merged model has {figures['parity_exported_wer']:.2%} of {figures['utterances']} labels wrong, the tuned one "
            f"{figures['parity_tuned_wer']:.2%}; more than convert_ct2.max_wer_increase_points.float32 {allowed_points:g} apart: "
            "set model.detection.quantized to none, or train with train.method lora instead of qlora"
        )


def _calibration(utterances: Sequence[Utterance], heard: Sequence[Hypothesis]) -> Calibration:
    """Learnt on validation clips alone; as it is where too few of them are right or wrong."""
    pairs = [(h.confidence, h.text == u.reference) for u, h in zip(utterances, heard, strict=True) if u.split == "validation"]
    confidences, right = np.array([c for c, _ in pairs]), np.array([r for _, r in pairs], dtype=bool)
    if min(right.sum(), (~right).sum()) < _FEWEST:
        return Calibration()
    from sklearn.linear_model import LogisticRegression

    inside = np.clip(confidences, 1e-6, 1 - 1e-6)
    curve: Any = LogisticRegression(C=1e6).fit(np.log(inside / (1 - inside))[:, None], right)
    return Calibration(round(float(curve.coef_[0, 0]), 6), round(float(curve.intercept_[0]), 6), len(pairs))
