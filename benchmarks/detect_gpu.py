"""A model of the shape of Qwen2-Audio-7B with random weights on a GPU: does it load in 4 bits, score, and take QLoRA steps?

    python benchmarks/detect_gpu.py                    needs about 20 GB of disk and of GPU memory
    python benchmarks/detect_gpu.py --device cpu --small   the same with a few weights, to see that it runs

Prints seconds to load, clips a second by scoring in batches, how long generating takes beside it, seconds a step, and the GPU's
peak memory after each. Nothing is asserted, and nothing is learnt of random weights.
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

from detect_scoring import compare, ways_of
from detect_shapes import LARGE, SMALL, make

from attune.devices import peak_memory_mb
from attune.finetuning.families import Example
from attune.finetuning.training import finetune
from attune.params import load_params
from attune.tasks.speech_detection.parts.hearing import Detector
from attune.tasks.speech_detection.parts.opening import open_model, open_to_train, prompting_of, setup_of
from attune.tasks.speech_detection.train.family import LANGUAGE_MODEL, label_family

_CLIPS, _STEPS, _CLIP_S = 64, 4, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        weights = make(base, arguments.device, SMALL if arguments.small else LARGE)
        print(f"{weights / 1e9:.3f} G weights, in {sum(f.stat().st_size for f in base.glob('*.safetensors')) / 1e9:.2f} GB")
        params = load_params(ROOT / "params.yaml")
        detection = params.model.detection.model_copy(update={"quantized": "4bit"})
        model = params.model.model_copy(
            update={"name": str(base), "device": arguments.device, "precision": "auto", "detection": detection}
        )
        clips = {f"u{n}": _clip(n) for n in range(_CLIPS)}
        _score(model, list(clips.values()))
        _learn(params, model, clips, arguments.device, Path(folder))


def _score(model: Any, clips: list[Any]) -> None:
    setup = setup_of(model)
    begin_s = time.perf_counter()
    checkpoint = open_model(model.name, model, setup)
    detector, prompting = Detector(checkpoint, model, setup), prompting_of(checkpoint, model)
    print(f"loaded and tested in {time.perf_counter() - begin_s:.1f} s ({setup}); peak {peak_memory_mb(setup.device):.0f} MB")
    for size in (1, 8, 16):
        detector.transcribe(clips[:size])
        begin_s = time.perf_counter()
        for start in range(0, len(clips), size):
            detector.transcribe(clips[start : start + size])
        seconds = time.perf_counter() - begin_s
        print(f"  scoring in batches of {size}: {len(clips) / seconds:.2f} clips/s; peak {peak_memory_mb(setup.device):.0f} MB")
    compare([[prompting.features(clip) for clip in clips[:size]]], ways_of(checkpoint.model, prompting), 3)


def _learn(params: Any, model: Any, clips: dict[str, Any], device: str, folder: Path) -> None:
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    lora = params.train.lora.model_copy(update={"rank": 16, "alpha": 32, "targets": LANGUAGE_MODEL})
    quiet = params.train.augmentation.model_copy(update={"speed": 0.0})
    wanted = {
        "method": "qlora",
        "part": "both",
        "lora": lora,
        "epochs": 1,
        "batch_size": 4,
        "accumulation": 4,
        "augmentation": quiet,
    }
    train = params.train.model_copy(update=wanted)
    names = list(clips)[: 16 * _STEPS]
    examples = [Example(name, "SPEECH" if n % 2 else "NONSPEECH", _CLIP_S) for n, name in enumerate(names)]
    family = partial(label_family, model.detection)
    begin_s = time.perf_counter()
    checkpoint = open_to_train(model, whole=False)
    report = finetune(checkpoint, examples, [], clips, train, None, folder / "tuned", folder / "work", device, make_family=family)
    told = f"{report.steps} QLoRA steps of 16 clips in {time.perf_counter() - begin_s:.1f} s with loading"
    print(
        f"{told}; losses {[round(loss, 3) for _, loss in report.losses]}; peak {peak_memory_mb(device):.0f} MB; {report.timing}"
    )


def _clip(seed: int) -> Any:
    count = round(_CLIP_S * 16_000)
    tone = 0.3 * np.sin(2 * np.pi * (100 + 20 * seed) * np.arange(count) / 16_000)
    return (tone + 0.05 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


if __name__ == "__main__":
    main()
