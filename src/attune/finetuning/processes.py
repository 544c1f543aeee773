"""Who learns together: this process among those that `launching` started, and what they tell each other."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")

STOP = "ATTUNE_STOP_FILE"
"""Environment variable with the file by which whoever started several processes asks them to save and stop."""
INTERRUPTED = "\ninterrupted: the step is ended and a checkpoint saved; press Ctrl-C again to stop at once\n"


def count() -> int:
    """How many learn together; 1 where nobody started more."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return dist.get_rank() if count() > 1 else 0


def first() -> bool:
    """Whether this one writes and speaks for all."""
    return rank() == 0


def share(items: Sequence[T]) -> Sequence[T]:
    """What of `items` is this one's to do; together they do all of them once."""
    return items[rank() :: count()]


def gathered(items: list[T]) -> list[T]:
    """Everybody's items, in the same order for each."""
    if count() == 1:
        return items
    everybodys: list[Any] = [None] * count()
    dist.all_gather_object(everybodys, items)
    return [item for one in everybodys for item in one]


def said_by_first(value: T) -> T:
    """The first one's value, for all."""
    if count() == 1:
        return value
    heard: list[Any] = [value]
    dist.broadcast_object_list(heard)
    said: T = heard[0]
    return said


def any_of(flag: bool) -> bool:
    """Whether it is true for anybody."""
    if count() == 1:
        return flag
    raised = torch.tensor(float(flag), device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(raised, dist.ReduceOp.MAX)
    return bool(raised)


def asked_to_stop() -> bool:
    """Whether the user has interrupted whoever started this process."""
    return STOP in os.environ and Path(os.environ[STOP]).exists()


def wait_for_all() -> None:
    """Returns once all have come here."""
    if count() > 1:
        dist.barrier()
