"""Makes the tiny detector of the demo; its school are voices and noises of the demo, others than those of its clips."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from attune.demo.grammar import sentences
from attune.demo.pool import make_pool
from attune.demo.sounds import noises
from attune.files import whole_folder
from attune.finetuning.tiny_detector import LESSON_S, Batch, model, processor, save, school
from attune.operations.crossing import mixed
from attune.progress import track

_BATCH = 32
_SPOKEN = 160
_NOISE_S = 30.0
_SNR_DB = (-5.0, 25.0)
_CONTENT_S = (0.25, 1.0)
Samples = NDArray[np.float32]


def make_detector(folder: Path, steps: int, seed: int) -> str:
    """Writes the checkpoint to `folder`, which it replaces, and returns what it is in a sentence. The same seed, the same bytes
    in a fresh process with one thread."""
    torch.set_num_threads(1)
    made = processor([next(sentences("everyday", number)) for number in range(40)])  # in which labels are spelt letter by letter
    learner = model(made, seed)
    kinds = _kinds(seed)
    share = school(learner, made, track(_batches(kinds, steps, seed), "schooling the audio tower", steps), len(kinds))
    with whole_folder(folder) as draft:
        save(learner, made, draft)
    weights = sum(p.numel() for p in learner.parameters())
    return f"{weights / 1e6:.2f} M weights; its audio tower tells {share:.0%} of {len(kinds)} kinds of sounds apart"


def _kinds(seed: int) -> list[list[Samples]]:
    """Recordings of each kind of sound; speech first."""
    spoken = [recording.samples.astype(np.float32) / 32768.0 for recording in make_pool(_SPOKEN, seed)]
    return [spoken, *noises(_NOISE_S, 3, seed + 1000).values()]


def _batches(kinds: list[list[Samples]], steps: int, seed: int) -> Iterator[Batch]:
    """Half of each batch is speech."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        numbers = [0 if rng.random() < 0.5 else int(rng.integers(1, len(kinds))) for _ in range(_BATCH)]
        yield [_clip(kinds, number, rng) for number in numbers], numbers


def _clip(kinds: list[list[Samples]], number: int, rng: np.random.Generator) -> Samples:
    content_s = float(rng.uniform(*_CONTENT_S))
    beds = kinds[int(rng.integers(1, len(kinds)))]
    content, bed = (some[int(rng.integers(len(some)))] for some in (kinds[number], beds))
    padding_s = float(rng.uniform(0.0, LESSON_S - content_s))
    return mixed(content, bed, float(rng.uniform(*_SNR_DB)), content_s, padding_s, rng)
