"""What training will take, told before it starts: memory, and the disk for its checkpoints and its result.

Too little disk is an error then, not hours later. Too little memory is only told: batches are halved where it runs out. The time
follows after some steps, see `estimating`.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import send_to_device

from attune.devices import free_memory_mb
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
    learning_mb: float
    """Gradients and optimizer states of what learns."""
    activations_mb: float
    checkpoint_mb: float
    result_mb: float

    @property
    def memory_mb(self) -> float:
        return self.weights_mb + self.learning_mb + self.activations_mb

    @property
    def checkpoints_mb(self) -> float:
        return _CHECKPOINTS * self.checkpoint_mb


def foresee(model: Any, lesson: Lesson, params: TrainParams, device: str) -> Needs:
    """Of a step with `params.batch_size` of the longest utterances. The model, on its device already, stays as it is."""
    family = lesson.family
    longest = lesson.features.of(max(lesson.learnable, key=lambda e: (e.duration_s, e.id)))
    labels = max((family.labels(e.text) for e in lesson.learnable), key=len)
    precision = precision_of(params, device)
    one, two = (activations_mb(model, family.collate([(longest, labels)] * count), precision) for count in (1, 2))
    kept = two + (params.batch_size - 2) * (two - one)  # some blocks, such as weights cast to bfloat16, are kept once
    weights, learning = _megabytes(model.parameters()), _megabytes(p for p in model.parameters() if p.requires_grad)
    saved = weights if params.method == "full" else learning
    return Needs(
        weights_mb=weights,
        learning_mb=(1 + _ADAM_COPIES) * learning,
        activations_mb=kept / 2 if params.gradient_checkpointing else kept,
        checkpoint_mb=saved + _ADAM_COPIES * learning + _BESIDES_MB,
        result_mb=saved + _BESIDES_MB,
    )


def activations_mb(model: Any, batch: Mapping[str, torch.Tensor], precision: str) -> float:
    """What a forward pass keeps for the backward one, counted as torch puts it aside: each block of memory once, no weights."""
    known = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept = dict[int, int]()

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    device = next(model.parameters()).device
    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)
    with _untouched(model), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            loss = model(**send_to_device(dict(batch), device)).loss
        total = sum(kept.values())  # while the graph lives, so that no block is counted for another
    del loss
    return total / 1e6


def tell(need: Needs, batch_size: int, home: Path, result: Path, device: str) -> None:
    """Writes it in a sentence. Raises EnvironmentFault where a disk has too little room for checkpoints in `home` or `result`."""
    _require_disk(need, home, result)
    free_mb = free_memory_mb(device)
    room = "" if free_mb is None else f" of {_size(free_mb)} free"
    short = free_mb is not None and need.memory_mb > free_mb
    write(
        f"Training takes about {_size(need.memory_mb)} of memory{room} (weights {_size(need.weights_mb)}, gradients and "
        f"optimizer {_size(need.learning_mb)}, activations of {batch_size} utterances {_size(need.activations_mb)}) and up to "
        f"{_size(need.checkpoints_mb + need.result_mb)} of disk of {_size(_free_mb(home))} free"
        + ("; where memory runs out, batches are halved\n" if short else "\n"),
        err=True,
    )


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
    """Random states and the model's mode stay as they were: training must not depend on having been measured."""
    was_training = model.training
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        model.eval()
        try:
            yield
        finally:
            model.train(was_training)


def _megabytes(parameters: Any) -> float:
    return sum(float(p.numel() * p.element_size()) for p in parameters) / 1e6


def _free_mb(place: Path) -> float:
    return shutil.disk_usage(_standing(place)).free / 1e6


def _size(mb: float) -> str:
    return f"{mb / 1000:.1f} GB" if mb >= 1000 else f"{mb:.0f} MB"


def _standing(path: Path) -> Path:
    """The path itself or the nearest folder above it that exists."""
    return next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
