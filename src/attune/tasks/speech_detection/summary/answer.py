"""What the last run brought, in words."""

from attune.errors import DataError
from attune.params import PathParams
from attune.tasks.speech_detection.evaluate.results import parse_results

_SCORES = ("balanced_accuracy", "accuracy", "f1", "equal_error_rate")


def summarize(paths: PathParams) -> str:
    """Verdict, scores and where things are. Raises DataError where nothing was evaluated yet."""
    file = paths.metrics / "evaluation_results.json"
    try:
        found = parse_results(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error}); run: dvc repro") from error
    lines = [f"Verdict: {found.verdict}", "", f"{'':10}" + "".join(f"{name:>20}" for name in _SCORES)]
    for score in found.scores:
        told = ("-" if (rate := getattr(score, name)) is None else f"{rate:.2%}" for name in _SCORES)
        lines.append(f"{score.who:10}" + "".join(f"{each:>20}" for each in told))
    waiting = f"Labels in doubt: {paths.gold / 'review.jsonl'} (attune gold export-review)"
    return "\n".join(
        [*lines, "", waiting, f"Report: {paths.metrics / 'report.html'}", f"Detector: {paths.ct2} (attune detect)", ""]
    )
