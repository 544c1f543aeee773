"""The charts of an evaluation: which there are, and what each says."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attune.report.charts import Dot, Line, Row, Series, bars, intervals, lines
from attune.report.results import Results, SliceScores, UtteranceResult
from attune.report.wording import shortened

BINS = 10
_CONFUSIONS = 12
_WORD = 40
"""Characters that are shown of one."""
_POINTS = 400
_MODELS: tuple[Series, Series] = ("base", "tuned")
_SLICES = {
    "condition": ("WER by condition", "Clean and noisy recordings, and all together."),
    "snr_db": ("WER by noise", "Speech over noise in dB, estimated: the lower, the noisier."),
    "duration_s": ("WER by duration", "Length of the utterance in seconds."),
}
_INTERVALS = "Lower is better; the lines are intervals, which tell how far chance may have moved each."


@dataclass(frozen=True)
class Picture:
    """A chart with its words."""

    name: str
    """Of the file, without a suffix."""
    title: str
    about: str
    svg: str


@dataclass(frozen=True)
class Training:
    """Points of the training curves by step; empty where nothing was trained."""

    losses: tuple[tuple[float, float], ...] = ()
    validation_wers: tuple[tuple[float, float], ...] = ()


def pictures(results: Results, rows: Sequence[UtteranceResult], training: Training) -> tuple[Picture, ...]:
    """All that there is something to draw for."""
    found = [_by_slice(results, dimension) for dimension in _SLICES]
    found += [_validation(training), _losses(training), _confusions(results), _reliability(rows)]
    return tuple(picture for picture in found if picture is not None)


def interval_rows(results: Results, dimension: str) -> list[dict[str, object]]:
    """Rows of a DVC plot with the template `intervals`: one a slice and model, with the whole first."""
    parts = [("all", results.overall), *((p.value, p) for p in results.slices if p.dimension == dimension)]
    return [
        {"slice": name, "model": model, "wer": scores.wer, "wer_low": scores.wer_low, "wer_high": scores.wer_high}
        for name, part in parts
        for model, scores in (("base", part.base), ("tuned", part.tuned))
    ]


def confusion_rows(results: Results) -> list[dict[str, object]]:
    """Rows of a DVC plot: the words that the tuned model most often takes for others, and how often each model does."""
    return [
        {"confusion": f"{each.reference} → {each.hypothesis}", "model": model, "count": count}
        for each in results.confusions[:_CONFUSIONS]
        for model, count in (("base", each.base), ("tuned", each.tuned))
    ]


def reliability_points(rows: Iterable[UtteranceResult], series: Series) -> list[tuple[float, float]]:
    """Mean confidence and share of texts without an error, of the utterances in each tenth of confidence."""
    binned: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)
    for row in rows:
        base = series == "base"
        said, errors = (row.base_confidence, row.base_errors) if base else (row.tuned_confidence, row.tuned_errors)
        binned[min(BINS - 1, int(said * BINS))].append((said, errors == 0))
    return [
        (sum(said for said, _ in group) / len(group), sum(right for _, right in group) / len(group))
        for _, group in sorted(binned.items())
    ]


def reliability_rows(rows: Sequence[UtteranceResult]) -> list[dict[str, object]]:
    """Rows of a DVC plot, one a tenth and model."""
    return [
        {"said": said, "right": right, "model": series} for series in _MODELS for said, right in reliability_points(rows, series)
    ]


def _by_slice(results: Results, dimension: str) -> Picture | None:
    title, about = _SLICES[dimension]
    parts = [p for p in results.slices if p.dimension == dimension]
    drawn = [_row(p.value, p) for p in parts]
    if not any(row.dots for row in drawn):
        return None
    rows = [_row("all", results.overall), *drawn]
    said = "; ".join(f"{row.label}: {', '.join(f'{dot.series} {dot.value:.1%}' for dot in row.dots)}" for row in rows if row.dots)
    return Picture(f"wer_by_{dimension.partition('_')[0]}", title, f"{about} {_INTERVALS}", intervals(rows, title, said))


def _row(label: str, part: SliceScores) -> Row:
    models = zip(_MODELS, (part.base, part.tuned), strict=True)
    return Row(label, tuple(Dot(name, s.wer, s.wer_low, s.wer_high) for name, s in models if s.wer is not None))


def _validation(training: Training) -> Picture | None:
    if not training.validation_wers:
        return None
    title, points = "WER while training", training.validation_wers
    said = f"From {points[0][1]:.1%} at step {points[0][0]:g} to {points[-1][1]:.1%} at step {points[-1][0]:g}."
    drawn = lines([Line("tuned", "validation", _thinned(points))], title, said, x_label="step", y_label="WER, validation side")
    return Picture("validation_wer", title, f"On speakers that are in neither training nor test. {said}", drawn)


def _losses(training: Training) -> Picture | None:
    if not training.losses:
        return None
    title, points = "Loss while training", training.losses
    said = f"From {points[0][1]:.3g} to {points[-1][1]:.3g} in {points[-1][0]:g} steps."
    drawn = lines([Line("tuned", "loss", _thinned(points))], title, said, x_label="step", y_label="loss", percent=False)
    return Picture("training_loss", title, f"What training makes small; it should fall, then level out. {said}", drawn)


def _confusions(results: Results) -> Picture | None:
    most = results.confusions[:_CONFUSIONS]
    if not most:
        return None
    title = "Words taken for others"
    words = {c: (shortened(c.reference, _WORD), shortened(c.hypothesis, _WORD)) for c in most}
    rows = [Row(" → ".join(words[c]), (_count("base", c.base), _count("tuned", c.tuned))) for c in most]
    said = "; ".join(f"{' heard as '.join(words[c])}: base {c.base}, tuned {c.tuned} times" for c in most)
    return Picture(
        "confusions", title, "As said → as heard, commonest of the tuned model first, with counts.", bars(rows, title, said)
    )


def _thinned(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """At most so many as can be told apart, the last among them."""
    every = -(-len(points) // _POINTS)
    return (*points[:-1:every], points[-1])


def _count(series: Series, count: int) -> Dot:
    return Dot(series, count, None, None)


def _reliability(rows: Sequence[UtteranceResult]) -> Picture | None:
    if not rows:
        return None
    title, points = "Can its confidence be believed?", {name: tuple(reliability_points(rows, name)) for name in _MODELS}
    said = "; ".join(f"{name}: {_listed(points[name])}" for name in _MODELS)
    shown = [Line(name, name, points[name]) for name in _MODELS]
    drawn = lines(shown, title, said, x_label="confidence", y_label="share of right texts", ideal=True)
    about = "On the dotted line a model that says 80% is right in 80% of such texts. Below it, it is too sure of itself."
    return Picture("reliability", title, about, drawn)


def _listed(points: Sequence[tuple[float, float]]) -> str:
    return ", ".join(f"{right:.0%} right where it says {said:.0%}" for said, right in points)
