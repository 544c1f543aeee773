"""A recogniser stands by its WER on held-out speakers."""

from attune.registry.facts import Rate, Standing
from attune.report.results import Difference, ModelScores, Results, parse_results

_TOLD_SLICES = 3
_TELLING = ("condition", "snr_db", "duration_s", "source")


def read(text: str, where: str) -> Standing:
    """Of the text of evaluation_results.json. Raises DataError where it is of another task or form."""
    found = parse_results(text, where)
    whole, verdict = found.overall, found.verdict
    return Standing(
        measure="WER",
        tuned=_rate(whole.tuned, found.confidence),
        base=_rate(whole.base, found.confidence),
        base_name=found.decoding.base,
        failure=None if verdict.passed else verdict.failure_reason or verdict.sentence,
        test=f"{whole.utterances} utterances of {whole.speakers} held-out speakers, {whole.hours:.2f} hours",
        same_test=(whole.words, whole.utterances, whole.base.wer),
        improvements=tuple(_improvements(found)),
    )


def _improvements(found: Results) -> list[str]:
    lines = [f"WER {_moved(found.overall.wer_improvement)} against the base model"]
    parts = [part for part in found.slices if part.dimension in _TELLING and part.wer_improvement.certain]
    ranked = sorted(parts, key=lambda part: -(part.wer_improvement.points or 0.0))
    lines += [f"{part.dimension} {part.value}: WER {_moved(part.wer_improvement)}" for part in ranked[:_TOLD_SLICES]]
    terms = found.glossary
    if terms.base_recall is not None and terms.tuned_recall is not None and terms.tuned_recall > terms.base_recall:
        lines.append(f"glossary terms heard: {terms.base_recall:.0%} -> {terms.tuned_recall:.0%} of {terms.said}")
    return lines


def _moved(difference: Difference) -> str:
    if difference.points is None:
        return "unknown"
    interval = "" if difference.low is None or difference.high is None else f" ({difference.low:.2f} to {difference.high:.2f})"
    return f"{difference.points:.2f} points lower{interval}"


def _rate(scores: ModelScores, confidence: float) -> Rate:
    bounded = scores.wer_low is not None and scores.wer_high is not None
    interval = f" ({confidence:.0%} interval {_percent(scores.wer_low)} to {_percent(scores.wer_high)})" if bounded else ""
    return Rate(_percent(scores.wer), interval)


def _percent(rate: float | None) -> str:
    return "unknown" if rate is None else f"{rate:.2%}"
