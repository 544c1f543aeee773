"""What a task answers: for each stage of the graph one question, and the shape of the answer.

A stage keeps folders, lineage and figures in order; what a hypothesis, an error and a score are, only the task knows. Each
question is answered by the function of that name in `attune.tasks.TASK.STAGE.answer`, found by `registry`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from attune.params import Params, PathParams, SplitParams
from attune.records import Gold, Hypothesis

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Heard:
    """What the base model made of every clip."""

    hypotheses: Sequence[Hypothesis]
    columns: Sequence[str]
    scores: Sequence[Row]
    """Rows of scores.csv under `columns`."""
    reliability: Sequence[Row]
    """Rows of the reliability plot."""
    figures: Mapping[str, Any]
    """For the stage's metrics; no times."""
    timing: Mapping[str, Any]
    sentence: str
    """One line for people."""
    note: str = ""
    """Another, where there is something to explain."""


@dataclass(frozen=True)
class Believed:
    """What training may believe."""

    golds: Sequence[Gold]
    review: Sequence[Any]
    """Records for a person to look at, the most urgent first."""
    figures: Mapping[str, Any]
    sentence: str
    """Without a full stop: the stage adds how much waits for review."""
    note: str = ""
    """What is to be said after that, with a space before it."""


class Prepares(Protocol):
    def prepare(self, raw: Path, prepared: Path, params: Params) -> Any:
        """Writes the corpus of all that is usable below `raw` to the folder `prepared`; an `intake.IntakeReport`."""
        ...

    def plan(self, raw: Path, params: SplitParams, cache: Any, sounds: Any) -> Any:
        """What the corpus would be, an `intake.IntakeReport`; nothing but the caches is written."""
        ...


class Hears(Protocol):
    def hear(self, prepared: Path, params: Params) -> Heard:
        """What the base model says of every clip in `prepared`."""
        ...


class Believes(Protocol):
    def believe(self, prepared: Path, heard: Sequence[Hypothesis], params: Params) -> Believed:
        """Gold for each clip in `prepared`, and what is in doubt."""
        ...


class Chooses(Protocol):
    def choose(self, prepared: Path, golds: Sequence[Gold], heard: Sequence[Hypothesis], params: Params) -> Any:
        """What is trained on and validated with; a `selection.SelectionReport`."""
        ...


class Learnt(Protocol):
    """What became of training; `report` is a `finetuning.training_report.TrainingReport`."""

    @property
    def report(self) -> Any: ...

    def metrics(self) -> dict[str, Any]:
        """For metrics/train.json; no times."""
        ...

    def sentence(self) -> str: ...


class Learns(Protocol):
    def learn(self, prepared: Path, selected: Path, params: Params, folder: Path, work: Path, live: Any) -> Learnt:
        """Fine-tunes the base into `folder`; figures to watch stand where `live`, a `finetuning.live.Watched`, says."""
        ...


@dataclass(frozen=True)
class Places:
    """What the evaluation reads."""

    prepared: Path
    gold: Path
    finetuned: Path
    suites: Path
    glossary: Path
    out_of_domain: Path
    loss_plot: Path
    wer_plot: Path


CURVES = {
    "roc.csv": ("model", "place", "false_alarms", "hits", "threshold"),
    "det.csv": ("model", "place", "false_alarms", "misses"),
    "psychometric.csv": ("model", "duration_s", "snr_db", "clips", "accuracy", "low", "high"),
}
"""Files of plots and their columns that dvc.yaml names for every task. One that has no such curves writes the heads alone:
`dvc plots show` leaves those out, and warns of files that are missing."""


class Judged(Protocol):
    """What base and tuned model are worth, ready to be written."""

    def write_folder(self, folder: Path) -> None:
        """Every clip of the test, into a folder that is there."""
        ...

    def write_plots(self, folder: Path) -> None:
        """The CSV files that dvc.yaml draws, CURVES among them."""
        ...

    def write_reports(self, folder: Path) -> None:
        """report.html, report.md and figures/."""
        ...

    def write_results(self, file: Path) -> None:
        """Everything that was found, as JSON."""
        ...

    def figures(self) -> dict[str, Any]:
        """For metrics/evaluate.json; no times."""
        ...

    def costs(self) -> dict[str, Any]: ...

    def sentence(self) -> str: ...

    def require(self, results_file: Path) -> None:
        """Raises RegressionError where params want the stage to fail for what was found."""
        ...


class Judges(Protocol):
    def judge(self, places: Places, params: Params) -> Judged:
        """Hears the test with both models and judges them."""
        ...


@dataclass(frozen=True)
class Tuned:
    """What is released: the tuned model, with the corpus that it is proven on and what it was found to be worth."""

    prepared: Path
    finetuned: Path
    evaluated: Path


COSTS = ("real_time_factor", "memory_mb", "gpu_memory_mb")
"""Columns of a plot: what hearing with each export takes."""


class Released(Protocol):
    """The model to deploy, as it was written."""

    def figures(self) -> dict[str, Any]:
        """For metrics/convert_ct2.json; no times."""
        ...

    def costs(self, folder: Path) -> dict[str, dict[str, Any]]:
        """What hearing with each export in `folder`, its place now, takes: by its name, COSTS and more."""
        ...

    def write_plot(self, file: Path) -> None:
        """Size and errors of each export, as CSV."""
        ...

    def sentence(self) -> str: ...


class Releases(Protocol):
    def release(self, tuned: Tuned, folder: Path, params: Params) -> Released:
        """Writes the model to deploy into `folder`, proven to say what the tuned one says. Raises ParityError."""
        ...


class Compares(Protocol):
    """How `attune compare` reads an evaluation; WER may be of labels, as a label is a text of one word."""

    ROWS: str
    """The file in the folder of the evaluation that has a row for each test utterance."""
    NOTE: str
    """What people should know of the figures; may be empty."""

    def outcome(self, text: str, where: str) -> Any:
        """What stands in evaluation_results.json, a `report.experiments.Outcome`. Raises DataError for what is no such file."""
        ...

    def rows(self, text: str, where: str) -> Sequence[Any]:
        """What stands in ROWS, a `report.results.UtteranceResult` each. Raises DataError for what is no such file."""
        ...


class Reports(Protocol):
    def report(self, params_file: Path, params: Params, revision: str | None, images_at: str | None) -> str:
        """What the last run brought, as Markdown for a pull request; see `operations.pull_requests`."""
        ...


class Summarizes(Protocol):
    def summarize(self, paths: PathParams) -> str:
        """What the last run brought, for `attune summary`."""
        ...


class Registers(Protocol):
    def read(self, text: str, where: str) -> Any:
        """What the text of evaluation_results.json says of the model, for the tag of a version; a `registry.facts.Standing`.
        Raises DataError, naming `where`, for one of another task."""
        ...
