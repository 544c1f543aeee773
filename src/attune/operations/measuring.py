"""What hearing with an exported model takes: each hears in a process of its own, so that none pays for another."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from attune.dataset import Samples
from attune.devices import choose_device, free_memory_mb, memory_growths_mb, peak_memory_mb
from attune.errors import EnvironmentFault
from attune.export.parity import parity_set
from attune.operations.choosing import Clips
from attune.operations.hearing import open_on_engine
from attune.operations.released import Release
from attune.params import ModelParams, Params
from attune.recognizers.registry import default_batch_s
from attune.recognizers.transcription import SoundSource, hear_batches
from attune.records import Utterance

_CLIPS = 32
"""At most so many are heard."""


@dataclass(frozen=True)
class Cost:
    """Of one model on some clips; they are heard in batches, as `attune transcribe` hears them."""

    real_time_factor: float
    """Seconds of work for a second of sound, the model open and the first clip heard before."""
    clips: int
    audio_s: float
    open_s: float
    """Until the first clip was heard."""
    memory_mb: float | None
    """What opening the model and hearing took at most on top of the libraries; None where the system does not tell."""
    peak_memory_mb: float
    """Of the whole process, libraries and all."""
    gpu_memory_mb: float | None
    """What it took of a GPU; None without one."""


def measure_all(
    folder: Path, released: Release, utterances: Sequence[Utterance], sounds: SoundSource, params: Params
) -> dict[str, Cost]:
    """By the name of each export in `folder`, on some of the utterances that parity was proven on."""
    some = parity_set(utterances, params.convert_ct2.parity_utterances)
    return {v.name: measure(folder / released.folder_of(v), params.model, some, sounds) for v in released.variants}


def measure(folder: Path, params: ModelParams, utterances: Sequence[Utterance], sounds: SoundSource) -> Cost:
    """Of the exported model in `folder`, on some of the utterances, of all lengths. Raises EnvironmentFault if it is killed."""
    some = Clips(utterances, sounds, 1, word_times=False).some().utterances
    some = some[:: -(-len(some) // _CLIPS)]
    clips = {u.id: sounds[u.id] for u in some}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        try:
            return process.submit(_cost, folder, params, some, clips).result()
        except BrokenProcessPool as error:
            raise EnvironmentFault(
                f"the process that was hearing with {folder} was ended from outside, as happens where memory runs out; free "
                "some, or set model.batch_s lower"
            ) from error


@dataclass
class _Run:
    """One hearing, noted while it goes on."""

    open_s: float = 0.0
    wall_s: float = 0.0
    free_gpu_mb: float | None = None
    """While the model was still open."""


def _cost(folder: Path, params: ModelParams, utterances: Sequence[Utterance], clips: Mapping[str, Samples]) -> Cost:
    device, run = choose_device(params.device), _Run()
    free_mb = free_memory_mb("cuda") if device == "cuda" else None
    grown = memory_growths_mb([partial(_hear, folder, params, utterances, clips, run)], "cpu")
    audio_s = sum(u.duration_s for u in utterances)
    return Cost(
        real_time_factor=run.wall_s / audio_s,
        clips=len(utterances),
        audio_s=audio_s,
        open_s=run.open_s,
        memory_mb=None if grown is None else grown[0],
        peak_memory_mb=peak_memory_mb("cpu"),
        gpu_memory_mb=None if free_mb is None or run.free_gpu_mb is None else free_mb - run.free_gpu_mb,
    )


def _hear(folder: Path, params: ModelParams, utterances: Sequence[Utterance], clips: Mapping[str, Samples], run: _Run) -> None:
    begin_s, device = time.perf_counter(), choose_device(params.device)
    recognizer = open_on_engine(str(folder), params)
    recognizer.transcribe([clips[utterances[0].id]])
    run.open_s = time.perf_counter() - begin_s
    batch_s = params.batch_s or default_batch_s(device, recognizer.family)
    for _ in hear_batches(recognizer, utterances, clips, batch_s, 1, word_times=False):
        pass
    run.wall_s = time.perf_counter() - begin_s - run.open_s
    run.free_gpu_mb = free_memory_mb("cuda") if device == "cuda" else None
