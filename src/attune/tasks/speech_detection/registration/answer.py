"""A detector stands by its balanced accuracy on speakers and sources that nobody learnt from."""

from attune.registry.facts import Rate, Standing
from attune.tasks.speech_detection.evaluate.results import Results, Score, parse_results

_POINTS = 100


def read(text: str, where: str) -> Standing:
    """Of the text of evaluation_results.json. Raises DataError where it is of another task or form."""
    found = parse_results(text, where)
    tuned, base = found.score_of("tuned"), found.score_of("base")
    looked = f" (a quick look at {found.of})" if found.stopped_after_quick_look else ""
    return Standing(
        measure="balanced accuracy",
        tuned=_rate(tuned, found.confidence),
        base=_rate(base, found.confidence),
        base_name=found.base,
        failure=None if found.accepted else found.verdict,
        test=f"{found.clips} clips{looked} of held-out speakers and sources",
        same_test=(found.clips, found.of, base.accuracy, base.balanced_accuracy),
        improvements=tuple(_improvements(found, tuned)),
    )


def _improvements(found: Results, tuned: Score) -> list[str]:
    p_value = f"McNemar p = {found.p_value:.2g} of {found.only_tuned_right} to {found.only_base_right} clips"
    lines = [f"{_moved(found.score_of('base'), tuned)} the base model's ({p_value})"]
    beside = [score for score in found.scores if score.who not in ("base", "tuned")]
    return lines + [f"{_moved(score, tuned)} that of the {score.who} detector" for score in beside]


def _moved(before: Score, after: Score) -> str:
    """`12.30 points above`, of balanced accuracies."""
    if before.balanced_accuracy is None or after.balanced_accuracy is None:
        return "not to be compared with"
    points = (after.balanced_accuracy - before.balanced_accuracy) * _POINTS
    return f"{abs(points):.2f} points {'above' if points >= 0 else 'below'}"


def _rate(score: Score, confidence: float) -> Rate:
    if score.balanced_accuracy is None:
        return Rate("unknown", "")
    low, high = score.balanced_accuracy_low, score.balanced_accuracy_high
    interval = "" if low is None or high is None else f" ({confidence:.0%} interval {low:.2%} to {high:.2%})"
    return Rate(f"{score.balanced_accuracy:.2%}", interval)
