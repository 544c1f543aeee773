"""`metrics/report.md`: an evaluation for people who review a change, as GitHub's Markdown.

What the change brings against another commit is `against`; this module puts it where a reviewer looks first.
"""

from collections.abc import Sequence

from attune.report.markdown import bullets, details, plain, table
from attune.report.markup import SAME, moved, rate, signed
from attune.report.page import todo
from attune.report.page_tables import worst_slices
from attune.report.pictures import Picture
from attune.report.results import Difference, Results
from attune.report.wording import named

MARKER = "<!-- attune report -->"
"""The first line, by which a comment is found again to be updated."""
_WORST = 8
_SHOWN = 3
"""Pictures that are not folded away."""


def pull_request_report(results: Results, pictures: Sequence[Picture], *, images: str, change: str = "") -> str:
    """The document; `images` is what a picture's file name is put into, as in `figures/{}`, `change` from `against`."""
    mark = "✓ Passed" if results.verdict.passed else "✗ Not passed"
    parts = [
        f"{MARKER}\n## {mark}: tuned model beside base model",
        plain(results.verdict.sentence),
        bullets(results.verdict.warnings),
        change,
        "### Tuned model against its base model" if change else "",
        _base_and_tuned(results),
        _slices(results),
        bullets(todo(results), "### What to do"),
        _pictures(pictures, images),
        _about(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _base_and_tuned(results: Results) -> str:
    whole, glossary = results.overall, results.glossary
    parts = [("WER", whole), *((f"WER, {p.value}", p) for p in results.slices if p.dimension == "condition")]
    parts += [("WER out of domain", results.forgetting)] if results.forgetting else []
    rows = [(plain(name), rate(p.base.wer), rate(p.tuned.wer), _change(p.wer_improvement)) for name, p in parts]
    rows.insert(1, ("CER", rate(whole.base.cer), rate(whole.tuned.cer), _change(whole.cer_improvement)))
    base, tuned = (f"{model.error_samples}/{whole.utterances}" for model in (whole.base, whole.tuned))
    rows.append(("Error samples", base, tuned, _count(whole.tuned.error_samples - whole.base.error_samples)))
    if glossary.said:
        rows.append(("Glossary recall", rate(glossary.base_recall), rate(glossary.tuned_recall), ""))
    return table(("Metric", "Base model", "Tuned model", "Change, points"), rows)


def _slices(results: Results) -> str:
    worst = worst_slices(results)
    heading = "### Slices that got worse than with the base model"
    if not worst:
        return f"{heading}\n\nNone."
    rows = [
        (plain(named(p.dimension, p.value)), str(p.utterances), rate(p.base.wer), rate(p.tuned.wer), _change(p.wer_improvement))
        for p in worst[:_WORST]
    ]
    more = f"\n\n{len(worst) - _WORST} more rose, too." if len(worst) > _WORST else ""
    return f"{heading}\n\n{table(('Slice', 'Utterances', 'Base WER', 'Tuned WER', 'Change, points'), rows)}{more}"


def _pictures(pictures: Sequence[Picture], images: str) -> str:
    shown = [f"![{plain(p.title)}]({images.format(f'{p.name}.svg')})" for p in pictures]
    if not shown:
        return ""
    return "\n\n".join(
        part for part in ("### Pictures", "\n".join(shown[:_SHOWN]), details("More pictures", "\n".join(shown[_SHOWN:]))) if part
    )


def _about(results: Results) -> str:
    whole, how = results.overall, results.decoding
    return (
        f"<sub>{whole.utterances} utterances of {whole.speakers} held-out speakers, {whole.words} words; intervals "
        f"{results.confidence:.0%}, over {results.uncertainty.unit}; normaliser {plain(results.normalizer)}; "
        f"{plain(how.engine)} {plain(how.compute_type)}; {plain(how.base)}, {plain(how.method)}. "
        "Better and worse are beyond chance. Scores are against human references only.</sub>"
    )


def _change(found: Difference) -> str:
    if found.points is None:
        return "–"
    if found.none:
        return f"{moved(0)} {SAME}"
    mark = ("✓ better" if found.points > 0 else "✗ worse") if found.certain else "may be chance"
    bounds = "" if found.low is None or found.high is None else f" ({signed(-found.high)} to {signed(-found.low)})"
    return f"{moved(-found.points)}{bounds} {mark}"


def _count(change: int) -> str:
    return f"{'↑' if change > 0 else '↓'} {change:+d}".replace("-", "−") if change else "= 0"
