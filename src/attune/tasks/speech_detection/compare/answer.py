"""An evaluation of speech detection as it is compared: a label is a text of one word, so WER is the share of wrong ones."""

from attune.files import parse_jsonl
from attune.report.experiments import Outcome
from attune.report.results import UtteranceResult
from attune.tasks.speech_detection.evaluate.clips import CLIPS, Called
from attune.tasks.speech_detection.evaluate.results import Results, Score, parse_results

ROWS = CLIPS
NOTE = "WER is the share of wrong labels here, as a label is a text of one word."
_RISING = ("Balanced accuracy", "F1", "Area under ROC")


def outcome(text: str, where: str) -> Outcome:
    """Of the text of evaluation_results.json; raises DataError where it is none, or of another task or version of Attune."""
    results = parse_results(text, where)
    tuned = results.score_of("tuned")
    return Outcome(
        wer=_wrong(tuned.accuracy),
        wer_low=_wrong(tuned.accuracy_high),
        wer_high=_wrong(tuned.accuracy_low),
        cer=None,
        passed=results.accepted,
        utterances=results.clips,
        words=results.clips,
        suites={},
        figures=_figures(results, tuned),
        rising=frozenset(_RISING),
    )


def rows(text: str, where: str) -> list[UtteranceResult]:
    """Of the text of evaluation/clips.jsonl."""
    return [_row(called) for called in parse_jsonl(text, where, Called)]


def _figures(results: Results, tuned: Score) -> dict[str, float | None]:
    conditions = [row for row in results.slices if row["slice"] == "condition" and row["who"] == "tuned"]
    return {
        "WER": _wrong(tuned.accuracy),
        **{f"WER, {row['value']}": _wrong(row["accuracy"]) for row in conditions},
        **dict(zip(_RISING, (tuned.balanced_accuracy, tuned.f1, tuned.area_under_roc), strict=True)),
        "Equal error rate": tuned.equal_error_rate,
        "WER of the base model": _wrong(results.score_of("base").accuracy),
    }


def _row(called: Called) -> UtteranceResult:
    wrong = {who: int(said != called.label) for who, said in (("base", called.base_label), ("tuned", called.tuned_label))}
    better = wrong["base"] - wrong["tuned"]
    return UtteranceResult(
        id=called.id,
        source=called.source,
        speaker=called.speaker,
        condition=called.condition,
        duration_s=called.content_s,
        snr_db=called.snr_db,
        words=1,
        reference=called.label,
        base=called.base_label,
        tuned=called.tuned_label,
        base_errors=wrong["base"],
        tuned_errors=wrong["tuned"],
        outcome="better" if better > 0 else "worse" if better < 0 else "same",
        base_confidence=max(called.base, 1 - called.base),
        tuned_confidence=max(called.tuned, 1 - called.tuned),
    )


def _wrong(accuracy: float | None) -> float | None:
    return None if accuracy is None else 1 - accuracy
