"""Finds who answers a stage: `task` of params.yaml names a folder here, the stage a folder in that, which has an `answer`.

The import is by name, so that a stage's code does not depend on tasks that are not asked; dvc.yaml names the folder with
`${task}` in its path, and a change of one task's code reruns nothing of another's.
"""

from importlib import import_module
from typing import Any, Literal, overload

from attune.params import TaskName
from attune.tasks.protocol import (
    Believes,
    Chooses,
    Compares,
    Hears,
    Judges,
    Learns,
    Prepares,
    Registers,
    Releases,
    Reports,
    Summarizes,
)


@overload
def answering(task: TaskName, stage: Literal["split_clean_noisy"]) -> Prepares: ...
@overload
def answering(task: TaskName, stage: Literal["stt_baseline"]) -> Hears: ...
@overload
def answering(task: TaskName, stage: Literal["llm_gold"]) -> Believes: ...
@overload
def answering(task: TaskName, stage: Literal["select_errors"]) -> Chooses: ...
@overload
def answering(task: TaskName, stage: Literal["train"]) -> Learns: ...
@overload
def answering(task: TaskName, stage: Literal["evaluate"]) -> Judges: ...
@overload
def answering(task: TaskName, stage: Literal["convert_ct2"]) -> Releases: ...
@overload
def answering(task: TaskName, stage: Literal["summary"]) -> Summarizes: ...
@overload
def answering(task: TaskName, stage: Literal["registration"]) -> Registers: ...
@overload
def answering(task: TaskName, stage: Literal["compare"]) -> Compares: ...
@overload
def answering(task: TaskName, stage: Literal["report"]) -> Reports: ...
def answering(task: TaskName, stage: str) -> Any:
    """The module that answers `stage` for `task`."""
    return import_module(f"attune.tasks.{task}.{stage}.answer")
