"""What training costs: samples a second, share of the time that is computing, peak memory, energy; each run differs."""

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from attune.devices import peak_memory_mb
from attune.finetuning.energy import EnergyMeter


class Costs(TrainerCallback):
    """Adds up the steps of one training; validation and saving are not in its seconds."""

    def __init__(self, device: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._device, self._clock = device, clock
        self._computed_s = self._waited_s = self._begin_s = 0.0
        self._samples = 0
        self._energy = EnergyMeter(device)

    def fetch(self, batches: Callable[[], Any]) -> Any:
        """What the Trainer's `get_batch_samples` gives, its time counted as waiting for data."""
        begin_s = self._clock()
        fetched = batches()
        self._waited_s += self._clock() - begin_s
        self._samples += sum(len(batch["labels"]) for batch in fetched[0])
        return fetched

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._begin_s = self._clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._computed_s += self._clock() - self._begin_s

    def figures(self) -> dict[str, float | None]:
        """Samples a second of training, of this process; the share of that time spent computing; megabytes; watt-hours."""
        steps_s = self._computed_s + self._waited_s
        return {
            "samples_per_s": self._samples / steps_s if steps_s else None,
            "compute_share": self._computed_s / steps_s if steps_s else None,
            "peak_memory_mb": peak_memory_mb(self._device),
            "energy_wh": self._energy.wh(),
        }
