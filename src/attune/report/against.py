"""What a change brings against another commit, as part of the pull-request report: metrics, slices that got worse first, params.

The commits' own metrics are compared, nothing is measured. What is called sure rests on paired bootstraps of the utterances that
both tested with the same reference (comparing); of figures without utterances behind them only the change is told.
"""

from collections.abc import Mapping, Sequence

from attune.params import EvaluateParams
from attune.report.comparing import Compared, common_ids, compare, ordered, same_test
from attune.report.experiments import Experiment, changed_params
from attune.report.markdown import details, plain, table
from attune.report.markup import moved, rate, signed
from attune.report.slice_changes import SliceChange, slice_changes
from attune.report.slices import known, unit_for
from attune.report.wording import named
from attune.scoring import score
from attune.significance import PairedCounts, paired_rates

_MOST_SLICES, _MOST_PARAMS = 12, 20
_SURE = {"same": "the same errors", "uncertain": "may be chance", "unknown": "cannot be told"}
_BEYOND = "beyond chance"
_OTHER_TEST = "another test"
_SIZE = "Size, MB"


def against(here: Experiment, base: Experiment, params: EvaluateParams) -> str:
    """The part about `base`, the commit that `here` is compared with."""
    changes = slice_changes(here, base, params)
    row, alike = _compared(here, base, params), same_test(here, base)
    sure = {f"WER, {c.value}": _slice_sure(c, params) for c in changes if c.dimension == "condition"}
    if row is not None:
        sure |= {"WER": _SURE.get(row.judgement, _BEYOND)}
        sure |= {"CER": _cer_sure(here, base, params)} if here.outcome.cer is not None else {}
    parts = [
        f"### Against {plain(base.name)}",
        _sentence(row, params, alike=alike),
        _metrics(here, base, sure if alike else dict.fromkeys(sure, _OTHER_TEST)),
        _slices(changes, params, plain(base.name)),
        _settings(changed_params(here, base)),
    ]
    return "\n\n".join(part for part in parts if part)


def not_compared(name: str, why: str) -> str:
    """The part where there is nothing to compare with."""
    return f"### Against {plain(name)}\n\nNot compared: {plain(why)}"


def _compared(here: Experiment, base: Experiment, params: EvaluateParams) -> Compared | None:
    """On what both tested; None where that is nothing."""
    return compare(base, [here], params, common=True).rows[1] if common_ids(here, base) else None


def _sentence(row: Compared | None, params: EvaluateParams, *, alike: bool) -> str:
    if row is None or row.wer is None or row.difference is None or row.difference.points is None:
        return "No utterance was tested in both with the same reference, so nothing can be said of the difference."
    gained, points = row.difference, row.difference.points
    way = "unchanged" if not points else f"{abs(points):.2f} percentage points {'better' if points > 0 else 'worse'}"
    judged = _SURE["same"] if row.judgement == "same" else f"{way}, {_SURE.get(row.judgement, _BEYOND)}"
    bounds = ""
    if gained.low is not None and gained.high is not None:
        bounds = f"; {params.confidence:.0%} interval of the change {signed(-gained.high)} to {signed(-gained.low)}"
    p = "" if row.p_value is None else f", p = {row.p_value:.3g}"
    told = f"**WER of the tuned model {rate(row.wer + points / 100)} → {rate(row.wer)}: {judged}** (paired bootstrap{bounds}{p})."
    if alike:
        return told
    return f"On the {row.utterances} utterances that both tested: {told} The tests differ, and the table holds all of each."


def _metrics(here: Experiment, base: Experiment, sure: dict[str, str]) -> str:
    before, now = (_figures(each) for each in (base, here))
    figures = {name: (before.get(name), now.get(name)) for name in {**now, **before}}
    rows = [
        (plain(name), _shown(name, one), _shown(name, other), _change(name, one, other, here.outcome.rising), sure.get(name, ""))
        for name, (one, other) in figures.items()
        if (one, other) != (None, None)
    ]
    return table(("Metric", plain(base.name), "This change", "Change, points", "Sure"), rows)


def _figures(experiment: Experiment) -> dict[str, float | None]:
    return {**experiment.outcome.figures, _SIZE: experiment.cost.size_mb}


def _shown(name: str, value: float | None) -> str:
    return f"{value:.1f}" if name == _SIZE and value is not None else rate(value)


def _change(name: str, before: float | None, after: float | None, rising: frozenset[str] = frozenset()) -> str:
    """With an arrow, and a word on whether that is good: more is of `rising`."""
    if before is None or after is None:
        return "–"
    step, unit = (after - before, " MB") if name == _SIZE else ((after - before) * 100, "")
    if abs(step) < 0.005:
        return moved(step)
    return f"{moved(step)}{unit} {'better' if (step > 0) == (name in rising) else 'worse'}"


def _slices(changes: Sequence[SliceChange], params: EvaluateParams, base: str) -> str:
    told = [change for change in changes if change.points]
    if not told:
        return ""
    worse = sum((change.points or 0) < 0 for change in told)
    rows = [
        (
            plain(named(c.dimension, c.value)),
            str(c.utterances),
            rate(c.before),
            rate(c.after),
            _change("WER", c.before, c.after),
            _slice_sure(c, params),
        )
        for c in told[:_MOST_SLICES]
    ]
    left = len(told) - _MOST_SLICES
    more = f"\n\n{left} more changed, for the better or less for the worse." if left > 0 else ""
    heading = f"#### Slices: {worse} of {len(changes)} got worse than in {base}"
    return f"{heading}\n\n{table(('Slice', 'Utterances', base, 'This change', 'Change, points', 'Sure'), rows)}{more}"


def _slice_sure(change: SliceChange, params: EvaluateParams) -> str:
    """By Holm's p-value over all slices."""
    if change.low is None:
        return _SURE["unknown"]
    return _BEYOND if change.p_corrected is not None and change.p_corrected < 1 - params.confidence else _SURE["uncertain"]


def _cer_sure(here: Experiment, base: Experiment, params: EvaluateParams) -> str:
    """Characters are counted anew, as the rows hold word errors only."""
    ids = common_ids(here, base)
    scores = [[score(r.id, r.reference, r.tuned).characters for r in ordered(each, ids)] for each in (base, here)]
    before, after = ([each.errors for each in some] for some in scores)
    counts = PairedCounts(before, after, [each.reference_length for each in scores[1]])
    speakers = [row.speaker for row in ordered(here, ids)]
    if unit_for(len(set(speakers)), params) == "speakers":
        counts = counts.by_block(speakers)
    (found,) = paired_rates([counts], params.bootstrap_samples, params.confidence, params.seed)
    if before == after:
        return _SURE["same"]
    sure = known(found.difference.p_value)
    return _SURE["unknown"] if sure is None else _BEYOND if sure < 1 - params.confidence else _SURE["uncertain"]


def _settings(changed: Mapping[str, str]) -> str:
    left = len(changed) - _MOST_PARAMS
    shown = [f"- {plain(key)}: {plain(value)}" for key, value in [*changed.items()][:_MOST_PARAMS]]
    return details("Params set otherwise", "\n".join([*shown, *([f"- and {left} more"] if left > 0 else [])]))
