"""DVC's queue run to its end, for sure.

Its workers now and then die, or lose the experiment that they have taken, and DVC then waits for it forever
(github.com/treeverse/dvc, issues 10398, 10428 and 10673, all open). So it is watched from outside: where it waits for
nothing, it is ended, and what it lost can be queued again.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_POLL = 2.0
_WITHOUT_WORKERS = 5.0
"""Seconds. DVC is done at once after its last experiment, and its workers stay for ten seconds more."""
_WITHOUT_WORK = 180.0
"""Seconds without a worker's process that runs an experiment: more than starting, fetching and putting away take."""


def run_to_its_end(command: Sequence[str], folder: Path) -> bool:
    """Runs `dvc exp run --run-all`, whose output goes where ours does; False where it hung and was ended, workers and all."""
    following = subprocess.Popen([sys.executable, "-m", *command], cwd=folder)  # noqa: S603, made by the caller, no shell
    with following:
        try:
            hung = _hangs(following, folder)
        except KeyboardInterrupt:  # DVC has it, too: it says that the experiments go on, and how to stop them
            following.wait()
            raise
        if hung:
            for pid in [following.pid, *(each.pid for each in _workers(folder))]:
                _end(pid)
    return not hung


def take_back(names: Sequence[str], folder: Path) -> None:
    """Takes experiments out of the queue, in whatever state they are there; those that are not are left alone."""
    kill = ("kill", "--force")
    for name in names:
        for order in (kill, kill, ("remove",)):  # the first ends the process, the second writes down that there is none
            subprocess.run(  # noqa: S603, no shell
                [sys.executable, "-m", "dvc", "queue", *order, name], cwd=folder, capture_output=True, check=False
            )


def _hangs(following: "subprocess.Popen[bytes]", folder: Path) -> bool:
    """Waits for its end, or for the time when nothing is left that could bring it about."""
    started, last_worker, last_work = False, time.monotonic(), time.monotonic()
    while following.poll() is None:
        now, workers = time.monotonic(), list(_workers(folder))
        if workers:
            started, last_worker = True, now
        if any(_children(each) for each in workers):
            last_work = now
        if (started and now - last_worker > _WITHOUT_WORKERS) or now - last_work > _WITHOUT_WORK:
            return True
        with suppress(subprocess.TimeoutExpired):
            following.wait(_POLL)
    return False


def _workers(folder: Path) -> Iterator[psutil.Process]:
    for file in (folder / ".dvc" / "tmp" / "exps" / "celery").glob("dvc-exp-worker-*.pid"):
        with suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int(file.read_text(encoding="utf-8")))
            if process.status() != psutil.STATUS_ZOMBIE and "queue-worker" in process.cmdline():
                yield process


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _end(pid: int) -> None:
    """Kills it and all that it has started."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in [*_children(process), process]:
            with suppress(psutil.Error):
                each.kill()
