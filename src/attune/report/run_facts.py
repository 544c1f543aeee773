"""What the summary tells, out of the metrics of a run: typed, and refused where they are of another form."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from attune.errors import DataError
from attune.report.results import Results

TITLES = {"clean": "Clean recordings", "noisy": "Noisy recordings", "overall": "All recordings together"}
"""Of the slices, in the order in which they are told."""


@dataclass(frozen=True)
class SliceFacts:
    """One slice of the evaluation's scores: rates as fractions, the improvement in percentage points."""

    utterances: int
    speakers: int
    base_wer: float
    base_cer: float
    base_error_samples: int
    tuned_wer: float
    tuned_cer: float
    tuned_error_samples: int
    improvement_points: float
    improvement_low: float
    improvement_high: float


@dataclass(frozen=True)
class RunFacts:
    """Everything the summary tells; None where a stage has not measured it."""

    slices: Mapping[str, SliceFacts]
    """By condition, with `overall` among them."""
    confidence: float
    unit: str
    """What the intervals are about: speakers or utterances."""
    trained: bool
    """False where the base model had no errors to learn from and is released as it is."""
    method: str | None
    error_utterances: int | None
    replayed_utterances: int | None
    trainable_share: float | None
    validation_wer_before: float | None
    validation_wer_after: float | None
    engine: str | None
    quantization: str | None
    size_mb: float | None
    parity_wer_increase_points: float | None
    """How much higher the exported model's WER is than the tuned one's."""
    identical_share: float | None
    export_reason: str | None
    """Why the model was not exported as params ask for."""
    model_folder: Path
    raw_folder: Path
    results: Results | None
    """Everything that the evaluation found, for its verdict and advice."""
    real_time_factors: Mapping[str, float]
    """Seconds of work for a second of sound, of base and tuned, when they were last heard here; empty where they were not."""


def facts_of(
    evaluate: Mapping[str, Any],
    train: Mapping[str, Any],
    convert: Mapping[str, Any],
    *,
    model_folder: Path,
    raw_folder: Path,
    results: Results | None = None,
    real_time_factors: Mapping[str, float] | None = None,
) -> RunFacts:
    """The facts out of the parsed scores, `train.json` and `convert_ct2.json`, and out of the whole evaluation.

    Raises DataError where the scores, or whether anything was trained, are missing or of another form; anything else that is
    missing is None.
    """
    try:
        slices = {name: _slice_facts(evaluate[name]) for name in TITLES if name == "overall" or name in evaluate}
        confidence, trained = _number(evaluate["confidence"]), bool(train["trained"])
    except KeyError as error:
        raise DataError(
            f"the metrics of evaluate or train lack {error}; make them anew with: dvc repro --force evaluate"
        ) from error
    except TypeError as error:
        raise DataError(
            f"the scores of evaluate are of another version of Attune ({error}); make them anew with: dvc repro --force evaluate"
        ) from error
    return RunFacts(
        slices=slices,
        confidence=confidence,
        unit=str(evaluate.get("unit", "utterances")),
        trained=trained,
        method=train.get("method"),
        error_utterances=train.get("error_utterances"),
        replayed_utterances=train.get("replayed_utterances"),
        trainable_share=train.get("trainable_share"),
        validation_wer_before=train.get("validation_wer_before"),
        validation_wer_after=train.get("validation_wer_after"),
        engine=convert.get("engine"),
        quantization=convert.get("quantization"),
        size_mb=convert.get("size_mb"),
        parity_wer_increase_points=convert.get("parity_wer_increase_points"),
        identical_share=convert.get("identical_share"),
        export_reason=convert.get("reason"),
        model_folder=model_folder,
        raw_folder=raw_folder,
        results=results,
        real_time_factors=real_time_factors or {},
    )


def _slice_facts(content: Any) -> SliceFacts:
    """JSON has null where a rate or a bound does not exist."""
    if not isinstance(content, Mapping):
        raise TypeError(f"{content!r} is no slice")
    return SliceFacts(**{field.name: _number(content[field.name]) for field in fields(SliceFacts)})


def _number(value: Any) -> Any:
    if not isinstance(value, int | float | None):
        raise TypeError(f"{value!r} is no number")
    return math.nan if value is None else value
