"""What training will take, told before it starts: memory, and the disk for its checkpoints and its result.

Too little disk is an error then, not hours later. Too little memory is only told: batches are halved where it runs out. The time
follows after some steps, see `estimating`.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import send_to_device

from attune.devices import free_memory_mb, memory_growths_mb
from attune.errors import EnvironmentFault
from attune.finetuning.lessons import Lesson
from attune.finetuning.trainer import precision_of
from attune.params import TrainParams
from attune.progress import write

_CHECKPOINTS = 3
"""The best, the last, and the one that is being written before the one in between is removed (save_total_limit 2)."""
_BESIDES_MB = 8.0
"""Tokenizer, settings, cards and random states."""
_ADAM_COPIES = 2
"""Running means of the gradient and of its square (Kingma and Ba, 2015), in float32."""


@dataclass(frozen=True)
class Needs:
    """Megabytes."""

    weights_mb: float
    optimizer_mb: float
    step_mb: float | None
    """What a step takes on top: activations, gradients and what is only needed for a moment. None where it cannot be told."""
    checkpoint_mb: float
    result_mb: float

    @property
    def memory_mb(self) -> float | None:
        return None if self.step_mb is None else self.weights_mb + self.optimizer_mb + self.step_mb

    @property
    def checkpoints_mb(self) -> float:
        return _CHECKPOINTS * self.checkpoint_mb


def foresee(model: Any, lesson: Lesson, params: TrainParams, device: str) -> Needs:
    """Of steps with `params.batch_size` of the longest utterances, from two smaller ones that are tried.

    The model, on its device already, stays as it is.
    """
    longest = lesson.features.of(max(lesson.learnable, key=lambda e: (e.duration_s, e.id)))
    labels = max((lesson.features.family.labels(e.text) for e in lesson.learnable), key=len)
    batches = [lesson.features.family.collate([(longest, labels)] * count) for count in (1, 2)]
    weights, learning = _megabytes(model.parameters()), _megabytes(p for p in model.parameters() if p.requires_grad)
    saved = weights if params.method == "full" else learning
    return Needs(
        weights_mb=weights,
        optimizer_mb=_ADAM_COPIES * learning,
        step_mb=_step_mb(model, batches, params, device),
        checkpoint_mb=saved + _ADAM_COPIES * learning + _BESIDES_MB,
        result_mb=saved + _BESIDES_MB,
    )


def _step_mb(model: Any, batches: Sequence[Mapping[str, torch.Tensor]], params: TrainParams, device: str) -> float | None:
    """Each more takes as much as the second did on top of the first."""
    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision_of(params, device))

    def step(batch: Mapping[str, torch.Tensor]) -> None:
        with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
            loss = model(**send_to_device(dict(batch), device)).loss
        loss.backward()
        model.zero_grad()

    tried = batches[: params.batch_size]
    with _untouched(model):
        grown = memory_growths_mb([partial(step, batch) for batch in tried], device)
    if grown is None:
        return None
    more = max(grown[-1] - grown[0], 0.0)
    whole = grown[0] + (params.batch_size - 1) * more
    return whole / 2 if params.gradient_checkpointing else whole


def tell(need: Needs, batch_size: int, home: Path, result: Path, device: str) -> None:
    """Writes it in a sentence. Raises EnvironmentFault where a disk has too little room for checkpoints in `home` or `result`."""
    _require_disk(need, home, result)
    write(
        f"{_memory(need, batch_size, device)}, and up to {_size(need.checkpoints_mb + need.result_mb)} of disk "
        f"of {_size(_free_mb(home))} free\n",
        err=True,
    )


def _memory(need: Needs, batch_size: int, device: str) -> str:
    if need.memory_mb is None or need.step_mb is None:
        return "Training takes memory that cannot be told here"
    free_mb = free_memory_mb(device)
    room = "" if free_mb is None else f" of {_size(free_mb)} free"
    short = " (where it runs out, batches are halved)" if free_mb is not None and need.memory_mb > free_mb else ""
    parts = (
        f"weights {_size(need.weights_mb)}, optimizer {_size(need.optimizer_mb)}, {batch_size} utterances {_size(need.step_mb)}"
    )
    return f"Training takes about {_size(need.memory_mb)} of memory{room}{short}: {parts}"


def _require_disk(need: Needs, home: Path, result: Path) -> None:
    there_mb = sum(file.stat().st_size for file in home.rglob("*") if file.is_file()) / 1e6 if home.is_dir() else 0.0
    checkpoints_mb = max(need.checkpoint_mb, need.checkpoints_mb - there_mb)  # one is written before another goes
    together = _standing(home).stat().st_dev == _standing(result).stat().st_dev
    wanted = {home: checkpoints_mb + (need.result_mb if together else 0.0), **({} if together else {result: need.result_mb})}
    for place, wanted_mb in wanted.items():
        if _free_mb(place) < wanted_mb:
            raise EnvironmentFault(
                f"training would fill the disk of {place}: {_size(_free_mb(place))} are free, and it takes up to "
                f"{_size(wanted_mb)} ({_CHECKPOINTS} checkpoints of {_size(need.checkpoint_mb)}, a result of "
                f"{_size(need.result_mb)}); make room there, or learn less: train.method lora, a smaller train.lora.rank"
            )


@contextmanager
def _untouched(model: Any) -> Iterator[None]:
    """Random states, running means, gradients and the model's mode stay as they were: training must not depend on a trial.

    In training's own mode, as dropout takes much of the memory.
    """
    was_training, buffers = model.training, {name: buffer.clone() for name, buffer in model.named_buffers()}
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        model.train()
        try:
            yield
        finally:
            model.train(was_training)
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def _megabytes(parameters: Any) -> float:
    return sum(float(p.numel() * p.element_size()) for p in parameters) / 1e6


def _free_mb(place: Path) -> float:
    return shutil.disk_usage(_standing(place)).free / 1e6


def _size(mb: float) -> str:
    return f"{mb / 1000:.1f} GB" if mb >= 1000 else f"{mb:.0f} MB"


def _standing(path: Path) -> Path:
    """The path itself or the nearest folder above it that exists."""
    return next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
