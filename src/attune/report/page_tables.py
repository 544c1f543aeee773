"""The tables of the page: all the numbers, what got worse first, and what is beside the test."""

from collections.abc import Iterable, Sequence

from attune.report.markup import NONE, bullets, cell, change, paragraph, rate, spread, table
from attune.report.results import ModelScores, Results, SliceScores
from attune.report.wording import named

_TERMS_SHOWN = 30
_SLICES_SHOWN = 60
_SUITES_SHOWN = 100


def scores_table(results: Results) -> str:
    """Both models on the whole test."""
    whole, base, tuned = results.overall, results.overall.base, results.overall.tuned
    wers = (spread(model.wer, model.wer_low, model.wer_high) for model in (base, tuned))
    cers = (spread(model.cer, model.cer_low, model.cer_high) for model in (base, tuned))
    samples = (f"{model.error_samples} of {whole.utterances}" for model in (base, tuned))
    rows: list[Sequence[str]] = [
        ("WER", *wers, change(whole.wer_improvement)),
        ("CER", *cers, change(whole.cer_improvement)),
        *_forgetting(results.forgetting),
        ("Utterances with errors", *samples, _counted(base.error_samples, tuned.error_samples)),
        *((name, str(one), str(other), _counted(one, other)) for name, one, other in _kinds(base, tuned)),
    ]
    glossary = results.glossary
    if glossary.said:
        rows.append(
            ("Terms of the glossary right", rate(glossary.base_recall), rate(glossary.tuned_recall), f"{glossary.said} said")
        )
    caption = "All test utterances. Change: of the rate in percentage points, with its interval; a falling rate is better."
    return table(caption, ("", "Base", "Tuned", "Change"), rows)


def slices_table(results: Results) -> str:
    """What got worse first."""
    parts = sorted(results.slices, key=_worst_first)[:_SLICES_SHOWN]
    rows = [
        (
            f"{cell(named(part.dimension, part.value))}<small>{_many(part)}</small>",
            spread(part.base.wer, part.base.wer_low, part.base.wer_high),
            spread(part.tuned.wer, part.tuned.wer_low, part.tuned.wer_high),
            change(part.wer_improvement),
        )
        for part in parts
    ]
    left = len(results.slices) - len(rows)
    more = paragraph(f"{left} more slices stand in evaluation/slices.csv.", "soft") if left else ""
    return table("WER by slice, those that got worse first.", ("Slice", "Base", "Tuned", "Change"), rows) + more


def suites_table(results: Results) -> str:
    """Nothing where there are no suites."""
    if not results.suites:
        return ""
    rows = [
        (
            f"{cell(suite.name)}<small>{cell(suite.kind)}, {suite.utterances} utterances</small>",
            rate(suite.baseline_wer),
            rate(suite.wer),
            "failed" if suite.failed else "worse than allowed" if suite.degraded else "held",
        )
        for suite in results.suites[:_SUITES_SHOWN]
    ]
    return table("Regression suites: the tuned model against their baselines.", ("Suite", "Baseline WER", "WER", "Result"), rows)


def glossary_table(results: Results) -> str:
    """The terms missed most; nothing where none was said."""
    terms = results.glossary.terms[:_TERMS_SHOWN]
    if not terms:
        return ""
    rows = [(cell(term.term), str(term.said), str(term.base), str(term.tuned)) for term in terms]
    return table(
        "Terms of the glossary: how often said, and how often each model has them right.", ("Term", "Said", "Base", "Tuned"), rows
    )


def beside(results: Results) -> str:
    """Words where nobody speaks, and agreement with gold, which is no score."""
    silent = [
        (cell(each.sound), str(each.clips), f"{each.base_share:.0%}", f"{each.tuned_share:.0%}")
        for each in results.hallucinations
    ]
    caption = "Clips without speech of which a model wrote words all the same."
    parts = [table(caption, ("Sound", "Clips", "Base", "Tuned"), silent) if silent else ""]
    parts.append(
        bullets(f"Invented by the tuned model: {text}" for each in results.hallucinations for text in each.examples if text)
    )
    gold = results.agreement_with_gold
    if gold is not None and gold.with_gold:
        parts.append(
            paragraph(
                f"Test utterances without a person's text: {gold.with_gold}. There the models differ from gold, which is a "
                f"model's text, in {rate(gold.base_disagreement)} (base) and {rate(gold.tuned_disagreement)} (tuned) of its "
                "words. That is agreement, no accuracy, and counts in no figure of this page."
            )
        )
    return "".join(parts)


def normalizers_table(results: Results) -> str:
    """The same test by other notions of the same text."""
    rows = [
        (
            f"{cell(n.name)}<small>{cell(n.version)}</small>",
            rate(n.base_wer),
            rate(n.tuned_wer),
            rate(n.base_cer),
            rate(n.tuned_cer),
        )
        for n in results.normalizers
    ]
    heads = ("Normaliser", "Base WER", "Tuned WER", "Base CER", "Tuned CER")
    return table("The whole test by other rules for what is the same text; attune decides.", heads, rows) if rows else ""


def facts_table(caption: str, facts: Iterable[tuple[str, object]]) -> str:
    """Names with values."""
    return table(caption, ("What", "Value"), [(cell(name), cell(_plain(value))) for name, value in facts], "text")


def worst_slices(results: Results) -> list[SliceScores]:
    """Those whose WER rose, most first."""
    return [
        p
        for p in sorted(results.slices, key=_worst_first)
        if p.wer_improvement.points is not None and p.wer_improvement.points < 0
    ]


def _forgetting(part: SliceScores | None) -> list[Sequence[str]]:
    if part is None:
        return []
    wers = (spread(model.wer, model.wer_low, model.wer_high) for model in (part.base, part.tuned))
    told = f"WER on what must not be forgotten<small>{part.utterances} recordings of another kind, no part of the test</small>"
    return [(told, *wers, change(part.wer_improvement))]


def _worst_first(part: SliceScores) -> tuple[float, str, str]:
    points = part.wer_improvement.points
    return (float("inf") if points is None else points, part.dimension, part.value)


def _many(part: SliceScores) -> str:
    counted = ((part.utterances, "utterance"), (part.speakers, "speaker"))
    return ", ".join(f"{number} {thing}{'s' if number != 1 else ''}" for number, thing in counted)


def _kinds(base: ModelScores, tuned: ModelScores) -> Sequence[tuple[str, int, int]]:
    return (
        ("Words taken for others", base.substitutions, tuned.substitutions),
        ("Words missing", base.deletions, tuned.deletions),
        ("Words too many", base.insertions, tuned.insertions),
    )


def _counted(before: int, after: int) -> str:
    return f"{after - before:+d}".replace("-", "−") if after != before else "0"


def _plain(value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)
