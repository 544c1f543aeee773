"""A comparison as a table for a terminal, and as rows for a spreadsheet."""

import textwrap
from collections.abc import Sequence
from typing import Any

from attune.report.comparing import Compared, Comparison

COLUMNS = (
    "name", "commit", "utterances", "speakers", "common_utterances", "wer", "wer_low", "wer_high", "cer", "passed",
    "better_by_points", "better_by_low", "better_by_high", "p_value", "p_value_corrected", "judgement", "size_mb", "minutes",
    "memory_mb", "on_pareto_front", "changed_params",
)  # fmt: skip
COST_TITLES = {"size_mb": "size, MB", "minutes": "minutes", "memory_mb": "memory, MB"}
_WIDTH = 100
_JUDGEMENTS = {"uncertain": "may be chance", "unknown": "cannot be told", "same": "the same errors"}


def csv_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Columns are COLUMNS; rates are fractions, differences points."""
    return [_csv_row(row) for row in comparison.rows]


def text(comparison: Comparison) -> str:
    """The table with what it means below, ending in a newline."""
    table = aligned([heads(comparison), *(cells(row) for row in comparison.rows)])
    changed = [f"{row.name}: {settings(row)}" for row in comparison.rows if row.changed]
    told = [finding(comparison), *notes(comparison), *changed]
    wrapped = [textwrap.fill(note, _WIDTH, break_long_words=False, break_on_hyphens=False) for note in told]
    return "\n".join([*table, "", *wrapped]) + "\n"


def heads(comparison: Comparison) -> list[str]:
    """Of the columns that people read."""
    interval = f"{comparison.confidence:.0%} interval"
    return ["", "experiment", "WER", interval, "better by", interval, "p", "judgement", *COST_TITLES.values()]


def cells(row: Compared) -> list[str]:
    """One row as people read it; `?` is unknown."""
    gained = row.difference
    return [
        "*" if row.on_front else "",
        row.name,
        percent(row.wer),
        span(row.wer_low, row.wer_high, 100),
        "" if gained is None else number(gained.points, "+.2f"),
        "" if gained is None else span(gained.low, gained.high),
        p_value(row),
        judged(row),
        *(cost(row, key) for key in COST_TITLES),
    ]


def finding(comparison: Comparison) -> str:
    """Which experiment to take, in a sentence."""
    reference, *others = comparison.rows
    better = [row for row in others if row.judgement == "better" and row.wer is not None]
    if not better:
        return f"None is better than {reference.name} beyond chance."
    best = min(better, key=lambda row: (row.wer or 0.0, getattr(row.cost, comparison.cost) or 0.0))
    points = best.difference.points if best.difference else None
    told = (
        f"The lowest WER beyond chance: {best.name}, {percent(best.wer)}, {number(points, '.2f')} percentage points better than "
        f"{reference.name}."
    )
    return told if best.passed else f"{told} It did not pass validation, though: do not deploy it yet."


def settings(row: Compared) -> str:
    """The params that it sets otherwise."""
    return ", ".join(f"{key}={value}" for key, value in row.changed)


def judged(row: Compared) -> str:
    """How sure the difference is, in words."""
    return _JUDGEMENTS.get(row.judgement, row.judgement)


def cost(row: Compared, key: str) -> str:
    """One of COST_TITLES; two digits of what is below one."""
    value: float | None = getattr(row.cost, key)
    return number(value, ".2g" if value is not None and value < 1 else ".0f" if key == "memory_mb" else ".1f")


def p_value(row: Compared) -> str:
    """Holm's; empty where nothing was tested."""
    if row.difference is None:
        return ""
    return "<0.001" if row.p_corrected is not None and row.p_corrected < 0.001 else number(row.p_corrected, ".3f")


def notes(comparison: Comparison) -> list[str]:
    """What to know when reading the table."""
    reference, *others = comparison.rows
    tested = sum(row.p_value is not None for row in others)
    meant = (
        f"Better by: percentage points of WER below {reference.name}, positive is better. Intervals and p: paired bootstrap over "
        f"{comparison.unit}; p by Holm over {tested} comparison{'s'[: tested != 1]}."
    )
    told = [
        meant,
        f"*: nothing here has both a lower WER and a lower cost ({COST_TITLES[comparison.cost]}); sampling error is not counted.",
    ]
    if comparison.note:
        told.append(comparison.note)
    if comparison.restricted:
        told.append(f"Only the {reference.utterances} utterances that all were tested on count.")
    failed = [row.name for row in comparison.rows if not row.passed]
    if failed:
        told.append(f"Did not pass validation against the base model: {', '.join(failed)}.")
    told += [_refusal(row, reference) for row in others if row.judgement == "not compared"]
    return told + _unknown(comparison.rows)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns of even width; those in which nothing is known but their head are left out."""
    width = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    kept = [n for n in range(len(rows[0])) if any(row[n] not in ("", "?") for row in rows[1:])]
    return ["  ".join(row[n].ljust(width[n]) for n in kept).rstrip() for row in rows]


def percent(rate: float | None) -> str:
    """A fraction as per cent."""
    return "?" if rate is None else f"{rate:.2%}"


def number(value: float | None, form: str) -> str:
    """In that form; `?` where unknown."""
    return "?" if value is None else format(value, form)


def span(low: float | None, high: float | None, factor: float = 1) -> str:
    """Two bounds."""
    return "none" if low is None or high is None else f"{low * factor:.2f} to {high * factor:.2f}"


def _refusal(row: Compared, reference: Compared) -> str:
    which = f"of its {row.utterances} test utterances {row.common} are among the {reference.utterances} of {reference.name}"
    remedy = "; --common compares on these" if row.common else ""
    return f"{row.name} is not compared: it was tested on something else ({which}, with the same reference){remedy}."


def _unknown(rows: Sequence[Compared]) -> list[str]:
    lacking = {
        title: [row.name for row in rows if getattr(row.cost, key) is None]
        for key, title in COST_TITLES.items()
    }  # fmt: skip
    everyone = [row.name for row in rows]
    told = [f"{title} of {'all' if names == everyone else ', '.join(names)}" for title, names in lacking.items() if names]
    why = "what training took is remembered in the work cache of the machine that trained, for runs of this version on"
    return [f"Unknown: {'; '.join(told)} ({why})."] if told else []


def _csv_row(row: Compared) -> dict[str, Any]:
    gained = row.difference
    return {
        "name": row.name,
        "commit": row.commit,
        "utterances": row.utterances,
        "speakers": row.speakers,
        "common_utterances": row.common,
        "wer": row.wer,
        "wer_low": row.wer_low,
        "wer_high": row.wer_high,
        "cer": row.cer,
        "passed": int(row.passed),
        "better_by_points": gained.points if gained else None,
        "better_by_low": gained.low if gained else None,
        "better_by_high": gained.high if gained else None,
        "p_value": row.p_value,
        "p_value_corrected": row.p_corrected,
        "judgement": row.judgement,
        "size_mb": row.cost.size_mb,
        "minutes": row.cost.minutes,
        "memory_mb": row.cost.memory_mb,
        "on_pareto_front": int(row.on_front),
        "changed_params": settings(row),
    }
