"""`metrics/report.html`: an evaluation as one page for people who know the recordings and not the statistics.

Nothing is fetched and no script is needed; the same results give the same bytes. The parts are `page_tables`, `page_examples`
and `pictures`; this module puts them in order, and finds the words for the verdict.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape

from attune.report.document import document
from attune.report.examples import Clip, ExampleList
from attune.report.markup import bullets, paragraph, section
from attune.report.page_examples import examples_html
from attune.report.page_tables import (
    beside,
    facts_table,
    glossary_table,
    normalizers_table,
    scores_table,
    slices_table,
    suites_table,
)
from attune.report.pictures import Picture
from attune.report.results import Results

_TERMS = (
    ("Base, tuned", "The model that fine-tuning began with, and what it became."),
    ("WER", "Word error rate: words taken for others, missing or too many, by the words that were said. It can exceed 100%."),
    ("CER", "Character error rate: the same by characters, so that a near miss costs less."),
    ("Percentage points", "The plain difference of two percentages: from 30% to 20% are 10 points."),
    ("Interval", "Where the true figure lies with the confidence named, as far as chance in who and what was tested goes."),
    ("May be chance", "The interval of the change holds zero, so another test like this might show the opposite."),
    ("Held-out", "Speakers of whom training heard nothing."),
    ("SNR, noise", "Speech over noise in decibels: 20 is quiet, 5 is loud surroundings, estimated from the sound."),
    ("Reference", "What a person wrote that was said. Only this counts."),
    ("Gold", "Text that training may believe, from a person or a checked model. Never a score."),
)  # fmt: skip
_KEY = (
    '<ul class="key"><li><svg viewBox="0 0 20 20" aria-hidden="true"><circle class="base" cx="10" cy="10" r="6"/></svg> '
    'base: ring, dashed line, empty bar</li><li><svg viewBox="0 0 20 20" aria-hidden="true"><path class="tuned" '
    'd="M10 3l7 7l-7 7l-7 -7z"/></svg> tuned: diamond, full line, full bar</li></ul>'
)


@dataclass(frozen=True)
class Exhibits:
    """What is shown beside the results."""

    pictures: Sequence[Picture]
    examples: Sequence[ExampleList]
    sound: Mapping[str, Clip]
    """By utterance id."""
    data: Sequence[tuple[str, object]]
    """What beside the test was used for what, and how much of it."""
    settings: Sequence[tuple[str, object]]
    """Names and values of the params that mattered."""


def page(results: Results, shown: Exhibits) -> str:
    """The whole document."""
    body = (
        section("The numbers", "numbers", scores_table(results)),
        section("What to do", "advice", bullets(todo(results))),
        section("Pictures", "pictures", _KEY, _figures(shown.pictures)),
        section("Where it got better, and where worse", "slices", slices_table(results)),
        section("Regression suites", "suites", suites_table(results)),
        section("Terms of the glossary", "glossary", glossary_table(results)),
        section("Beside the test", "beside", beside(results)),
        section("Read and listen", "examples", examples_html(shown.examples, shown.sound)),
        section("What was used", "used", _used(results, shown)),
        section("What the words mean", "words", _terms()),
    )
    main = f"{_verdict(results)}\n" + "\n".join(part for part in body if part)
    footer = paragraph("Made by Attune from metrics/evaluation_results.json and metrics/evaluation/.")
    return document(f"Speech to text, tuned: does it hear better than {results.decoding.base}?", main, footer=footer)


def sureness(results: Results) -> str:
    """How sure the difference is, in two or three sentences."""
    gained, sure = results.overall.wer_improvement, results.uncertainty
    if gained.points is None:
        return "There is nothing to compare."
    if gained.low is None or gained.high is None:
        return "How sure that is cannot be told: too little was tested for an interval."
    if gained.none:
        return "Both models make as many errors in every recording: there is no difference to be sure of."
    way = "better" if gained.points > 0 else "worse" if gained.points < 0 else "neither better nor worse"
    start = f"The tuned model is {way}, beyond chance" if gained.certain else f"In this test the tuned model is {way}"
    told = start if gained.certain else f"{start}, but that may be chance"
    likely = (
        ""
        if gained.probability_better is None
        else f" In {gained.probability_better:.1%} of resampled tests tuned makes fewer errors."
    )
    smallest = sure.minimum_detectable_points
    least = "" if smallest is None else f" A test like this finds differences of {smallest:.1f} points four times in five."
    return (
        f"{told}: its WER lies {_between(gained.low, gained.high)} the base model's, with "
        f"{results.confidence:.0%} confidence, over {sure.unit}.{likely}{least}"
    )


def _between(low: float, high: float) -> str:
    """Where it lies, of bounds of the points that it fell by."""
    if low < 0 < high:
        return f"between {high:.2f} percentage points below and {-low:.2f} above"
    one, other = sorted((abs(low), abs(high)))
    return f"between {one:.2f} and {other:.2f} percentage points {'below' if high > 0 else 'above'}"


def todo(results: Results) -> list[str]:
    """The advice; what is about the test itself stands among the warnings already."""
    return [each.text for each in results.advice if each.about != "test"]


def _verdict(results: Results) -> str:
    judged = results.verdict
    word, kind = ("✓ Passed", "") if judged.passed else ("✗ Not passed: do not deploy", " no")
    advised = [each.text for each in results.advice if each.about == "deploy"] if judged.passed else []
    warned = f"<h2>Be warned</h2>{bullets(judged.warnings)}" if judged.warnings else ""
    sentence = judged.sentence.removeprefix("Passed: ").removeprefix("Not passed: ")
    sentence = sentence[:1].upper() + sentence[1:]
    return (
        f'<div class="verdict{kind}" role="group" aria-label="Verdict"><p class="word">{word}</p>{paragraph(sentence)}'
        f"{paragraph(sureness(results))}{''.join(map(paragraph, advised))}</div>{warned}"
    )


def _figures(drawn: Iterable[Picture]) -> str:
    inner = "".join(
        f"<figure><figcaption><b>{escape(each.title)}</b>{escape(each.about)}</figcaption>{each.svg}</figure>" for each in drawn
    )
    return f'<div class="figures">{inner}</div>'


def _used(results: Results, shown: Exhibits) -> str:
    whole = results.overall
    data = [
        ("test utterances", whole.utterances),
        ("speakers, all held out", whole.speakers),
        ("words", whole.words),
        ("hours", f"{whole.hours:.2f}"),
        ("resamples", results.uncertainty.bootstrap_samples),
        ("resampled over", results.uncertainty.unit),
        *shown.data,
    ]
    settings = facts_table("Settings, from params.yaml.", shown.settings)
    return (
        facts_table("Data.", data)
        + facts_table("How both models were heard: the same way.", asdict(results.decoding).items())
        + normalizers_table(results)
        + f"<details><summary>All settings of model, training and evaluation</summary>{settings}</details>"
    )


def _terms() -> str:
    return f'<dl class="terms">{"".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in _TERMS)}</dl>'
