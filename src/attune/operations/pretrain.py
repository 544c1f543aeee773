"""`attune demo pretrain`: makes the two models that ship with Attune, in fixed steps from fixed seeds, and measures them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attune import scoring
from attune.demo.pool import Distorter, Spoken, make_pool
from attune.files import write_text
from attune.params import GREEDY, NO_QUESTION, ModelParams

Kind = Literal["whisper", "ctc"]

_POOL_SIZE = 20_000
_SILENT_SHARE = 0.03
_SEED = 1
_TEST_SEED, _TEST_SIZE = 3, 400  # with seed 2 the rounds below were chosen
_ROUNDS: dict[Kind, tuple[tuple[int, float], ...]] = {
    "whisper": ((13000, 1.5e-3),),
    "ctc": ((11000, 1.5e-3), (10000, 1.2e-3), (4000, 8e-4), (4000, 8e-4)),
}
"""Steps and peak learning rate of each round."""
_AVERAGED: dict[Kind, int] = {"whisper": 1, "ctc": 3}
"""Of how many last rounds the mean is taken."""
_ARCHITECTURES = {
    "whisper": "Whisper-class encoder-decoder, 2.0 M parameters, 5 s window, English, with timestamp tokens",
    "ctc": "Wav2Vec2-BERT encoder with a CTC head over letters, 2.0 M parameters, English",
}


def pretrain(kind: Kind, folder: Path, work: Path, threads: int) -> str:
    """Trains the tiny model of one family into `folder`, writes its card, and returns the result in a sentence.

    Checkpoints stand in `work`; a killed run goes on from the last of them.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch

    from attune.finetuning import pretraining

    torch.set_num_threads(threads)
    pool = list(make_pool(_POOL_SIZE, _SEED))
    rounds = tuple(pretraining.Round(*part) for part in _ROUNDS[kind])
    schedule = pretraining.Schedule(rounds, averaged=_AVERAGED[kind], batch_size=16, seed=_SEED)
    if kind == "whisper":
        pretraining.pretrain_whisper(_draw_from(pool), [s.text for s in pool], schedule, folder, work)
    else:
        pretraining.pretrain_ctc(_draw_from(pool), schedule, folder, work)
    return describe(kind, folder)


def describe(kind: Kind, folder: Path) -> str:
    """Measures the model in `folder` on sentences that were never trained on and writes its card."""
    clean, distorted = _held_out_wer(folder)
    rounds = ", ".join(f"{steps} at {rate:g}" for steps, rate in _ROUNDS[kind])
    if _AVERAGED[kind] > 1:
        rounds += f"; the mean of the last {_AVERAGED[kind]} rounds"
    write_text(folder / "README.md", _CARD.format(kind=kind, what=_ARCHITECTURES[kind], rounds=rounds, size=_TEST_SIZE,
                                                  pool=_POOL_SIZE, seed=_SEED, clean=clean, distorted=distorted))  # fmt: skip
    return f"{folder}: held-out WER {clean:.2%} clean, {distorted:.2%} in noise and echo"


def _held_out_wer(folder: Path) -> tuple[float, float]:
    """Pooled WER on held-out sentences in the voices of the pool: as spoken, and distorted as in training."""
    from attune.recognizers.registry import open_recognizer

    model = ModelParams(
        name=str(folder),
        folder=folder,
        revision=None,
        language=None,
        task="transcribe",
        long_audio="pauses",
        safeguards=GREEDY,
        device="cpu",
        engine="transformers",
        precision="float32",
        batch_s=80.0,
        detection=NO_QUESTION,
    )
    recognizer = open_recognizer(str(folder), model)
    spoken = list(make_pool(_TEST_SIZE, _TEST_SEED, held_out=True))
    distort = Distorter(spoken, _TEST_SEED)
    clean = [np.pad(s.samples / np.float32(32768), 1600).astype(np.float32) for s in spoken]
    distorted = [distort(s, np.random.default_rng(n))[0] for n, s in enumerate(spoken)]
    rates = []
    for clips in (clean, distorted):
        heard = recognizer.transcribe(clips)
        words, _ = scoring.pool(scoring.score(s.text, s.text, h.text) for s, h in zip(spoken, heard, strict=True))
        rates.append(words.rate)
    return rates[0], rates[1]


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


_CARD = """---
license: apache-2.0
language: en
pipeline_tag: automatic-speech-recognition
---
# Attune tiny {kind}

{what}.
It exists so that Attune's whole graph runs in minutes on a laptop, without a download. It is a toy for synthetic voices and a
small vocabulary, not a recogniser of people.

- **Made by** `attune demo pretrain {kind}`, steps at learning rate:
  {rounds}.
  Batches of 16 clips, AdamW, 8% warm-up, cosine, seed {seed}, bfloat16 autocast, one CPU thread. No weights of another model
  went in. Another processor rounds otherwise, so a rerun gives an equal model, not the same bytes.
- **Made on** {pool} recordings by eSpeak NG in 4 accents x 45 timbres at many speeds and pitches: half of them sentences of
  the `everyday` grammar (`src/attune/demo/grammar.py`: home, clinic, commands, numbers), three in ten unrelated common words,
  two in ten digit strings; heard anew in every step through echo, telephone bands, microphones and noise at 12-40 dB; 3% of
  the examples hold no speech. A tenth of the sentences, by a hash of the text, was never trained on.
- **Result** on {size} sentences of that tenth, in the same accents and timbres: WER {clean:.2%} as spoken, {distorted:.2%}
  distorted like the training data.
- **Limits**: about nine hundred words; the voices are synthetic; other accents, other words and real rooms raise the WER steeply.
  That is what the demo fine-tunes away.
"""
