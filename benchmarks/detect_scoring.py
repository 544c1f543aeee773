"""Scoring both labels in one pass against generating the answer token by token, with the same model in the same run.

    python benchmarks/detect_scoring.py MODEL CLIPS     a model of the class with its processor, and a folder of wav files
    python benchmarks/detect_scoring.py MODEL CLIPS --threads 2     of one, which others on the machine disturb least

The peer is plain transformers: `generate`, with its cache of keys and values, for as many tokens as the longer label has. Both
have the same batches, of clips of like length as the stages make them, and features that are made already but where it says
otherwise; they take turns batch by batch, and the sum of each batch's best of several rounds is printed. Of the model given in
its own window, which as in published models of the class is 30 s, and in one no longer than the clips. For Qwen2-Audio-7B, which
is too large to run here, operations are counted instead, of one layer of its widths and of two, from which those of 32 follow.
Nothing is asserted.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen2AudioProcessor, WhisperFeatureExtractor

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

from detect_shapes import LARGE, make

from attune.audio import read_audio
from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.params import load_params
from attune.tasks.speech_detection.parts.opening import Setup, open_model, prompting_of
from attune.tasks.speech_detection.parts.prompting import Prompting
from attune.tasks.speech_detection.parts.scoring import log_probs, of_features, start_of

_BATCH, _CLIPS, _SHORT_S, _COUNTED = 16, 96, 2, 2
Ways = Mapping[str, Callable[[Any], object]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tell_speed(arguments.model, arguments.clips)


def tell_speed(folder: Path, clips: Path) -> None:
    """Prints clips a second by each way, for each model and window."""
    sounds = _sounds(clips)
    shortest, longest = len(sounds[0]) / SAMPLE_RATE_HZ, len(sounds[-1]) / SAMPLE_RATE_HZ
    print(f"{len(sounds)} clips of {shortest:g} to {longest:g} s, {torch.get_num_threads()} threads")
    params = load_params(ROOT / "params.yaml").model
    model, prompting = _opened(folder, params)
    own_s = prompting.processor.feature_extractor.chunk_length
    print(f"the model in its own window of {own_s} s, {_told(prompting)}")
    said = log_probs(model, prompting, sounds)
    _compare_both(model, prompting, sounds, 2)
    print("  the same one by one, with features made each time:")
    compare(_batches(sounds, 1), _ways_from_sound(model, prompting, params.detection.question), 2)
    prompting = _narrowed(model, prompting, params.detection.question)
    apart = np.abs(log_probs(model, prompting, sounds) - said).max()
    print(f"the same in a window of {_SHORT_S} s (log-probabilities at most {apart:.1g} apart, as its end may be the clip's)")
    _compare_both(model, prompting, sounds, 7)
    for seconds in (1, 2):
        _tell_operations(seconds, params)


def ways_of(model: Any, prompting: Prompting) -> Ways:
    """Both ways, of features."""
    start, device = start_of(model, prompting), model.device

    def generate(rows: Any) -> Any:
        batch = prompting.batch(rows, whole=True)
        return _generated(model, prompting, {name: tensor.to(device) for name, tensor in batch.items()})

    return {"scoring": lambda rows: of_features(model, prompting, rows, start), "generating": generate}


def compare(batches: Sequence[Any], ways: Ways, rounds: int) -> None:
    """Prints clips a second of each way, by the best of `rounds` for each batch after one to warm up, and how they compare."""
    took_s = {name: np.full((rounds + 1, len(batches)), np.inf) for name in ways}
    with torch.inference_mode():
        for count in range(rounds + 1):
            for place, batch in enumerate(batches):
                for name, way in ways.items():
                    begin_s = time.perf_counter()
                    way(batch)  # both end with the answer on the CPU, or in a check for its end: nothing runs on
                    took_s[name][count, place] = time.perf_counter() - begin_s
    clips, (scoring, generating) = sum(map(len, batches)), (each[1:].min(0).sum() for each in took_s.values())
    print(
        f"  {len(batches[0]):2} at once: scoring {clips / scoring:7.2f} clips/s, generating {clips / generating:7.2f}: "
        f"{generating / scoring:.2f} times as long"
    )


def _tell_operations(seconds: int, params: Any) -> None:
    """What both ways compute for a clip with the shape of 7B; that each token generated reads all weights again is not in it."""
    one, two = (_operations(layers, seconds, params) for layers in (1, 2))
    scoring, generating = one + (LARGE.language_model["num_hidden_layers"] - 1) * (two - one)
    told = f"scoring {scoring / 1e12:.2f}, generating {generating / 1e12:.2f} trillion operations"
    print(f"7B, a clip of {seconds} s: {told}: {generating / scoring:.2f} times as many")


def _operations(layers: int, seconds: int, params: Any) -> NDArray[np.float64]:
    """Of both ways, a clip."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), "cpu", LARGE.of_layers(layers))
        model, prompting = _opened(Path(folder), params, torch.bfloat16)
    hiss = 0.1 * np.random.default_rng(0).standard_normal(seconds * SAMPLE_RATE_HZ)
    counted = []
    for way in ways_of(model, prompting).values():
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            way([prompting.features(hiss.astype(np.float32))] * _COUNTED)
        counted.append(counter.get_total_flops() / _COUNTED)
    return np.array(counted)


