"""Interrupted training: which checkpoint it goes on from, who may write there, and what Ctrl-C does.

Checkpoints stand in a work folder that the graph does not know, one for each fingerprint of what decides the result.
"""

import json
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from attune.errors import TrainingError
from attune.files import write_text
from attune.finetuning import processes
from attune.progress import write

_WHOLE, _LOCK, _OWNER = "whole", "lock", "owner"
_UNLOGGED = "unlogged_{}.json"


class MarkWhole(TrainerCallback):
    """Leaves a mark in each checkpoint once all of it is written: the Trainer writes them in place, file by file."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        processes.wait_for_all()  # each writes the state of its own random numbers
        if processes.first():
            (_checkpoint(Path(args.output_dir), state.global_step) / _WHOLE).touch()


class KeepUnloggedLoss(TrainerCallback):
    """Keeps with each checkpoint the loss since the last log: a resumed run then logs what an uninterrupted one would.

    The Trainer adds up anew from where it resumes, and a checkpoint may stand between two logs, as an interrupt's does.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        content = {"sum": self._trainer._tr_loss.item(), "since_step": self._trainer._globalstep_last_logged}
        write_text(self._file(args, state), json.dumps(content))  # every digit of it

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if (file := self._file(args, state)).is_file():
            content = json.loads(file.read_text(encoding="utf-8"))
            self._trainer._tr_loss.fill_(content["sum"])
            self._trainer._globalstep_last_logged = content["since_step"]

    def _file(self, args: Any, state: Any) -> Path:
        """Each of several processes has its own loss."""
        return _checkpoint(Path(args.output_dir), state.global_step) / _UNLOGGED.format(processes.rank())


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

        learner = os.getpid()

        def stop(*_: Any) -> None:
            if os.getpid() != learner:
                return  # a process that loads clips got this handler too, and ends with the learner
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
        _tell_of_others(home)
        yield
    finally:
        lock.release()


def forget(home: Path | None) -> None:
    """Removes the checkpoints of a training whose result stands, but where another process is at it again by now."""
    if home is None or not home.is_dir():
        return
    with suppress(Timeout), FileLock(home / _LOCK, timeout=0):
        shutil.rmtree(home, ignore_errors=True)


def _tell_of_others(home: Path) -> None:
    """Those of other data or params stay, as somebody may want to go on there, and take room."""
    others = [file for file in home.parent.glob(f"*/{PREFIX_CHECKPOINT_DIR}-*/*") if file.is_file() and home not in file.parents]
    if others:
        size_mb = sum(file.stat().st_size for file in others) / 1e6
        count = len({file.parents[1] for file in others})
        write(
            f"{count} unfinished training(s) with other data or params keep {size_mb:.0f} MB in {home.parent}, to be gone on "
            "with; what is not wanted may be removed there\n",
            err=True,
        )


def last_whole_checkpoint(home: Path) -> str | None:
    """The newest marked checkpoint in `home`; what a kill or a full disk left half done is removed."""
    if not processes.first():
        return processes.said_by_first(None)
    for folder in home.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if not (folder / _WHOLE).is_file():
            shutil.rmtree(folder)
    newest = newest_whole_checkpoint(home)
    return processes.said_by_first(None if newest is None else str(newest))


def _checkpoint(home: Path, step: int) -> Path:
    return home / f"{PREFIX_CHECKPOINT_DIR}-{step}"


def newest_whole_checkpoint(home: Path) -> Path | None:
    """The same, and nothing is removed."""
    whole = [folder for folder in home.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if (folder / _WHOLE).is_file()]
    return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)
