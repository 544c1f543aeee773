"""Starts the processes that learn together, as torchrun does, from within a stage, and ends them with it.

Each runs the same function. A fault of one, by whoever can mend it, is raised here as if it had happened here.
"""

import logging
import os
import pickle
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from tqdm import tqdm

from attune.devices import is_memory
from attune.errors import AttuneError
from attune.finetuning import processes

T = TypeVar("T")

_LOOK_FOR_PARENT_S = 0.5
_HERE = "127.0.0.1"


def launch(count: int, device: str, entry: Callable[..., T], *arguments: Any) -> T:
    """What the first of `count` processes on `device` (cpu or cuda) returns from `entry(*arguments)`, which travel pickled.

    Raises what one of them raised of AttuneError, OSError, KeyboardInterrupt and, where memory ran out, MemoryError; other faults
    as ChildFailedError with their traceback. Ctrl-C lets them save; at a second one, or when this process ends, they are ended.
    """
    with TemporaryDirectory(prefix="attune-") as name, _quiet(), _stopping(Path(name) / processes.STOP):
        folder, task = Path(name), pickle.dumps((entry, arguments))
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint=f"{_HERE}:0",
            local_addr=_HERE,
            max_restarts=0,
            start_method="spawn",
            signals_to_handle="SIGTERM,SIGHUP",
            logs_specs=DefaultLogsSpecs(str(folder / "logs"), {n: Std.ALL if n else Std.NONE for n in range(count)}),
        )
        try:
            returned: dict[int, T] = elastic_launch(config, _work)(os.getpid(), name, count, device, task)
        except ChildFailedError:
            fault = next((pickle.loads(path.read_bytes()) for path in sorted(folder.glob("*.fault"))), None)  # noqa: S301
            if fault is None:
                raise
            raise fault from None
    return returned[0]


def _work(parent: int, folder: str, count: int, device: str, task: bytes) -> Any:
    """In each process: the task, with the others known to `processes`; a fault that a person can mend is left in `folder`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and says what to do, see `processes.STOP`
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.environ[processes.STOP] = str(Path(folder) / processes.STOP)
    _prepare(count, device)
    try:
        entry, arguments = pickle.loads(task)  # noqa: S301 : not before the others' output is turned away, as imports may talk
        done = entry(*arguments)
        dist.destroy_process_group()
        return done
    except (AttuneError, OSError, KeyboardInterrupt) as error:
        fault: BaseException = error
    except (RuntimeError, MemoryError) as error:
        if not is_memory(error):
            raise
        fault = MemoryError(str(error))
    (Path(folder) / f"{processes.rank():04}.fault").write_bytes(pickle.dumps(fault))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)  # at once: the others may be waiting for this one


def _prepare(count: int, device: str) -> None:
    tqdm.set_lock(threading.RLock())  # its own is for several processes, and is told to have leaked when this one is ended
    local = int(os.environ["LOCAL_RANK"])
    if device == "cuda":
        torch.cuda.set_device(local)
        dist.init_process_group("nccl", device_id=torch.device("cuda", local))
        return
    threads = max(1, (os.cpu_count() or 1) // count)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # accelerate asks for it
    torch.set_num_threads(threads)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    dist.init_process_group("gloo")


def _end_with(parent: int) -> None:
    """Ends this process once its parent is gone, however that ended: nobody would be left to stop it."""
    while os.getppid() == parent:
        time.sleep(_LOOK_FOR_PARENT_S)
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _stopping(flag: Path) -> Iterator[None]:
    """At Ctrl-C leaves `flag` for the processes to see; at a second one KeyboardInterrupt. SIGTERM ends this process and them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        if flag.exists():
            raise KeyboardInterrupt
        flag.touch()
        sys.stderr.write(processes.INTERRUPTED)

    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, stop)
    asked_to_end: int | None = None
    try:
        yield
    except SignalException as error:
        asked_to_end = int(error.sigval)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if asked_to_end is not None:
        signal.raise_signal(asked_to_end)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the launcher says of processes that end; what went wrong is raised."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # that some weights were found to be used, each time
    log = logging.getLogger("torch.distributed")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
