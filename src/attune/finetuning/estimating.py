"""How long will training take? Told after a few measured steps, and compared with what it took."""

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from attune.progress import write

_WARM_UP_STEPS, _MEASURED_STEPS = 2, 6
"""The first steps load and compile; so many after them are measured."""


class Estimate(TrainerCallback):
    """Prints `Estimated training time: ~X.X minutes` once, from the time of the first steps and of one validation."""

    def __init__(self, validation_s: float, evaluations: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`validation_s` is what one validation took; a run that nobody interrupts makes so many `evaluations`."""
        self.estimated_s: float | None = None
        """None where training is too short to be measured."""
        self.taken_s: float | None = None
        self._validation_s, self._evaluations, self._clock = validation_s, evaluations, clock
        self._begin_s, self._measured_from, self._steps, self._done = 0.0, 0.0, 0, 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._begin_s, self._steps = self._clock(), 0
        self._done = sum("eval_wer" in entry for entry in state.log_history)  # before the checkpoint that it goes on from

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._steps += 1
        if self._steps == _WARM_UP_STEPS:
            self._measured_from = self._clock()
        if self._steps == _WARM_UP_STEPS + _MEASURED_STEPS:
            now_s = self._clock()
            step_s = (now_s - self._measured_from) / _MEASURED_STEPS
            to_come = state.max_steps - state.global_step
            evaluations = max(0, self._evaluations - self._done)
            self.estimated_s = now_s - self._begin_s + to_come * step_s + evaluations * self._validation_s
            write(f"Estimated training time: ~{self.estimated_s / 60:.1f} minutes\n", err=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.taken_s = self._clock() - self._begin_s

    def figures(self) -> dict[str, float | None]:
        """Minutes estimated and taken, and the error as a share of the latter; they differ from run to run."""
        estimated, taken = self.estimated_s, self.taken_s
        return {
            "estimated_minutes": None if estimated is None else estimated / 60,
            "training_minutes": None if taken is None else taken / 60,
            "estimate_error": None if estimated is None or not taken else estimated / taken - 1,
        }
