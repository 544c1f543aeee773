"""What the tests of several processes have them do. They are told it by name, so it stands in a module of its own."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file

from attune.errors import TrainingError
from attune.finetuning import processes
from attune.finetuning.launching import launch

if TYPE_CHECKING:
    from attune.finetuning.training import TrainingReport

TEXTS = [
    "go",
    "stop at the end of the long road",
    "yes please",
    "seven two",
    "no",
    "a",
    "turn left after the second house",
    "b",
    "up",
]
"""Of very different lengths, and one more than batches of four take, so that one process has nothing to do in the last."""


class Killed(RuntimeError):
    """Stands in for a kill between two steps."""


def learn(kind: str, folder: Path, **changes: Any) -> "TrainingReport":
    """In this process, or in each of several."""
    from test_training import LORA, TINY, VARIED, Tones, params

    from attune.checkpoints import load_checkpoint
    from attune.finetuning.families import Example
    from attune.finetuning.training import finetune

    examples = [Example(str(n), text, 1.0) for n, text in enumerate(TEXTS)]
    settings = params(**{"epochs": 2, "lora": LORA | {"rank": 4}, "augmentation": VARIED} | changes)
    checkpoint = load_checkpoint(str(TINY[kind]), None)
    return finetune(checkpoint, examples, examples, Tones(), settings, None, folder / "out", folder / "work")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "out" / "lora_adapters" / "adapter_model.safetensors")


def learn_in_all_ways(folder: Path) -> "dict[str, TrainingReport]":
    """Both families; and one that is killed and resumed."""
    from attune.finetuning import training

    reports = {kind: learn(kind, folder / kind, processes=2) for kind in ("whisper", "ctc")}
    plain, steps = training.WerTrainer.training_step, 0

    def killed(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise Killed
        return plain(self, *arguments, **named)

    training.WerTrainer.training_step = killed  # type: ignore[method-assign]
    try:
        learn("whisper", folder / "resumed", processes=2)
    except Killed:
        training.WerTrainer.training_step = plain  # type: ignore[method-assign]
        reports["resumed"] = learn("whisper", folder / "resumed", processes=2)
    return reports


def learn_slowly(folder: Path) -> None:
    """Whisper, with a word to the outside after each step."""
    from attune.finetuning import training

    plain = training.WerTrainer.training_step

    def told(self: Any, *arguments: Any, **named: Any) -> Any:
        loss = plain(self, *arguments, **named)
        (folder / "under-way").touch()
        return loss

    training.WerTrainer.training_step = told  # type: ignore[method-assign]
    learn("whisper", folder, processes=2, epochs=200, evaluations_per_epoch=0.01)


def fail_alone() -> None:
    """The second one may not go on; the first waits for it."""
    if not processes.first():
        raise TrainingError("this one may not go on")
    processes.wait_for_all()


def err() -> None:
    """A fault of our own."""
    if not processes.first():
        raise ZeroDivisionError("a fault of ours")
    processes.wait_for_all()


def run_out_of_memory() -> None:
    if not processes.first():
        raise torch.OutOfMemoryError("CUDA out of memory")
    processes.wait_for_all()


def wait(folder: Path) -> None:
    """For ever, having left its process number."""
    (folder / str(os.getpid())).touch()
    time.sleep(600)


if __name__ == "__main__":  # a program of its own, to be interrupted or killed
    import together

    launch(2, "cpu", getattr(together, sys.argv[1]), Path(sys.argv[2]))
