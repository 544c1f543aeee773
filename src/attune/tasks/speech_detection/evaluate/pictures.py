"""Charts of what was found: ROC, detection error trade-off, and accuracy against SNR for each content length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from attune.report.charts import Line, lines
from attune.tasks.speech_detection.evaluate.results import Results
from attune.tasks.speech_detection.parts.beside import Beside
from attune.tasks.speech_detection.parts.measures import Truth, area_under_roc, det, roc

_MOST_POINTS = 200
P = TypeVar("P", bound=tuple[float, ...])
_DRAWN: tuple[Literal["base", "tuned"], ...] = ("base", "tuned")


@dataclass(frozen=True)
class Drawing:
    """An SVG with a name for its file and words for those who do not see it."""

    name: str
    title: str
    svg: str


def drawings(results: Results, truth: Truth, heard: Sequence[Beside]) -> list[Drawing]:
    """Curves want both classes; a psychometric curve wants more than one SNR."""
    curves = [*_curves(truth, heard)] if truth.any() and not truth.all() else []
    return [*curves, *_psychometric(results)]


def _curves(truth: Truth, heard: Sequence[Beside]) -> Iterator[Drawing]:
    models = [(series, next(each for each in heard if each.name == series)) for series in _DRAWN]
    title = "ROC: share of speech found against share of other sounds called speech"
    drawn = [Line(s, s, thinned([(f, h) for f, h, _ in roc(truth, each.said)])) for s, each in models]
    about = "; ".join(f"{s}: area {area_under_roc(truth, each.said):.3f}" for s, each in models)
    yield Drawing("roc", title, lines(drawn, title, about, x_label="false alarms", y_label="hits", ideal=True))
    title = "DET: share of speech missed against share of other sounds called speech"
    drawn = [Line(s, s, thinned(sorted(det(truth, each.said)))) for s, each in models]
    yield Drawing("det", title, lines(drawn, title, about, x_label="false alarms", y_label="misses", ideal=True))


def _psychometric(results: Results) -> Iterator[Drawing]:
    for duration_s in sorted({point.duration_s for point in results.points}):
        of_length = [point for point in results.points if point.duration_s == duration_s]
        if len({point.snr_db for point in of_length}) > 1:
            drawn = [Line(s, s, tuple((p.snr_db, p.accuracy) for p in of_length if p.who == s)) for s in _DRAWN]
            title = f"Accuracy against SNR, {duration_s:g} s of content"
            about = "; ".join(f"{p.who} at {p.snr_db:g} dB: {p.accuracy:.0%}" for p in of_length if p.who in _DRAWN)
            svg = lines(drawn, title, about, x_label="SNR in dB", y_label="accuracy")
            yield Drawing(f"psychometric-{duration_s:g}s".replace(".", "_"), title, svg)


def thinned(points: Sequence[P]) -> tuple[P, ...]:
    """At most some two hundred of them, the first and the last among these."""
    step = max(1, len(points) // _MOST_POINTS)
    kept = [*points[::step]]
    return (*kept, *([points[-1]] if points and kept[-1] != points[-1] else []))
