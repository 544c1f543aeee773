"""What a change brings, as Markdown for a pull request: verdict, metrics against the base branch, slices that got worse first.

The commits' own metrics are compared, nothing is measured. Differences that carry a mark of certainty are paired bootstraps on
the same utterances (comparing); of figures without utterances behind them only the change is told.
"""

from collections.abc import Sequence

from attune.params import EvaluateParams
from attune.report.comparing import Compared, Comparison, compare
from attune.report.comparison_tables import number, percent, span
from attune.report.experiments import Experiment
from attune.report.results import Results
from attune.report.slice_changes import SliceChange, slice_changes

MARKER = "<!-- attune report -->"
"""The first line, by which the comment is found again to be updated."""
_MOST_SLICES, _MOST_PARAMS = 12, 20
_SURE = {
    "uncertain": "may be chance",
    "same": "the same errors",
    "unknown": "cannot be told, too little was tested",
    "not compared": "another test",
}


def report(here: Experiment, base: Experiment | None, why: str | None, params: EvaluateParams) -> str:
    """The Markdown. `base` is None where the base branch has nothing to compare with, and `why` says why."""
    if base is None:
        return "\n".join(
            [*_opening(here), f"> Not compared with the base branch: {_inline(why or 'it has no evaluation')}", "", *_alone(here)]
        )
    comparison = compare(base, [here], params)
    row = comparison.rows[1]
    compared = row.judgement != "not compared"
    parts = [_opening(here), [_sentence(row, comparison), ""], _metrics(here, base, row)]
    if compared:
        parts.append(_slices(slice_changes(here, base, params), params.confidence))
    parts += [_settings(row), _reading(comparison)]
    return "\n".join(line for part in parts for line in part)


def _opening(here: Experiment) -> list[str]:
    verdict = here.results.verdict
    mark = "passed" if verdict.passed else "**not passed**"
    told = [
        MARKER,
        "## Speech to text: what this change brings",
        "",
        f"Verdict of the tuned model against its base model: {mark}. ",
    ]
    told[-1] += _inline(verdict.sentence)
    return [*told, "", *(f"- {_inline(failure)}" for failure in verdict.failures), *([""] if verdict.failures else [])]


def _sentence(row: Compared, comparison: Comparison) -> str:
    reference = comparison.rows[0]
    if row.judgement == "not compared":
        return (
            f"**The two were tested on different utterances** ({row.common} of {row.utterances} here are among the "
            f"{reference.utterances} of {_inline(reference.name)}, with the same reference), so their WERs cannot be compared."
        )
    gained = row.difference
    points = gained.points if gained and gained.points is not None else 0.0
    how = _SURE.get(row.judgement, "beyond chance")
    direction = "unchanged" if not points else f"{abs(points):.2f} percentage points {'better' if points > 0 else 'worse'}"
    interval = f", {comparison.confidence:.0%} interval of the gain {span(gained.low, gained.high)}" if gained else ""
    return (
        f"**WER of the tuned model: {percent(reference.wer)} -> {percent(row.wer)}, {direction}** "
        f"against {_inline(reference.name)}: {how}{interval}."
    )


def _metrics(here: Experiment, base: Experiment, row: Compared) -> list[str]:
    sure = {"WER": _SURE.get(row.judgement, "beyond chance")}
    now, then = _figures(here), _figures(base)
    lines = ["| metric | base branch | here | change | sure |", "|---|---:|---:|---:|---|"]
    for name in [*now, *(n for n in then if n not in now)]:
        before, after = then.get(name), now.get(name)
        if before is None and after is None:
            continue
        change = _change(name, before, after)
        lines.append(f"| {_cell(name)} | {_shown(name, before)} | {_shown(name, after)} | {change} | {sure.get(name, '')} |")
    return [*lines, ""]


