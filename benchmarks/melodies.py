"""Clips to measure speed on, and models of published shapes that are sure of what they hear in them.

Random weights compute as fast as learnt ones, but are never sure: the two likeliest tokens lie so near that any rounding turns
one text into another, which no learnt model does. So these models learn a little: the encoder stays as it was drawn, and what
comes after it learns to name the notes (CTC) or the key (Whisper) of simple tunes, in about a minute.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 16_000
KEYS = 3
_NOTE = RATE_HZ // 10
_LOWEST_HZ, _HIGHEST_HZ = 150.0, 3500.0
SCALE_HZ = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, 2 * KEYS)
"""Each key has two notes of its own."""
Samples = NDArray[np.float32]


def make_clips(folder: Path, count: int) -> None:
    """Tunes in noise, 1 to 15 s, in all keys, so that no two are alike."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, length_s in enumerate(rng.uniform(1, 15, count)):
        samples, _ = tune(number % KEYS, float(length_s), rng)
        soundfile.write(folder / f"{number:04d}.wav", samples, RATE_HZ)


def tune(key: int, length_s: float, rng: np.random.Generator) -> tuple[Samples, NDArray[np.int64]]:
    """Samples, and which note of the scale each of them belongs to."""
    size = int(length_s * RATE_HZ)
    notes = np.repeat(2 * key + rng.integers(0, 2, size // _NOTE + 1), _NOTE)[:size]
    tones = 0.3 * np.sin(2 * np.pi * np.cumsum(SCALE_HZ[notes]) / RATE_HZ)
    return (tones + 0.05 * rng.standard_normal(size)).astype(np.float32), notes


def teach_notes(model: Any, extractor: Any, letters: Sequence[int]) -> None:
    """Has a CTC model write a letter of its own for each note: its output layer is fitted to the frames of some tunes."""
    import torch

    states, notes = [], []
    for samples, played in _tunes(4):
        values = extractor(samples, sampling_rate=RATE_HZ, return_tensors="pt").input_values
        with torch.no_grad():
            states.append(model.wav2vec2(values).last_hidden_state[0])
        middles = (np.arange(len(states[-1])) + 0.5) * samples.size / len(states[-1])
        notes += [letters[note] for note in played[middles.astype(int)]]
    model.lm_head.weight.data, model.lm_head.bias.data = _fitted(torch.cat(states), notes, model.config.vocab_size)


def teach_keys(model: Any, extractor: Any, prompt: Sequence[int], words: Sequence[Sequence[int]], count: int) -> None:
    """Has a Whisper-class model say words by the key that it hears, `count` of them in turns: its output layer, no longer tied to
    the embeddings, is fitted to what the decoder makes of some tunes."""
    import torch

    for layer in model.model.decoder.layers:
        layer.encoder_attn.out_proj.weight.data *= _LISTENING
    sentences = [[some[n % len(some)] for n in range(count)] for some in words]
    states, said = [], []
    for number, (samples, _) in enumerate(_tunes(32)):
        sentence = sentences[number % KEYS]
        features = extractor(samples, sampling_rate=RATE_HZ, return_tensors="pt").input_features
        with torch.no_grad():
            given = torch.tensor([[*prompt, *sentence[:-1]]])
            heard = model.model(input_features=features, decoder_input_ids=given).last_hidden_state[0, len(prompt) - 1 :]
        states += [heard[:1]] * _FIRST + [heard]
        said += [sentence[0]] * _FIRST + sentence
    weight, _ = _fitted(torch.cat(states), said, model.config.vocab_size, centred=False)
    model.config.tie_word_embeddings = False
    model.proj_out.weight = torch.nn.Parameter(weight)


_SURE = 20.0
"""Logits between what is right and everything else."""
_LISTENING = 10.0
"""So many times as much as drawn does the sound count for the decoder."""
_FIRST = 100
"""So many times does the first word count, which depends on the sound alone."""


def _tunes(each: int) -> Iterator[tuple[Samples, NDArray[np.int64]]]:
    """So many in each key, one key after the other; most are short, as little sound in a long window is hardest to tell."""
    rng = np.random.default_rng(1)
    for number in range(each):
        for key in range(KEYS):
            yield tune(key, float(rng.uniform(1, 3 if number % 3 else 15)), rng)


def _fitted(states: Any, right: Sequence[int], size: int, *, centred: bool = True) -> tuple[Any, Any]:
    """Weight and bias of a layer from `states` to `size` logits, by least squares."""
    import torch

    known = sorted(set(right))
    rows = states.double()
    wanted = torch.nn.functional.one_hot(torch.tensor([known.index(each) for each in right]), len(known)).double()
    middle, mean = (rows.mean(0), wanted.mean(0)) if centred else (torch.zeros_like(rows[0]), torch.zeros_like(wanted[0]))
    near = rows - middle
    ridge = 1e-4 * (near**2).sum() / near.shape[1] * torch.eye(near.shape[1]).double()
    learnt = torch.linalg.solve(near.T @ near + ridge, near.T @ (wanted - mean))
    weight, bias = torch.zeros(size, near.shape[1]), torch.full((size,), -_SURE)
    weight[known], bias[known] = _SURE * learnt.T.float(), _SURE * (mean - middle @ learnt).float()
    return weight, bias
