"""The verdict and the advice of an evaluation as lines for the terminal."""

import textwrap

from attune.report.results import Results

_WIDTH = 100


def judgement(results: Results) -> str:
    """Passed or not, why, and what is near a limit."""
    judged = results.verdict
    head = "Verdict: PASSED" if judged.passed else "Verdict: NOT PASSED"
    reason = [] if judged.failure_reason is None else [_item(f"Failure reason: {judged.failure_reason}.")]
    samples, worse = len(judged.failed_samples), list[str]()
    if samples:
        some = "1 utterance is" if samples == 1 else f"{samples} utterances are"
        worse.append(_item(f"{some} heard worse than by the base model; see report.html beside the metrics"))
    return "\n".join([head, *reason, *worse, *(_item(f"Warning: {text}") for text in judged.warnings)])


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
