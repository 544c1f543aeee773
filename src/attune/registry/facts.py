"""What a version's tag says of it: hours of recordings, its score with an interval, what became better. Read from metrics in git.

What a score is, the task says (`tasks.TASK.registration.answer`). No names of speakers and no words that they said: tags go where
recordings may not.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from attune.errors import RegistryError
from attune.shell import Shell


@dataclass(frozen=True)
class Rate:
    """A share of a test, with its interval in brackets where it has one: `12.34%`, ` (95% interval 10.00% to 15.00%)`."""

    value: str
    interval: str

    def __str__(self) -> str:
        return self.value + self.interval


@dataclass(frozen=True)
class Standing:
    """What an evaluation says of a model, whatever its task."""

    measure: str
    """What it is judged by: WER, for instance."""
    tuned: Rate
    base: Rate
    base_name: str
    failure: str | None
    """Why it did not pass validation; None where it did."""
    test: str
    """What it was tested on, in words."""
    same_test: tuple[object, ...]
    """Equal for models that were tested on the same."""
    improvements: tuple[str, ...]
    """Against the base model, and what else became better; the greatest first."""


Reading = Callable[[str, str], Standing]
"""Of the text of evaluation_results.json, and what to call it. Raises DataError where it is of another task or form."""


@dataclass(frozen=True)
class Facts:
    """Of one revision."""

    standing: Standing
    hours_trained: float | None
    """Of the train side, all that there was to choose from."""
    utterances_trained: int | None


def facts_at(shell: Shell, revision: str, metrics: PurePosixPath, read: Reading) -> Facts:
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
        read(found, f"{file} of {revision}"),
        float(hours) if isinstance(hours, int | float) else None,
        int(trained) if isinstance(trained, int | float) else None,
    )


def tag_message(name: str, version: str, date: str, facts: Facts, former: tuple[str, Facts] | None, forced: str | None) -> str:
    """What stands in the tag of a version: a headline, then a line for each fact; `former` is the version before it."""
    standing = facts.standing
    hours = "unknown hours" if facts.hours_trained is None else f"{facts.hours_trained:.2f} hours"
    chosen = "" if facts.utterances_trained is None else f", {facts.utterances_trained} utterances trained on"
    lines = [
        f"{name} {version}: {standing.measure} {standing.tuned}, {hours} of recordings",
        "",
        f"date: {date}",
        f"data: {hours} on the train side{chosen}",
        f"test: {standing.test}",
        f"{standing.measure}: {standing.tuned}",
        f"base {standing.measure}: {standing.base}, of {standing.base_name}",
        f"validation: {'passed' if standing.failure is None else f'not passed: {standing.failure}'}",
        *([f"forced: {forced}"] if forced else []),
        "improvements:",
        *(f"- {line}" for line in _improvements(facts, former)),
    ]
    return "\n".join(lines)


def _improvements(facts: Facts, former: tuple[str, Facts] | None) -> Iterator[str]:
    first, *rest = facts.standing.improvements
    yield first
    if former is not None:
        yield _against(facts.standing, *former)
    yield from rest


def _against(now: Standing, version: str, former: Facts) -> str:
    """Rates of two versions beside each other, and whether they can be compared."""
    before = former.standing
    rates = f"{now.measure} {before.tuned.value} of {version} -> {now.tuned.value}"
    same = now.same_test == before.same_test
    return f"{rates} on the same test" if same else f"{rates}, but on another test: attune compare tells more"


def _json(shell: Shell, revision: str, file: PurePosixPath) -> dict[str, object]:
    """Its content; empty where git has none or it is damaged, as nothing is decided by it."""
    try:
        content = json.loads(shell.text(revision, str(file)) or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
