"""What the evaluate stage writes of an `Evaluation`: the headline for comparing, every score, and rows for plots.

Rates are fractions, improvements percentage points.
"""

from attune.report.evaluation import Evaluation, ModelResult, SliceResult
from attune.significance import PairedDifference
from attune.text import NORMALIZER

SCORES = "scores.json"
"""Where in the evaluation folder every score stands."""
_POINTS = 100


def headline(evaluation: Evaluation) -> dict[str, float]:
    """The contents of `metrics/evaluate.json`: the few figures that `dvc metrics` and `dvc exp show` set side by side."""
    whole = evaluation.slices[0]
    by_condition = {
        f"{part.condition}_{name}_wer": model.words.rate
        for part in evaluation.slices[1:]
        for name, model in (("base", part.base), ("tuned", part.tuned))
    }
    return {
        "base_wer": whole.base.words.rate,
        "tuned_wer": whole.tuned.words.rate,
        **_difference_metrics("", whole.wer_improvement),
        "base_cer": whole.base.characters.rate,
        "tuned_cer": whole.tuned.characters.rate,
        **by_condition,
    }


def metrics(evaluation: Evaluation) -> dict[str, str | float | dict[str, float]]:
    """Every score: one flat dict a slice, and what the numbers were made with."""
    per_slice = {part.condition: _slice_metrics(part) for part in evaluation.slices}
    return {**per_slice, "confidence": evaluation.params.confidence, "normalizer": NORMALIZER}


def plot_rows(evaluation: Evaluation) -> list[dict[str, str | float]]:
    """Rows of a plot of WER with its interval: one a slice and model."""
    return [
        {
            "result": f"{part.condition}: {name}",
            "wer": model.words.rate,
            "wer_low": model.wer.low,
            "wer_high": model.wer.high,
        }
        for part in evaluation.slices
        for name, model in (("base", part.base), ("tuned", part.tuned))
    ]


def speaker_rows(evaluation: Evaluation) -> list[dict[str, str | float]]:
    """Rows of a table of WER by speaker, in alphabetical order."""
    return [
        {"speaker": each.speaker, "utterances": each.utterances, "base_wer": each.base.rate, "tuned_wer": each.tuned.rate}
        for each in evaluation.speakers
    ]


def _slice_metrics(part: SliceResult) -> dict[str, float]:
    return {
        "utterances": part.utterances,
        "speakers": part.speakers,
        "words": part.base.words.reference_length,
        **_difference_metrics("", part.wer_improvement),
        "probability_better": part.wer_improvement.probability_better,
        "relative_improvement": part.relative_improvement,
        **_difference_metrics("cer_", part.cer_improvement),
        **_model_metrics("base", part.base),
        **_model_metrics("tuned", part.tuned),
    }


def _difference_metrics(prefix: str, difference: PairedDifference) -> dict[str, float]:
    return {
        f"{prefix}improvement_points": difference.point * _POINTS,
        f"{prefix}improvement_low": difference.low * _POINTS,
        f"{prefix}improvement_high": difference.high * _POINTS,
    }


def _model_metrics(name: str, model: ModelResult) -> dict[str, float]:
    return {
        f"{name}_wer": model.words.rate,
        f"{name}_wer_low": model.wer.low,
        f"{name}_wer_high": model.wer.high,
        f"{name}_cer": model.characters.rate,
        f"{name}_cer_low": model.cer.low,
        f"{name}_cer_high": model.cer.high,
        f"{name}_error_samples": model.error_samples,
        f"{name}_substitutions": model.words.substitutions,
        f"{name}_deletions": model.words.deletions,
        f"{name}_insertions": model.words.insertions,
    }
