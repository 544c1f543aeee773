"""Ends a training that no longer gets better."""

from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback

Judged = Callable[[Mapping[str, float]], Mapping[str, float]]
"""An evaluation as the best checkpoint is chosen by, of one as it was measured."""


class StopWithoutGain(TrainerCallback):
    """Stops after `patience` evaluations without a better WER, counted in what the state has on record.

    The Trainer's own early stopping counts in memory, and so begins anew in a resumed run, which then ends elsewhere. The step
    that ends training is not saved: a run that is killed after it comes to it again, rather than going on from there.
    """

    def __init__(self, patience: int, judged: Judged) -> None:
        self._patience, self._judged = patience, judged

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        wers = [self._judged(entry)["eval_wer"] for entry in state.log_history if "eval_wer" in entry]
        if len(wers) - 1 - wers.index(min(wers)) >= self._patience:
            control.should_training_stop, control.should_save = True, False
