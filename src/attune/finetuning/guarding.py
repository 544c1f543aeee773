"""A Trainer that stops where going on would spoil what there is: at a loss that is no number, and at a full disk."""

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from attune.checkpoints import quietly
from attune.errors import TrainingError
from attune.finetuning.full_disk import told_where_full
from attune.finetuning.resuming import newest_whole_checkpoint

UTTERANCES = "utterances"
"""Where a batch carries the ids of its utterances; the model does not see them."""


@dataclass(frozen=True)
class _Seen:
    """The loss of a batch, or the norm of a step's gradient: left on its device, so that no step waits for it."""

    what: str
    step: int
    names: tuple[str, ...]
    value: torch.Tensor


class GuardedTrainer(Trainer):
    """Names the batch whose loss or gradient is no number, and saves no weights that are none."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._seen: list[_Seen] = []
        """Since the Trainer last fetched the mean loss, for its log, and found it a number."""
        super().__init__(*arguments, **named)
        self._home = Path(str(self.args.output_dir))

    def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **more: Any) -> torch.Tensor:
        names = tuple(inputs.pop(UTTERANCES, ()))
        loss: torch.Tensor = super().training_step(model, inputs, *rest, **more)
        self._seen.append(_Seen("loss", self.state.global_step + 1, names, loss.detach()))
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        """Looks at the gradient's norm as it passes. In float16 an infinite one is usual: the step is left out then."""
        norm = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        step = self.state.global_step + 1
        if isinstance(norm, torch.Tensor) and not self.args.fp16:
            names = tuple(name for seen in self._seen if seen.step == step for name in seen.names)
            self._seen.append(_Seen("gradient", step, names, norm.detach()))
        return norm

    def log(self, logs: dict[str, float], *rest: Any, **more: Any) -> None:
        """Stops at a loss or gradient that is no number: what follows would be noise, and the last good checkpoint stands."""
        if "loss" in logs:
            fine = math.isfinite(logs["loss"]) and (self.args.fp16 or math.isfinite(logs.get("grad_norm", 0.0)))
            if not fine:
                self._stop_at_first_bad(f"the loss became {logs['loss']} by step {self.state.global_step}")
            self._seen.clear()
        super().log(logs, *rest, **more)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        learner: Any = self.model
        broken = first_not_finite({name: p for name, p in learner.named_parameters() if p.requires_grad})
        if broken is not None:
            self._stop_at_first_bad(f"weights ({broken}) became no numbers by step {self.state.global_step}")
        try:
            with told_where_full(f"the checkpoint of step {self.state.global_step}", self._home), quietly():
                super()._save_checkpoint(model, trial)
        except BaseException:  # half written it is of no use, and the room may be needed
            shutil.rmtree(self._home / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}", ignore_errors=True)
            raise

    def _stop_at_first_bad(self, otherwise: str) -> None:
        """Raises TrainingError; `otherwise` is what happened where it was in another process."""
        for seen in self._seen:
            if not bool(torch.isfinite(seen.value)):
                told = f"the {seen.what} became {float(seen.value)} at step {seen.step}, of utterances {', '.join(seen.names)}"
                raise TrainingError(told + self._advice())
        raise TrainingError(otherwise + self._advice())

    def _advice(self) -> str:
        kept = newest_whole_checkpoint(self._home)
        return (f"; the last good checkpoint is kept ({kept})" if kept else "") + (
            "; lower train.learning_rate, or listen to those utterances if that does not help"
        )


def first_not_finite(tensors: Mapping[str, Any]) -> str | None:
    """The name of a tensor that holds NaN or infinity, None where none does."""
    if not tensors:
        return None
    finite = torch.stack([torch.isfinite(t.detach()).all() for t in tensors.values()]).tolist()  # one wait for the device
    return next((name for name, fine in zip(tensors, finite, strict=True) if not fine), None)
