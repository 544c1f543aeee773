"""Interrupted training: which checkpoint it goes on from, who may write there, and what Ctrl-C does.

Checkpoints stand in a work folder that the graph does not know, one for each fingerprint of what decides the result.
"""

import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from attune.errors import TrainingError
from attune.finetuning import processes

_WHOLE, _LOCK, _OWNER = "whole", "lock", "owner"


class MarkWhole(TrainerCallback):
    """Leaves a mark in each checkpoint once all of it is written: the Trainer writes them in place, file by file."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        processes.wait_for_all()  # each writes the state of its own random numbers
        if processes.first():
            (Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}" / _WHOLE).touch()


class SaveOnInterrupt(TrainerCallback):
    """At Ctrl-C ends the step, saves a checkpoint and stops; at a second one stops at once."""

    def __init__(self) -> None:
        self.interrupted = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if processes.count() > 1:  # all at the same step
            self.interrupted = processes.any_of(processes.asked_to_stop())
        if self.interrupted:
            control.should_save = control.should_training_stop = True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Raises KeyboardInterrupt at the end of the block where somebody pressed Ctrl-C in it. Only the main thread can tell."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        if processes.count() > 1:  # whoever started them tells them
            yield
            if self.interrupted:
                raise KeyboardInterrupt
            return

        def stop(*_: Any) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True
            sys.stderr.write(processes.INTERRUPTED)

        former = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, former)
        if self.interrupted:
            raise KeyboardInterrupt


@contextmanager
def owned(home: Path) -> Iterator[None]:
    """Keeps `home` to this process for the block; the system gives it free when the process ends, however it does.

    Of several that learn together the first holds it.

    Raises TrainingError, with the owner's name, where another process trains there.
    """
    if not processes.first():
        yield
        return
    home.mkdir(parents=True, exist_ok=True)
    lock, owner = FileLock(home / _LOCK), home / _OWNER
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        who = owner.read_text(encoding="utf-8") if owner.is_file() else "another process"
        raise TrainingError(
            f"{home} is in use by {who}, which trains just this; wait for it, or stop it and run again"
        ) from error
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        lock.release()


def last_whole_checkpoint(home: Path) -> str | None:
    """The newest marked checkpoint in `home`; what a kill or a full disk left half done is removed."""
    if not processes.first():
        return processes.said_by_first(None)
    whole = []
    for folder in home.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if (folder / _WHOLE).is_file():
            whole.append(folder)
        else:
            shutil.rmtree(folder)
    newest = max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)
    return processes.said_by_first(None if newest is None else str(newest))
