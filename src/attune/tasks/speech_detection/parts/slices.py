"""Counts of right and wrong labels, of all clips and by condition, SNR, length, speaker and folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attune.records import Utterance
from attune.slicing import band, places
from attune.tasks.speech_detection.parts.measures import Table, interval

_CONTENT = "content_s"
"""The column that says how much of a padded clip is content."""


@dataclass(frozen=True)
class Slice:
    """Some clips and what they were called."""

    dimension: str
    value: str
    table: Table


def content_s(utterance: Utterance) -> float:
    """How long its content lasts, as its list says; else its length, in seconds."""
    try:
        return float(utterance.tags.get(_CONTENT, utterance.duration_s))
    except ValueError:
        return utterance.duration_s


def slices(
    utterances: Sequence[Utterance], tables: Sequence[Table], edges: Mapping[str, Sequence[float]], columns: Sequence[str] = ()
) -> list[Slice]:
    """All first, then each value of each dimension; `edges` are those of `snr_db` and `duration_s`, `tables` of a clip each."""
    found = [Slice("all", "", sum(tables, Table()))]
    groups: dict[tuple[str, tuple[int, str]], list[Table]] = {}
    for utterance, one in zip(utterances, tables, strict=True):
        placed = places(utterance, edges, columns) | {"duration_s": band(content_s(utterance), edges["duration_s"], "s")}
        for dimension, place in placed.items():
            groups.setdefault((dimension, place), []).append(one)
    order = list(dict.fromkeys(dimension for dimension, _ in groups))
    for dimension, place in sorted(groups, key=lambda key: (order.index(key[0]), key[1])):
        found.append(Slice(dimension, place[1], sum(groups[dimension, place], Table())))
    return found


def rows(who: str, found: Sequence[Slice], confidence: float) -> Iterator[dict[str, Any]]:
    """Of a table under COLUMNS."""
    for each in found:
        low, high = interval(each.table, confidence) or (None, None)
        yield {
            "who": who,
            "slice": each.dimension,
            "value": each.value,
            "clips": each.table.clips,
            "accuracy": _short(each.table.accuracy),
            "accuracy_low": _short(low),
            "accuracy_high": _short(high),
            "balanced_accuracy": _short(each.table.balanced_accuracy),
            "f1": _short(each.table.f1),
        }


COLUMNS = ("who", "slice", "value", "clips", "accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "f1")


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
