"""Where and how precisely models compute: what the user asked for, checked against what this machine has."""

import ctypes
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from attune.errors import EnvironmentFault
from attune.params import Device, Precision

_MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")
_MOST_WORKERS = 8
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Of glibc's malloc.h."""


def choose_device(wanted: Device) -> str:
    """`cuda` or `cpu`. Raises EnvironmentFault where a GPU is asked for and none can be used."""
    import torch

    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    reason = "torch was installed without CUDA" if torch.version.cuda is None else "torch sees no GPU"
    raise EnvironmentFault(
        f"model.device is cuda, but {reason}; set model.device to auto or cpu, or mend the driver (nvidia-smi)"
    )


def choose_dtype(wanted: Precision, device: str) -> Any:
    """The torch dtype to recognise in: `auto` is bfloat16 on a GPU that computes in it, float32 elsewhere.

    Raises EnvironmentFault for float16 on a CPU.
    """
    import torch

    if wanted == "auto":
        return torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if wanted == "float16" and device == "cpu":
        raise EnvironmentFault("precision float16 needs a GPU; set model.precision to auto, float32 or bfloat16")
    return getattr(torch, wanted)


def processor() -> tuple[str, frozenset[str]]:
    """Its model's name, and the flags of what it can do as Linux gives them; elsewhere a name alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return facts.get("model name") or platform.processor(), frozenset(facts.get("flags", "").split())


def quick_in_bfloat16(device: str) -> bool:
    """Whether torch is quicker in bfloat16 than in float32: on GPUs that have it, on processors with matrix units (AMX), and on
    AMD's with AVX512-BF16. Intel's that have AVX512-BF16 alone took half as long again for a step in it.
    """
    if device == "cuda":
        import torch

        return bool(torch.cuda.is_bf16_supported())
    name, flags = processor()
    return "amx_bf16" in flags or ("avx512_bf16" in flags and name.startswith("AMD"))


def workers_and_threads(device: str) -> tuple[int, int]:
    """How many batches to hear at the same time, and with how many threads each: on a CPU a core for each batch is quicker
    than all of them for one.
    """
    cores = os.cpu_count() or 1
    workers = min(cores, _MOST_WORKERS) if device == "cpu" else 1
    return workers, max(1, cores // workers)


def share_cores(workers: int) -> None:
    """Leaves torch its share of the cores in the calling thread, which is one of so many; other threads are left alone."""
    if workers > 1:
        import torch

        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


def peak_memory_mb(device: str) -> float:
    """The most that this process has taken so far, in megabytes; on a GPU, of the GPU's."""
    if device == "cuda":
        import torch

        return round(torch.cuda.max_memory_allocated() / 1e6, 1)
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")  # rusage has what ran in it before, such as a shell
        return round(int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6, 1)
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def free_memory_mb(device: str) -> float | None:
    """What is free now, in megabytes; on a GPU, of the GPU's. None where the system does not tell."""
    if device == "cuda":
        import torch

        return round(torch.cuda.mem_get_info()[0] / 1e6, 1)
    try:
        told = Path("/proc/meminfo").read_text(encoding="utf-8")
        return round(int(told.split("MemAvailable:")[1].split()[0]) * 1024 / 1e6, 1)
    except (OSError, IndexError):
        return None


def memory_growths_mb(works: Iterable[Callable[[], None]], device: str) -> list[float] | None:
    """The most that each of `works` takes on top of what is taken before the first, in megabytes; on a GPU, of the GPU's.

    None where the system does not tell.
    """
    if device == "cuda":
        allocated = _on_gpu_mb()
        return [_peak_on_gpu_mb(work) - allocated for work in works]
    try:
        before = _resident_mb("VmRSS")
        return [_resident_peak_mb(work) - before for work in works]
    except OSError:
        return None


def _on_gpu_mb() -> float:
    import torch

    return torch.cuda.memory_allocated() / 1e6


def _peak_on_gpu_mb(work: Callable[[], None]) -> float:
    import torch

    torch.cuda.reset_peak_memory_stats()
    work()
    return torch.cuda.max_memory_allocated() / 1e6


def _resident_peak_mb(work: Callable[[], None]) -> float:
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # forgets the peak so far, see proc(5)
    work()
    return _resident_mb("VmHWM")


def _resident_mb(what: str) -> float:
    told = Path("/proc/self/status").read_text(encoding="utf-8").split(f"{what}:")[1]
    return int(told.split()[0]) * 1024 / 1e6


def is_memory(error: BaseException) -> bool:
    """Whether it says that memory ran out: torch, CTranslate2 and the C++ library share no exception class for that."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _MEMORY_SIGNS)


def free_memory() -> None:
    """Gives blocks that torch keeps for later back to the GPU."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def reuse_freed_memory() -> None:
    """Has glibc hand freed blocks out again where it would give each back to the system: work on a CPU takes a tenth less time.

    A tensor's memory is fresh, and so zeroed by the kernel page by page, each time otherwise. Other C libraries are left alone.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for option, size in ((_MMAP_THRESHOLD, 1 << 25), (_TRIM_THRESHOLD, (1 << 31) - 1), (_TOP_PAD, 1 << 26)):
        mallopt(option, size)
