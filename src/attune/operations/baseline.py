"""What the base model hears in a corpus, how well and how sure, as the figures of `metrics/stt_baseline.json`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from attune.calibration import calibrate
from attune.records import Hypothesis, Score, Utterance
from attune.scoring import pool, score
from attune.slicing import band
from attune.text import normalize, repeats

COLUMNS = (
    "slice", "value", "utterances", "with_reference", "reference_words", "hours", "wer", "cer", "mean_confidence", "empty_texts",
    "texts_without_speech", "repeating_texts", "hallucination_share", "decoded_again",
)  # fmt: skip
RELIABILITY = ("said", "before", "after", "ideal")
_NO_SPEECH = 0.05
_SNR_BANDS_DB = (0, 5, 10, 15, 20)
_DURATION_BANDS_S = (1, 2, 5, 10, 20)


@dataclass(frozen=True)
class Doubt:
    """How far confidences can be trusted, before and after calibration."""

    figures: dict[str, Any]
    rows: list[dict[str, float | None]]
    """Of the reliability plot; columns are RELIABILITY."""


def calibrated(
    utterances: Sequence[Utterance], hypotheses: Sequence[Hypothesis], method: Literal["platt", "isotonic", "none"]
) -> tuple[list[Hypothesis], Doubt]:
    """The hypotheses with the probability that they are right, learnt from validation utterances that have a reference."""
    pairs = [(u, h) for u, h in zip(utterances, hypotheses, strict=True) if u.split == "validation" and u.reference is not None]
    confidences = np.array([h.confidence for _, h in pairs], dtype=np.float64)
    right = np.array([normalize(u.reference or "") == normalize(h.text) for u, h in pairs], dtype=bool)
    learnt = None if method == "none" else calibrate(confidences, right, method)
    figures: dict[str, Any] = {"calibrated_on": 0, "calibration_error_before": None, "calibration_error_after": None}
    if learnt is None:
        return list(hypotheses), Doubt(figures, [])
    figures = {
        "calibrated_on": learnt.learnt_from,
        "calibration_error_before": learnt.error_before,
        "calibration_error_after": learnt.error_after,
    }
    said = learnt.apply(np.array([h.confidence for h in hypotheses], dtype=np.float64)).round(4).tolist()
    surer = [replace(h, probability=probability) for h, probability in zip(hypotheses, said, strict=True)]
    return surer, Doubt(figures, learnt.rows(confidences, right))


def metrics(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Those of `slices` for the whole corpus, and WER by condition; one level deep."""
    by_condition = {f"{row['value']}_wer": row["wer"] for row in rows if row["slice"] == "condition"}
    return {name: rows[0][name] for name in COLUMNS[2:]} | by_condition


def slices(utterances: Sequence[Utterance], hypotheses: Sequence[Hypothesis]) -> list[dict[str, Any]]:
    """Counts, pooled WER and CER against references where they are known, and mean confidence, as rows of a table: all first,
    then each condition, side, band of noise and length, and speaker.

    Rates are fractions, None where there is no reference. `hypotheses` are in the order of `utterances`.
    """
    heard = [_Heard.of(u, h) for u, h in zip(utterances, hypotheses, strict=True)]
    rows = [{"slice": "all", "value": "", **_figures(heard)}]
    for name, value_of in _SLICES.items():
        groups: dict[tuple[int, str], list[_Heard]] = {}
        for each in heard:
            groups.setdefault(value_of(each.utterance), []).append(each)
        rows += [{"slice": name, "value": value, **_figures(groups[order, value])} for order, value in sorted(groups)]
    return rows


def sentence(figures: dict[str, Any]) -> str:
    """One line for people."""
    heard = f"{figures['utterances']} utterances heard with a mean confidence of {figures['mean_confidence'] or 0:.2f}"
    if figures["wer"] is None:
        return f"{heard}; none has a reference, so there is no WER."
    return (
        f"{heard}; WER {figures['wer']:.2%}, CER {figures['cer']:.2%} on the {figures['with_reference']} that have a reference."
    )


@dataclass(frozen=True)
class _Heard:
    """What is to be known of one utterance, in whichever slices it is."""

    utterance: Utterance
    hypothesis: Hypothesis
    score: Score | None
    repeats: bool
    without_speech: bool

    @classmethod
    def of(cls, utterance: Utterance, hypothesis: Hypothesis) -> "_Heard":
        silent = utterance.speech_share is not None and utterance.speech_share < _NO_SPEECH
        known = None if utterance.reference is None else score(utterance.id, utterance.reference, hypothesis.text)
        return cls(utterance, hypothesis, known, repeats(hypothesis.text), silent and bool(hypothesis.text))


def _figures(heard: Sequence[_Heard]) -> dict[str, Any]:
    scores = [each.score for each in heard if each.score is not None]
    words, characters = pool(scores)
    return {
        "utterances": len(heard),
        "with_reference": len(scores),
        "reference_words": words.reference_length,
        "hours": round(sum(each.utterance.duration_s for each in heard) / 3600, 4),
        "wer": words.rate if words.reference_length else None,
        "cer": characters.rate if characters.reference_length else None,
        "mean_confidence": sum(each.hypothesis.confidence for each in heard) / len(heard) if heard else None,
        "empty_texts": sum(not each.hypothesis.text for each in heard),
        "texts_without_speech": sum(each.without_speech for each in heard),
        "repeating_texts": sum(each.repeats for each in heard),
        "hallucination_share": sum(each.repeats or each.without_speech for each in heard) / len(heard) if heard else None,
        "decoded_again": sum(each.hypothesis.temperature > 0 for each in heard),
    }


_SLICES: dict[str, Callable[[Utterance], tuple[int, str]]] = {
    "condition": lambda u: (0, u.condition),
    "split": lambda u: (0, u.split),
    "snr": lambda u: band(u.snr_db, _SNR_BANDS_DB, "dB"),
    "duration": lambda u: band(u.duration_s, _DURATION_BANDS_S, "s"),
    "speaker": lambda u: (0, u.speaker),
}
"""Slice → the place of its value among the others, and its name."""
