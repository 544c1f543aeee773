"""`attune demo pretrain`: makes the two models that ship with Attune, in fixed steps from fixed seeds."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attune.demo.pool import Distorter, Spoken, make_pool

Kind = Literal["whisper", "ctc"]

_POOL_SIZE = 20_000
_SILENT_SHARE = 0.03
_SEED = 1


def pretrain(kind: Kind, folder: Path, work: Path, steps: int, threads: int) -> None:
    """Trains the tiny model of one family into `folder`; checkpoints stand in `work`, from which a killed run goes on."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    import torch

    from attune.finetuning import pretraining

    torch.set_num_threads(threads)
    pool = list(make_pool(_POOL_SIZE, _SEED))
    draw = _draw_from(pool)
    if kind == "whisper":
        schedule = pretraining.Schedule(steps=steps, batch_size=16, learning_rate=1.5e-3, seed=_SEED)
        pretraining.pretrain_whisper(draw, [s.text for s in pool], schedule, folder, work)
    else:
        schedule = pretraining.Schedule(steps=steps, batch_size=16, learning_rate=1.5e-3, seed=_SEED)
        pretraining.pretrain_ctc(draw, schedule, folder, work)


def _draw_from(pool: list[Spoken]) -> Callable[[int], tuple[NDArray[np.float32], str, float, float]]:
    distort = Distorter(pool, _SEED)

    def draw(number: int) -> tuple[NDArray[np.float32], str, float, float]:
        rng = np.random.default_rng((_SEED, number))
        if rng.random() < _SILENT_SHARE:
            return distort.silence(rng), "", 0.0, 0.0
        spoken = pool[int(rng.integers(len(pool)))]
        samples, start_s, end_s = distort(spoken, rng)
        return samples, spoken.text, start_s, end_s

    return draw
