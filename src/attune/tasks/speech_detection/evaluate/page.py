"""The report for people: report.html and report.md, the same bytes for the same results."""

from collections.abc import Sequence
from html import escape

from attune.report.document import document
from attune.report.markup import paragraph, rate, section, spread, table
from attune.report.pull_request import MARKER
from attune.tasks.speech_detection.evaluate.pictures import Drawing
from attune.tasks.speech_detection.evaluate.results import Results, Score

FIGURES = "figures"
"""Where in the folder of metrics they stand."""
IMAGES = f"{FIGURES}/{{}}"
_HEADS = ("Detector", "Accuracy", "Balanced accuracy", "F1", "Equal error rate", "Area under ROC", "Clips")
_KEY = "Circles and dashes are the base model, diamonds and whole lines the tuned one."
_DIMENSIONS = {"snr_db": "By SNR", "duration_s": "By length of the content", "condition": "By condition", "speaker": "By speaker"}


def html_page(results: Results, drawn: Sequence[Drawing]) -> str:
    """All of it in one file, nothing fetched."""
    kind = "verdict" if results.accepted else "verdict no"
    word = "Better" if results.accepted else "Not shown to be better"
    figures = "".join(f"<figure><figcaption><b>{escape(d.title)}</b></figcaption>{d.svg}</figure>" for d in drawn)
    body = "".join(
        [
            f'<div class="{kind}" role="group" aria-label="Verdict"><p class="word">{word}</p>{paragraph(results.verdict)}</div>',
            section("Scores", "scores", table(f"On {results.clips} of {results.of} test clips", _HEADS, _scores(results))),
            section("Curves", "curves", paragraph(_KEY), f'<div class="figures">{figures}</div>') if drawn else "",
            *(_slice_section(results, dimension, title) for dimension, title in _DIMENSIONS.items()),
        ]
    )
    about = (
        f"{results.base} and {results.tuned}; only the base has {results.only_base_right} clips right, only the tuned model "
        f"{results.only_tuned_right}."
    )
    return document("Is there speech? Base and tuned model on the test", body, about=paragraph(about, "soft"))


def markdown(results: Results, drawn: Sequence[Drawing], images: str, change: str = "") -> str:
    """For a pull request; `images` is where a figure lies, with {} for its name, `change` what came of another commit."""
    mark = "✓ Passed" if results.accepted else "✗ Not passed"
    lines = [MARKER, f"## {mark}: is there speech?", "", results.verdict, ""]
    lines += [change, "", "### Tuned model against its base model", ""] if change else []
    lines += [_row(_HEADS), _row(["---"] * len(_HEADS))]
    lines += [_row([s.who, rate(s.accuracy), rate(s.balanced_accuracy), rate(s.f1), *_rest(s)]) for s in results.scores]
    lines += ["", "| SNR | base | tuned | clips |", "| --- | --- | --- | --- |"]
    lines += [_row([value, rate(base), rate(tuned), str(clips)]) for value, base, tuned, clips in _pairs(results, "snr_db")]
    for drawing in drawn:
        lines += ["", f"![{drawing.title}]({images.format(drawing.name + '.svg')})"]
    return "\n".join(lines) + "\n"


def _scores(results: Results) -> list[list[str]]:
    return [
        [
            escape(s.who),
            spread(s.accuracy, s.accuracy_low, s.accuracy_high),
            spread(s.balanced_accuracy, s.balanced_accuracy_low, s.balanced_accuracy_high),
            rate(s.f1),
            *_rest(s),
        ]
        for s in results.scores
    ]


def _rest(score: Score) -> list[str]:
    area = "–" if score.area_under_roc is None else f"{score.area_under_roc:.3f}"
    return [rate(score.equal_error_rate), area, str(score.clips)]


def _slice_section(results: Results, dimension: str, title: str) -> str:
    """Balanced accuracy would want both classes in each; here it is the share that is right, with its interval."""
    names = [score.who for score in results.scores]
    found: dict[str, dict[str, str]] = {}
    for row in results.slices:
        if row["slice"] == dimension:
            told = spread(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
            found.setdefault(str(row["value"]), {})[str(row["who"])] = told
    cells = [[escape(value), *(by.get(name, "–") for name in names)] for value, by in found.items()]
    return section(title, dimension, table("Accuracy", ("", *names), cells)) if len(cells) > 1 else ""


def _pairs(results: Results, dimension: str) -> list[tuple[str, float | None, float | None, int]]:
    """Each value of a dimension with the accuracy of base and tuned model."""
    by = {(row["value"], row["who"]): row for row in results.slices if row["slice"] == dimension}
    values = list(dict.fromkeys(value for value, _ in by))
    return [(v, by[v, "base"]["accuracy"], by[v, "tuned"]["accuracy"], by[v, "base"]["clips"]) for v in values]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
