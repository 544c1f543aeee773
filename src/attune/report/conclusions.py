"""The verdict and the advice of an evaluation as lines for the terminal."""

import textwrap

from attune.report.results import Results, SliceScores

_WIDTH = 100


def judgement(results: Results) -> str:
    """Passed or not, why, and what is near a limit."""
    judged = results.verdict
    head = "Verdict: PASSED" if judged.passed else "Verdict: NOT PASSED"
    reason = [] if judged.failure_reason is None else [_item(f"Failure reason: {judged.failure_reason}.")]
    samples, worse = len(judged.failed_samples), _kept(results.forgetting)
    if samples:
        some = "1 utterance is" if samples == 1 else f"{samples} utterances are"
        worse.append(_item(f"{some} heard worse than by the base model; see report.html beside the metrics"))
    return "\n".join([head, *reason, *worse, *(_item(f"Warning: {text}") for text in judged.warnings)])


def _kept(part: SliceScores | None) -> list[str]:
    if part is None or part.base.wer is None or part.tuned.wer is None:
        return []
    what = f"{part.utterances} recordings of another kind, which must not be forgotten"
    return [_item(f"On {what}: WER {part.base.wer:.2%} before, {part.tuned.wer:.2%} after")]


def advice(results: Results) -> str:
    """What is about the test itself is among the warnings."""
    told = [_item(each.text) for each in results.advice if each.about != "test"]
    return "\n".join(["Advice", *(told or ["  None."])])


def _item(text: str) -> str:
    """Indented and wrapped; control characters, which names of recordings may hold, are not sent to the terminal."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return textwrap.fill(
        shown, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