def _figures(experiment: Experiment) -> dict[str, float | None]:
    """What stands in the table; suites and slices by condition among them."""
    results: Results = experiment.results
    clips = sum(each.clips for each in results.hallucinations)
    invented = sum(each.tuned_share * each.clips for each in results.hallucinations)
    conditions = {f"WER, {part.value}": part.tuned.wer for part in results.slices if part.dimension == "condition"}
    return {
        "WER": results.overall.tuned.wer,
        **conditions,
        "CER": results.overall.tuned.cer,
        "WER of the base model": results.overall.base.wer,
        "recall of glossary terms": results.glossary.tuned_recall,
        "clips without speech that got words": invented / clips if clips else None,
        **{f"suite {suite.name}, WER": suite.wer for suite in results.suites},
        "size, MB": experiment.cost.size_mb,
    }


def _shown(name: str, value: float | None) -> str:
    return "" if value is None else f"{value:.1f}" if name == "size, MB" else f"{value:.2%}"


def _change(name: str, before: float | None, after: float | None) -> str:
    """With an arrow up or down, and a word on whether that is good."""
    if before is None or after is None:
        return ""
    factor, unit = (1, " MB") if name == "size, MB" else (100, " points")
    step = (after - before) * factor
    if abs(step) < 0.005:
        return "="
    good = (step > 0) == (name == "recall of glossary terms")
    return f"{'▲' if step > 0 else '▼'} {abs(step):.2f}{unit} ({'better' if good else 'worse'})"


def _slices(changes: Sequence[SliceChange], confidence: float) -> list[str]:
    moved = [change for change in changes if change.points]
    if not moved:
        return ["No slice of the test has another WER.", ""]
    worse = sum((change.points or 0) < 0 for change in moved)
    lines = [
        f"### Slices: {worse} of {len(changes)} got worse",
        "",
        "| slice | utterances | base branch | here | better by | interval | sure |",
    ]
    lines.append("|---|---:|---:|---:|---:|---|---|")
    lines += [_slice_line(change, confidence) for change in moved[:_MOST_SLICES]]
    left = len(moved) - _MOST_SLICES
    return [*lines, *([f"\n{left} more slices changed for the better or less for the worse."] if left > 0 else []), ""]


def _slice_line(change: SliceChange, confidence: float) -> str:
    sure = change.p_corrected is not None and change.p_corrected < 1 - confidence
    judged = "cannot be told" if change.low is None else "beyond chance" if sure else "may be chance"
    arrow = "▼ worse" if (change.points or 0) < 0 else "▲ better"
    name = _cell(f"{change.dimension}: {change.value}")
    rates = f"{percent(change.before)} | {percent(change.after)}"
    gained = f"{number(change.points, '+.2f')} {arrow} | {span(change.low, change.high)}"
    return f"| {name} | {change.utterances} | {rates} | {gained} | {judged} |"


def _settings(row: Compared) -> list[str]:
    if not row.changed:
        return []
    shown = [f"- `{_cell(key)}`: {_cell(value)}" for key, value in row.changed[:_MOST_PARAMS]]
    left = len(row.changed) - _MOST_PARAMS
    return [
        "<details><summary>Params set otherwise</summary>",
        "",
        *shown,
        *([f"- and {left} more"] if left > 0 else []),
        "",
        "</details>",
        "",
    ]


def _reading(comparison: Comparison) -> list[str]:
    told = (
        f"<sub>Better by: points of WER. Sure: paired bootstrap over {comparison.unit} at {comparison.confidence:.0%}, "
        "slices corrected by Holm; figures without that word come without a test. Scores are against human references only.</sub>"
    )
    return [told, ""]


def _alone(here: Experiment) -> list[str]:
    lines = ["| metric | here |", "|---|---:|"]
    return [
        *lines,
        *(f"| {_cell(name)} | {_shown(name, value)} |" for name, value in _figures(here).items() if value is not None),
        "",
    ]


def _cell(text: str) -> str:
    """Safe within a table: names come from people's folders and suites."""
    return _inline(text).replace("|", "\\|")


def _inline(text: str) -> str:
    """One line without HTML, mentions or images of other people's making."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("@", "@\u200b")
    return plain.replace("[", "\\[").replace("`", "'")
