"""Rows of the CSV files that DVC draws of an evaluation; see dvc.yaml and .dvc/plots."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from attune.tasks.speech_detection.evaluate.pictures import thinned
from attune.tasks.speech_detection.evaluate.results import Results
from attune.tasks.speech_detection.parts.beside import Beside
from attune.tasks.speech_detection.parts.measures import Truth, det, roc

_PLACES = 6
_MODELS = ("base", "tuned")
Rows = list[dict[str, Any]]


def curves(results: Results, truth: Truth, heard: Sequence[Beside]) -> dict[str, Rows]:
    """Of each file of `protocol.CURVES`; ROC and DET want both classes."""
    some = heard if truth.any() and not truth.all() else []
    points = (("model", "who"), *((name, name) for name in ("duration_s", "snr_db", "clips", "accuracy", "low", "high")))
    return {
        "roc.csv": [
            row for each in some for row in _curve(each.name, ("false_alarms", "hits", "threshold"), roc(truth, each.said))
        ],
        "det.csv": [row for each in some for row in _curve(each.name, ("false_alarms", "misses"), det(truth, each.said))],
        "psychometric.csv": [{name: getattr(point, of) for name, of in points} for point in results.points],
    }


def confusions(truth: Truth, heard: Sequence[Beside]) -> Rows:
    """How often each model takes one label for the other."""
    kinds = (("SPEECH → NONSPEECH", truth), ("NONSPEECH → SPEECH", ~truth))
    wrong = {each.name: each.called != truth for each in heard if each.name in _MODELS}
    return [
        {"confusion": name, "model": who, "count": int((some & of).sum())} for name, of in kinds for who, some in wrong.items()
    ]


def reliability(truth: Truth, heard: Sequence[Beside]) -> Rows:
    """The share of right labels where a model says that it is so sure, in tenths from 0.5 on."""
    rows = []
    for each in (one for one in heard if one.name in _MODELS):
        sure, right = np.maximum(each.said, 1 - each.said), each.called == truth
        tenths = np.minimum((sure * 10).astype(int), 9)
        for tenth in np.unique(tenths).tolist():
            share = round(float(right[tenths == tenth].mean()), 4)
            rows.append({"said": round(tenth / 10 + 0.05, 2), "right": share, "model": each.name})
    return rows


def error_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of accuracies as one of error rates, which the plots of WER show."""
    turned = {"wer": "accuracy", "wer_low": "accuracy_high", "wer_high": "accuracy_low"}
    rates = {name: None if row[of] is None else round(1 - row[of], _PLACES) for name, of in turned.items()}
    return {"slice": row["value"], "model": row["who"], **rates}


def _curve(model: str, columns: Sequence[str], points: Iterable[tuple[float, ...]]) -> Rows:
    """`place` keeps their order, which lines follow."""
    rounded = (dict(zip(columns, (round(value, _PLACES) for value in point), strict=True)) for point in thinned(list(points)))
    return [{"model": model, "place": place, **row} for place, row in enumerate(rounded)]
