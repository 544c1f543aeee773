"""What the last run brought, in words."""

from attune.params import PathParams
from attune.tasks.speech_detection.evaluate.results import RESULTS, read_results

_SCORES = ("balanced_accuracy", "accuracy", "f1", "equal_error_rate")


def summarize(paths: PathParams) -> str:
    """Verdict, scores and where things are. Raises DataError where nothing was evaluated yet."""
    found = read_results(paths.metrics / RESULTS)
    lines = [f"Verdict: {found.verdict}", "", f"{'':10}" + "".join(f"{name:>20}" for name in _SCORES)]
    for score in found.scores:
        told = ("-" if (value := getattr(score, name)) is None else f"{value:.2%}" for name in _SCORES)
        lines.append(f"{score.who:10}" + "".join(f"{each:>20}" for each in told))
    waiting = f"Labels in doubt: {paths.gold / 'review.jsonl'} (attune gold export-review)"
    return "\n".join(
        [*lines, "", waiting, f"Report: {paths.metrics / 'report.html'}", f"Detector: {paths.ct2} (attune detect)", ""]
    )