def _compare_both(model: Any, prompting: Prompting, sounds: Sequence[Samples], rounds: int) -> None:
    rows = [prompting.features(clip) for clip in sounds]
    for size in (_BATCH, 1):
        compare(_batches(rows, size), ways_of(model, prompting), rounds if size > 1 else 2)


def _sounds(folder: Path) -> list[Samples]:
    """Some clips of all that are there, by length."""
    files = sorted(folder.rglob("*.wav"))
    return sorted((read_audio(file) for file in random.Random(0).sample(files, min(_CLIPS, len(files)))), key=len)


def _opened(folder: Path, params: Any, dtype: torch.dtype = torch.float32) -> tuple[Any, Prompting]:
    checkpoint = open_model(str(folder), params, Setup("cpu", dtype, False))
    return checkpoint.model, prompting_of(checkpoint, params)


def _told(prompting: Prompting) -> str:
    bare = len(prompting.batch([prompting.features(np.zeros(1, np.float32))])["input_ids"][0]) - 2
    labels = " and ".join(str(len(label)) for label in prompting.labels)
    return f"prompts of {bare} tokens without the sound, {len(prompting.start)} of them before it, labels of {labels}"


def _narrowed(model: Any, prompting: Prompting, question: str) -> Prompting:
    """Leaves the model the positions that the clips reach."""
    tower, old = model.model.audio_tower, prompting.processor
    own = old.feature_extractor
    tower.config.max_source_positions = tower.config.max_source_positions * _SHORT_S // own.chunk_length
    kept = tower.embed_positions.weight[: tower.config.max_source_positions]
    tower.embed_positions = torch.nn.Embedding.from_pretrained(kept)
    extractor = WhisperFeatureExtractor(own.feature_size, hop_length=own.hop_length, chunk_length=_SHORT_S, n_fft=own.n_fft)
    return Prompting(Qwen2AudioProcessor(extractor, old.tokenizer, chat_template=old.chat_template), question, _SHORT_S)


def _ways_from_sound(model: Any, prompting: Prompting, question: str) -> Ways:
    """As the processor and `generate` are called in published use, a clip at a time."""
    start, processor = start_of(model, prompting), prompting.processor
    asked = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": question}]
    text = processor.apply_chat_template([{"role": "user", "content": asked}], add_generation_prompt=True, tokenize=False)

    def generate(clips: Any) -> Any:
        batch = processor(text=text, audio=clips, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        return _generated(model, prompting, batch)

    return {"scoring": lambda clips: log_probs(model, prompting, clips, start), "generating": generate}


def _generated(model: Any, prompting: Prompting, batch: Any) -> Any:
    return model.generate(**batch, max_new_tokens=max(map(len, prompting.labels)), do_sample=False)


def _batches(rows: Sequence[Any], size: int) -> list[Any]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


if __name__ == "__main__":
    main()
