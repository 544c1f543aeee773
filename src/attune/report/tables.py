"""What the evaluate stage writes of `Results` besides the whole: the headline for comparing, flat scores, rows of tables.

Rates are fractions, improvements percentage points.
"""

from pathlib import Path
from typing import Any

from attune.files import write_csv, write_json, write_jsonl
from attune.report.evaluation import Evaluation
from attune.report.results import ModelScores, Results, SliceScores

SCORES = "scores.json"
"""Where in the evaluation folder the scores stand that `attune summary` reads."""
UTTERANCE_ROWS, AGREEMENT_ROWS = "utterances.jsonl", "agreement.jsonl"
"""Where in it `UtteranceResult` and `AgreementResult` stand."""
SLICE_COLUMNS = (
    "dimension", "value", "utterances", "speakers", "words", "hours", "unit", "base_wer", "base_wer_low", "base_wer_high",
    "tuned_wer", "tuned_wer_low", "tuned_wer_high", "base_cer", "tuned_cer", "improvement_points", "improvement_low",
    "improvement_high", "probability_better",
)  # fmt: skip


def write_folder(folder: Path, found: Evaluation) -> None:
    """Fills the evaluation folder: every test utterance, agreement apart, slices, and the scores of the summary."""
    write_json(folder / SCORES, scores(found.results))
    write_jsonl(folder / UTTERANCE_ROWS, found.utterances)
    write_jsonl(folder / AGREEMENT_ROWS, found.agreement)
    write_csv(folder / "slices.csv", SLICE_COLUMNS, slice_rows(found.results))


def headline(results: Results) -> dict[str, Any]:
    """The contents of `metrics/evaluate.json`: the few figures that `dvc metrics` and `dvc exp show` set side by side."""
    whole, sure = results.overall, results.uncertainty
    decided = sure.speakers if sure.unit == "speakers" else sure.utterances
    return {
        "base_wer": whole.base.wer,
        "tuned_wer": whole.tuned.wer,
        **_difference("", whole),
        "probability_better": whole.wer_improvement.probability_better,
        "p_value": decided.p_value,
        "mapsswe_p_value": sure.mapsswe.p_value,
        "minimum_detectable_points": sure.minimum_detectable_points,
        "base_cer": whole.base.cer,
        "tuned_cer": whole.tuned.cer,
        **{f"{part.value}_{name}_wer": model.wer for part in _conditions(results) for name, model in _models(part)},
        "glossary_recall": results.glossary.tuned_recall,
        "hallucination_share": results.hallucination_share,
        **_forgetting(results.forgetting),
        "passed": int(results.verdict.passed),
        "failed_samples": len(results.verdict.failed_samples),
        **({"suites": {suite.name: suite.wer for suite in results.suites}} if results.suites else {}),
    }


def scores(results: Results) -> dict[str, Any]:
    """One flat dict for the whole and each condition, and what the numbers were made with."""
    parts = {"overall": results.overall, **{part.value: part for part in _conditions(results)}}
    flat = {name: _flat(part) for name, part in parts.items()}
    return {**flat, "unit": results.uncertainty.unit, "confidence": results.confidence, "normalizer": results.normalizer}


def slice_rows(results: Results) -> list[dict[str, Any]]:
    """Rows of a table of everything by slice; columns are SLICE_COLUMNS."""
    return [
        {"dimension": part.dimension, "value": part.value, "hours": part.hours, "unit": part.unit, **_flat(part)}
        for part in (results.overall, *results.slices)
    ]


def _forgetting(part: SliceScores | None) -> dict[str, float | None]:
    return {f"forgetting_{name}_wer": model.wer for name, model in _models(part)} if part else {}


def _conditions(results: Results) -> list[SliceScores]:
    return [part for part in results.slices if part.dimension == "condition"]


def _models(part: SliceScores) -> tuple[tuple[str, ModelScores], ...]:
    return ("base", part.base), ("tuned", part.tuned)


def _flat(part: SliceScores) -> dict[str, Any]:
    return {
        "utterances": part.utterances,
        "speakers": part.speakers,
        "words": part.words,
        **_difference("", part),
        "probability_better": part.wer_improvement.probability_better,
        "relative_improvement": part.relative_improvement,
        **_difference("cer_", part),
        **{f"{name}_{key}": value for name, model in _models(part) for key, value in vars(model).items()},
    }


def _difference(prefix: str, part: SliceScores) -> dict[str, float | None]:
    found = part.cer_improvement if prefix else part.wer_improvement
    return {
        f"{prefix}improvement_points": found.points,
        f"{prefix}improvement_low": found.low,
        f"{prefix}improvement_high": found.high,
    }
