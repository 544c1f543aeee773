"""What a version's tag says of it: hours of recordings, WER with its interval, what became better. Read from metrics in git.

No names of speakers and no words that they said: tags go where recordings may not.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from attune.errors import RegistryError
from attune.report.results import Difference, ModelScores, Results, SliceScores, parse_results
from attune.shell import Shell

_TOLD_SLICES = 3
_TELLING = ("condition", "snr_db", "duration_s", "source")


@dataclass(frozen=True)
class Facts:
    """Of one revision."""

    results: Results
    hours_trained: float | None
    """Of the train side, all that there was to choose from."""
    utterances_trained: int | None

    @property
    def headline(self) -> str:
        """WER with its interval."""
        return f"WER {_rate(self.results.overall.tuned, self.results.confidence)}"


def facts_at(shell: Shell, revision: str, metrics: PurePosixPath) -> Facts:
    """What the metrics of a revision say. Raises RegistryError where it has none."""
    file = metrics / "evaluation_results.json"
    found = shell.text(revision, str(file))
    if found is None:
        raise RegistryError(
            f"{file} is not in git at {revision}, so nobody knows whether the model is good; run: dvc repro && git add --all && "
            "git commit"
        )
    split, train = (_json(shell, revision, metrics / f"{stage}.json") for stage in ("split_clean_noisy", "train"))
    side = split.get("train")
    hours = side.get("hours") if isinstance(side, dict) else None
    trained = train.get("trained_utterances")
    return Facts(
        parse_results(found, f"{file} of {revision}"),
        float(hours) if isinstance(hours, int | float) else None,
        int(trained) if isinstance(trained, int | float) else None,
    )


def tag_message(name: str, version: str, date: str, facts: Facts, former: tuple[str, Facts] | None, forced: str | None) -> str:
    """What stands in the tag of a version: a headline, then a line for each fact; `former` is the version before it."""
    whole = facts.results.overall
    hours = "unknown hours" if facts.hours_trained is None else f"{facts.hours_trained:.2f} hours"
    chosen = "" if facts.utterances_trained is None else f", {facts.utterances_trained} utterances trained on"
    verdict = facts.results.verdict
    lines = [
        f"{name} {version}: {facts.headline}, {hours} of recordings",
        "",
        f"date: {date}",
        f"data: {hours} on the train side{chosen}",
        f"test: {whole.utterances} utterances of {whole.speakers} held-out speakers, {whole.hours:.2f} hours",
        f"WER: {_rate(whole.tuned, facts.results.confidence)}",
        f"base WER: {_rate(whole.base, facts.results.confidence)}, of {facts.results.decoding.base}",
        f"validation: {'passed' if verdict.passed else f'not passed: {verdict.failure_reason}'}",
        *([f"forced: {forced}"] if forced else []),
        "improvements:",
        *(f"- {line}" for line in _improvements(facts, former)),
    ]
    return "\n".join(lines)


def _improvements(facts: Facts, former: tuple[str, Facts] | None) -> Iterator[str]:
    whole = facts.results.overall
    yield f"WER {_moved(whole.wer_improvement)} against the base model"
    if former is not None:
        yield _against(whole, *former)
    parts = [part for part in facts.results.slices if part.dimension in _TELLING and part.wer_improvement.certain]
    ranked = sorted(parts, key=lambda part: -(part.wer_improvement.points or 0.0))
    for part in ranked[:_TOLD_SLICES]:
        yield f"{part.dimension} {part.value}: WER {_moved(part.wer_improvement)}"
    terms = facts.results.glossary
    if terms.base_recall is not None and terms.tuned_recall is not None and terms.tuned_recall > terms.base_recall:
        yield f"glossary terms heard: {terms.base_recall:.0%} -> {terms.tuned_recall:.0%} of {terms.said}"


def _against(whole: SliceScores, version: str, facts: Facts) -> str:
    """Rates of two versions beside each other, and whether they can be compared."""
    before = facts.results.overall
    same = (whole.words, whole.utterances, whole.base.wer) == (before.words, before.utterances, before.base.wer)
    rates = f"WER {_percent(before.tuned.wer)} of {version} -> {_percent(whole.tuned.wer)}"
    return f"{rates} on the same test" if same else f"{rates}, but on another test: attune compare tells more"


def _moved(difference: Difference) -> str:
    if difference.points is None:
        return "unknown"
    interval = "" if difference.low is None or difference.high is None else f" ({difference.low:.2f} to {difference.high:.2f})"
    return f"{difference.points:.2f} points lower{interval}"


def _rate(scores: ModelScores, confidence: float) -> str:
    if scores.wer_low is None or scores.wer_high is None:
        return _percent(scores.wer)
    return f"{_percent(scores.wer)} ({confidence:.0%} interval {_percent(scores.wer_low)} to {_percent(scores.wer_high)})"


def _percent(rate: float | None) -> str:
    return "unknown" if rate is None else f"{rate:.2%}"


def _json(shell: Shell, revision: str, file: PurePosixPath) -> dict[str, object]:
    """Its content; empty where git has none or it is damaged, as nothing is decided by it."""
    try:
        content = json.loads(shell.text(revision, str(file)) or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
