"""An experiment as it can be compared: what was evaluated, every test utterance, what it cost, and the params it had.

What an evaluation looks like only its task knows, so a task reads it (`Reader`); see `attune.tasks.registry`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from attune.errors import DataError
from attune.operations.costs import recall
from attune.operations.revisions import Repository, Revision
from attune.report.results import UtteranceResult
from attune.workcache import WorkCache

RESULTS = "evaluation_results.json"
"""Where in the folder of metrics the results stand."""


@dataclass(frozen=True)
class Cost:
    """What a model costs; None is unknown: the graph does not keep times and memory, see `operations.costs`."""

    size_mb: float | None
    """Of the model to deploy."""
    minutes: float | None
    """Of training."""
    memory_mb: float | None
    """Peak of training."""


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found of the tuned model. Rates are fractions."""

    wer: float | None
    wer_low: float | None
    wer_high: float | None
    cer: float | None
    """None where characters mean nothing."""
    passed: bool
    """Its verdict, tuned against base model."""
    utterances: int
    words: int
    suites: Mapping[str, float | None]
    """WER of each regression suite."""
    figures: Mapping[str, float | None]
    """For the table beside another commit's, by what they are called there."""
    rising: frozenset[str] = frozenset()
    """Those of `figures` of which more is better."""


class Reader(Protocol):
    """How a task reads its evaluation; see `tasks.protocol.Compares`."""

    @property
    def ROWS(self) -> str: ...  # noqa: N802, a constant of a module

    def outcome(self, text: str, where: str) -> Outcome: ...

    def rows(self, text: str, where: str) -> Sequence[UtteranceResult]: ...


@dataclass(frozen=True)
class Experiment:
    """One revision."""

    name: str
    commit: str | None
    """None for the workspace."""
    outcome: Outcome
    utterances: tuple[UtteranceResult, ...]
    cost: Cost
    params: Mapping[str, str]
    """Flat: `train.lora.rank`; empty where there is no params file."""


def outcome_at(repository: Repository, revision: Revision, metrics: Path, reader: Reader) -> Outcome | None:
    """The evaluation of a revision, None where it has none. Raises DataError where it is of another task or version of Attune."""
    text = repository.tracked_text(revision, metrics / RESULTS)
    return None if text is None else reader.outcome(text, f"{revision.name}:{(metrics / RESULTS).as_posix()}")


def load_experiment(
    repository: Repository, revision: Revision, metrics: Path, params_file: Path, cache: WorkCache, reader: Reader
) -> Experiment:
    """Everything of one revision; `cache` remembers what training took. Raises DataError where it was not evaluated, or for
    another task or by another version of Attune.
    """
    outcome = outcome_at(repository, revision, metrics, reader)
    rows = repository.tracked_text(revision, metrics / "evaluation" / reader.ROWS)
    if outcome is None or rows is None:
        missing = metrics / (RESULTS if outcome is None else f"evaluation/{reader.ROWS}")
        remedy = "dvc repro evaluate" if revision.commit is None else "commit the metrics there with git, or leave it out"
        raise DataError(
            f"{revision.name} has no {missing.as_posix()}, so it was not evaluated or its metrics were not kept; {remedy}"
        )
    where = f"{revision.name}:{(metrics / 'evaluation' / reader.ROWS).as_posix()}"
    return Experiment(
        name=revision.name,
        commit=revision.commit,
        outcome=outcome,
        utterances=tuple(reader.rows(rows, where)),
        cost=_cost(repository, revision, metrics, cache),
        params=_flat(_read_yaml(repository.text(revision, params_file))),
    )


def changed_params(experiment: Experiment, reference: Experiment) -> dict[str, str]:
    """What the experiment sets otherwise; params that either does not know are left out."""
    before = reference.params
    return {key: value for key, value in experiment.params.items() if key in before and before[key] != value}


def _cost(repository: Repository, revision: Revision, metrics: Path, cache: WorkCache) -> Cost:
    release = _read_json(repository.text(revision, metrics / "convert_ct2.json"))
    took = _timing(repository, revision, metrics, cache)
    minutes = _number(took, "training_minutes")
    return Cost(
        size_mb=_number(release, "size_mb"),
        minutes=_number(took, "minutes") if minutes is None else minutes,
        memory_mb=_number(took, "peak_memory_mb"),
    )


def _timing(repository: Repository, revision: Revision, metrics: Path, cache: WorkCache) -> Mapping[str, Any]:
    """Of training: as remembered, else as committed. Those in the workspace may be of another run than its figures."""
    figures, curve = (repository.text(revision, metrics / file) for file in ("train.json", "plots/training_loss.csv"))
    found = recall(cache, figures, curve) if figures and curve else {}
    if found or revision.commit is None:
        return found
    return _read_json(repository.text(revision, metrics / "timing" / "train.json"))


def _number(content: Mapping[str, Any], key: str) -> float | None:
    value = content.get(key)
    return float(value) if isinstance(value, int | float) else None


def _read_json(text: str | None) -> Mapping[str, Any]:
    """Empty for what is missing or damaged: costs are told where they are known."""
    try:
        content = json.loads(text or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _read_yaml(text: str | None) -> Any:
    try:
        return yaml.safe_load(text or "{}")
    except yaml.YAMLError:
        return {}


def _flat(content: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(content, dict):
        return {prefix: json.dumps(content, default=str).strip('"')}
    return {key: value for name, part in content.items() for key, value in _flat(part, f"{prefix}.{name}".lstrip(".")).items()}
