"""The corpus in figures: how much there is, who speaks, how long and how noisy, for each side and each condition."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from attune.intake import IntakeReport
from attune.records import Condition, Split, Utterance

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_CONDITIONS: tuple[Condition, ...] = ("clean", "noisy")
_PERCENTILES = (10, 50, 90)


def metrics(report: IntakeReport) -> dict[str, Any]:
    """The figures of `metrics/split_clean_noisy.json`: the whole, each side, each condition, and what was left out."""
    of_all = report.utterances
    return {
        "recordings": report.recordings,
        **_figures(of_all),
        "rejected": len(report.rejected),
        "ignored_files": report.ignored_files,
        "empty_transcripts": report.empty_transcripts,
        **{side: _figures(u for u in of_all if u.split == side) for side in _SPLITS},
        **{condition: _figures(u for u in of_all if u.condition == condition) for condition in _CONDITIONS},
        "rejected_for": dict(sorted(Counter(r.reason for r in report.rejected).items())),
        "speaker_from": dict(sorted(report.speaker_from.items())),
        "warnings": list(report.warnings),
    }


PARTS = (*_SPLITS, *_CONDITIONS)
"""What distributions are told of, each for itself."""


def distribution(utterances: Iterable[Utterance], fact: Literal["duration_s", "snr_db"], width: int) -> list[dict[str, float]]:
    """Rows of a plot: of each of PARTS the share whose `fact` lies in the bin from that value on, which is `width` wide."""
    counts = {part: Counter[int]() for part in PARTS}
    for utterance in utterances:
        value = getattr(utterance, fact)
        if value is not None:
            counts[utterance.split][int(value // width)] += 1
            counts[utterance.condition][int(value // width)] += 1
    seen = {number for count in counts.values() for number in count}
    bins = range(min(seen, default=0), max(seen, default=-1) + 1)
    return [
        {fact: number * width, **{part: round(count[number] / max(1, count.total()), 4) for part, count in counts.items()}}
        for number in bins
    ]


def _figures(utterances: Iterable[Utterance]) -> dict[str, Any]:
    some = list(utterances)
    return {
        "utterances": len(some),
        "hours": round(sum(u.duration_s for u in some) / 3600, 4),
        "speakers": len({u.speaker for u in some}),
        "with_reference": sum(u.reference is not None for u in some),
        "duration_s": _spread(u.duration_s for u in some),
        "snr_db": _spread(u.snr_db for u in some),
    }


def _spread(values: Iterable[float | None]) -> dict[str, float | None]:
    """The tenth, fiftieth and ninetieth percentile."""
    known = [value for value in values if value is not None]
    found = np.percentile(known, _PERCENTILES).round(2).tolist() if known else [None] * len(_PERCENTILES)
    return {f"p{percent}": value for percent, value in zip(_PERCENTILES, found, strict=True)}
