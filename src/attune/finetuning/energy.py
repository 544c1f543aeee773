"""How much energy this machine takes, as far as it lets that be read: NVML's counter of a GPU, RAPL's of the processor."""

import ctypes
from collections.abc import Iterator
from pathlib import Path

import torch

_RAPL = Path("/sys/class/powercap")
_JOULES_PER_WH = 3600.0


class EnergyMeter:
    """Counts from when it is made. What else runs on the machine at that time counts too."""

    def __init__(self, device: str, rapl: Path = _RAPL) -> None:
        """`device` is cpu or cuda: the first GPU that this process sees counts beside the processor."""
        self._device, self._rapl = device, rapl
        self._begin = self._counters()

    def wh(self) -> float | None:
        """Watt-hours since then; None where nothing can be read."""
        now = self._counters()
        spent = [_since(self._begin[name], now[name]) for name in self._begin.keys() & now.keys()]
        return sum(spent) / _JOULES_PER_WH if spent else None

    def _counters(self) -> dict[str, tuple[float, float]]:
        """Joules on each counter, and at how many it starts anew."""
        found = {str(zone): joules for zone in sorted(self._rapl.glob("intel-rapl:?")) for joules in _zone(zone)}
        gpu = _gpu_joules() if self._device == "cuda" else None
        return found if gpu is None else {**found, "gpu": (gpu, float("inf"))}


def _since(begin: tuple[float, float], now: tuple[float, float]) -> float:
    spent = now[0] - begin[0]
    return spent if spent >= 0 else spent + now[1]


def _zone(zone: Path) -> Iterator[tuple[float, float]]:
    """Of one package (AMD's stand under intel-rapl too); nothing where only root may read it."""
    try:
        joules, most = (int((zone / name).read_text()) / 1e6 for name in ("energy_uj", "max_energy_range_uj"))
    except (OSError, ValueError):
        return
    yield joules, most


def _gpu_joules() -> float | None:
    """NVML's total energy counter (Volta and later)."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}".encode()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(handle)):
        return None
    if nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
        return None
    return millijoules.value / 1e3
