"""`metrics/report.md`: an evaluation for people who review a change, as GitHub's Markdown.

Against another revision its tuned model is compared with this one's on the utterances that both tested with the same reference;
Markdown that would be read as such in texts from outside is escaped.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from attune.params import EvaluateParams
from attune.report.markup import moved, signed
from attune.report.page import todo
from attune.report.page_tables import named, worst_slices
from attune.report.pictures import Picture
from attune.report.results import Difference, Results, UtteranceResult
from attune.significance import PairedCounts, PairedDifference, paired_difference

_WORST = 8
_ENOUGH_SPEAKERS = 5
_POINTS = 100


@dataclass(frozen=True)
class Revision:
    """Another revision's evaluation."""

    name: str
    results: Results
    rows: Sequence[UtteranceResult]


def pull_request_report(
    results: Results,
    rows: Sequence[UtteranceResult],
    pictures: Iterable[Picture],
    params: EvaluateParams,
    *,
    images: str,
    against: Revision | None = None,
) -> str:
    """The document; `images` is what a picture's file name is put into, as in `figures/{}`."""
    parts = [
        f"## {'✓ Passed' if results.verdict.passed else '✗ Not passed'}: tuned model beside base model",
        _plain(results.verdict.sentence),
        _bullets(results.verdict.warnings),
        _base_and_tuned(results),
        _against(results, rows, against, params) if against else "",
        _slices(results),
        _bullets(todo(results), "### What to do"),
        _images(pictures, images),
        _about(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _base_and_tuned(results: Results) -> str:
    whole = results.overall
    rows = [
        ("WER", _rate(whole.base.wer), _rate(whole.tuned.wer), _change(whole.wer_improvement)),
        ("CER", _rate(whole.base.cer), _rate(whole.tuned.cer), _change(whole.cer_improvement)),
    ]
    rows += [
        (f"WER, {_plain(p.value)}", _rate(p.base.wer), _rate(p.tuned.wer), _change(p.wer_improvement))
        for p in results.slices
        if p.dimension == "condition"
    ]
    base, tuned = (f"{model.error_samples}/{whole.utterances}" for model in (whole.base, whole.tuned))
    rows.append(("Error samples", base, tuned, _count(whole.tuned.error_samples - whole.base.error_samples)))
    if results.glossary.said:
        rows.append(("Glossary recall", _rate(results.glossary.base_recall), _rate(results.glossary.tuned_recall), ""))
    return _table(("Metric", "Base model", "Tuned model", "Change, points"), rows)


def _against(results: Results, rows: Sequence[UtteranceResult], other: Revision, params: EvaluateParams) -> str:
    name = _plain(other.name)
    before, now = other.results, results
    pairs = (
        ("WER", before.overall.tuned.wer, now.overall.tuned.wer),
        ("CER", before.overall.tuned.cer, now.overall.tuned.cer),
        ("WER of the base model", before.overall.base.wer, now.overall.base.wer),
        ("Glossary recall", before.glossary.tuned_recall, now.glossary.tuned_recall),
    )
    listed = [(what, _rate(one), _rate(two), _arrow(one, two)) for what, one, two in pairs if one is not None or two is not None]
    told = _paired(other, rows, params)
    return (
        f"### Tuned model against {name}\n\n" + _table(("Metric", name, "This change", "Change, points"), listed) + f"\n\n{told}"
    )


def _paired(other: Revision, rows: Sequence[UtteranceResult], params: EvaluateParams) -> str:
    """The same utterances by both tuned models."""
    earlier = {row.id: row for row in other.rows}
    both = [(earlier[row.id], row) for row in rows if row.id in earlier and earlier[row.id].reference == row.reference]
    if not both:
        return "No utterance was tested in both with the same reference, so nothing can be said of the difference."
    counts = PairedCounts([o.tuned_errors for o, _ in both], [n.tuned_errors for _, n in both], [n.words for _, n in both])
    speakers = len({now.speaker for _, now in both})
    of_speakers = params.resample == "speakers" or (params.resample == "auto" and speakers >= _ENOUGH_SPEAKERS)
    tokens = counts.by_block([now.speaker for _, now in both]) if of_speakers else counts
    drawn = params.bootstrap_samples, params.confidence, params.seed
    found = paired_difference(tokens.base, tokens.tuned, tokens.lengths, *drawn)
    unit = "speakers" if of_speakers else "utterances"
    alike = "" if len(both) == len(rows) == len(other.rows) else " The tests differ, and the figures above hold all of each."
    return f"On the {len(both)} utterances that both tested: {_sentence(found, params.confidence, unit)}{alike}"


def _sentence(found: PairedDifference, confidence: float, unit: str) -> str:
    if math.isnan(found.point) or math.isnan(found.low):
        return "too few for an interval."
    way = "✓ better" if found.low > 0 else "✗ worse" if found.high < 0 else "no certain difference"
    low, high = -found.high * _POINTS, -found.low * _POINTS
    return (
        f"**{way}**; WER {signed(-found.point * _POINTS)} points ({confidence:.0%} interval {signed(low)} to {signed(high)}, "
        f"over {unit}; p = {found.p_value:.3g})."
    )


def _slices(results: Results) -> str:
    worst = worst_slices(results)
    if not worst:
        return "### Slices that got worse\n\nNone."
    rows = [
        (
            f"{_plain(named(p))}",
            str(p.utterances),
            _rate(p.base.wer),
            _rate(p.tuned.wer),
            _change(p.wer_improvement),
        )
        for p in worst[:_WORST]
    ]
    more = f"\n\n{len(worst) - _WORST} more rose, too." if len(worst) > _WORST else ""
    return (
        "### Slices that got worse\n\n" + _table(("Slice", "Utterances", "Base WER", "Tuned WER", "Change, points"), rows) + more
    )


def _images(pictures: Iterable[Picture], images: str) -> str:
    shown = [f"![{_plain(p.title)}]({images.format(f'{p.name}.svg')})" for p in pictures]
    return "<details><summary>Pictures</summary>\n\n" + "\n".join(shown) + "\n\n</details>" if shown else ""


def _about(results: Results) -> str:
    whole, how = results.overall, results.decoding
    return (
        f"<sub>{whole.utterances} utterances of {whole.speakers} held-out speakers, {whole.words} words; intervals "
        f"{results.confidence:.0%}, over {results.uncertainty.unit}; normaliser {_plain(results.normalizer)}; "
        f"{_plain(how.engine)} {_plain(how.compute_type)}; {_plain(how.base)}, {_plain(how.method)}. "
        "Better and worse are beyond chance.</sub>"
    )


def _change(found: Difference) -> str:
    if found.points is None:
        return "–"
    mark = ("✓ better" if found.points > 0 else "✗ worse") if found.certain else "may be chance"
    bounds = "" if found.low is None or found.high is None else f" ({signed(-found.high)} to {signed(-found.low)})"
    return f"{moved(-found.points)}{bounds} {mark}"


def _arrow(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "–"
    points = (after - before) * _POINTS
    return moved(points)


def _count(change: int) -> str:
    return f"{'↑' if change > 0 else '↓'} {change:+d}".replace("-", "−") if change else "= 0"


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = "|".join((" :--- ", *(" ---: " for _ in heads[1:])))
    lines = [f"| {' | '.join(heads)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def _bullets(texts: Iterable[str], heading: str = "") -> str:
    items = "\n".join(f"- {_plain(text)}" for text in texts)
    return (f"{heading}\n\n{items}" if heading else items) if items else ""


def _plain(text: str) -> str:
    """As text, whatever it holds: nothing in it is Markdown, HTML, a mention or a line of its own."""
    return re.sub(r"[\\`*_\[\]|~#@]", lambda found: f"&#{ord(found[0])};", escape(" ".join(text.split()), quote=False))
