"""What fine-tuning costs, in four parts; each prints figures, nothing is asserted.

    python benchmarks/train.py ctc [--clips 48] [--layers 12] [--brief]     wav2vec2-base shape, clips of 1 to 15 s
    python benchmarks/train.py whisper [--shape whisper-tiny] [--clips 16]     Whisper's shape, 40 tokens a clip
    python benchmarks/train.py methods --project DIR [--methods lora dora]  LoRA, DoRA, full on the demo, a Markdown table
    python benchmarks/train.py demo --project DIR                              error of the time estimate, share of computing

The first two have random weights of the published shape and train adapters of rank 8. Their peer is what transformers'
example scripts do: random batches of 8, padded to the longest (Whisper: to 30 s), float32, the whole model in each step.
`--layers` makes a smaller CTC model, `--epochs` makes longer curves, `--brief` leaves out all but the peer and Attune. DIR is a
project that ran up to select_errors (`attune demo corpus`, `dvc repro select_errors`). Each run is a process of its own with all
cores, and loading is not counted; seconds of the processor stand beside those of the clock, for machines that are not idle.
Uses a GPU when there is one.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from melodies import RATE_HZ, make_clips
from transcribe import make_model

ROOT = Path(__file__).resolve().parents[1]
BATCH, RATE, RANK = 8, 1e-3, 8
_LETTERS, _HEARD_ALONE = 5, 16
_OFF = {"speed": 0.0, "gain_db": 0.0, "equalizer_db": 0.0, "noise_snr_db": None, "spec_augment": 0.0}
METHODS = {
    "lora": {"train.method": "lora"},
    "lora, decoder": {"train.method": "lora", "train.part": "decoder"},
    "dora": {"train.method": "lora", "train.lora.variant": "dora"},
    "full": {"train.method": "full", "train.learning_rate.full": 3e-4},  # tiny models take ten times a full-sized one's rate
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["ctc", "whisper", "methods", "demo"])
    parser.add_argument("--shape", choices=["whisper-tiny", "whisper-base"], default="whisper-tiny")
    parser.add_argument("--clips", type=int)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--project", type=Path)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--child", nargs=2, metavar=("RUN", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run, folder = arguments.child
        print(json.dumps(_RUN[run](Path(folder), arguments)))
    elif arguments.part in ("methods", "demo"):
        if arguments.project is None:
            parser.error("--project is needed: a project that ran up to select_errors")
        (_methods if arguments.part == "methods" else _demo)(arguments.project.resolve(), arguments.methods)
    else:
        with tempfile.TemporaryDirectory() as name:
            {"ctc": _ctc, "whisper": _whisper}[arguments.part](Path(name), arguments)


def _ctc(folder: Path, arguments: argparse.Namespace) -> None:
    _lay_out(folder, "wav2vec2-base", arguments.clips or 48, arguments.layers)
    peer = _child("peer", folder)
    _print("example script's way", peer, peer)
    if not arguments.brief:
        _print("the same, bfloat16", _child("peer-bf16", folder), peer)
    first = _child("ours", folder)
    _print("attune, first run", first, peer, f"{first['once_s']:.1f} s for the front end, once")
    if arguments.brief:
        return
    _print("attune, later run", _child("ours", folder), peer, "front end from the cache")
    _print("attune, voices changed", _child("ours-varied", folder), peer, "front end in each step")


def _whisper(folder: Path, arguments: argparse.Namespace) -> None:
    _lay_out(folder, arguments.shape, arguments.clips or 16)
    peer = _child("peer", folder)
    _print("plain recipe, adapters in both", peer, peer)
    _print("attune, adapters in both", _child("ours", folder), peer)
    _print("attune, both, clips packed", _child("ours-packed", folder), peer, "as if one person had said them all")
    first = _child("ours-decoder", folder)
    _print("attune, decoder only", first, peer, f"{first['once_s']:.1f} s for the encoder, once")
    _print("attune, decoder only, later run", _child("ours-decoder", folder), peer, "states from the cache")


def _print(name: str, run: dict[str, Any], peer: dict[str, Any], what: str = "") -> None:
    speed, cpu = (run["samples"] / run[k] for k in ("wall_s", "cpu_s"))
    other, other_cpu = (peer["samples"] / peer[k] for k in ("wall_s", "cpu_s"))
    print(
        f"{name:32} {speed:7.3f} samples/s {speed / other:6.2f} x; by processor time {cpu / other_cpu:6.2f} x; "
        f"{run['peak_mb']:6.0f} MB; {what}"
    )
    curve = " ".join(f"{loss:.2f}" for loss in run["losses"])
    print(f"    loss {curve}; afterwards, each clip alone: {run['alone']:.3f}")
    sys.stdout.flush()


def _lay_out(folder: Path, shape: str, clips: int, layers: int = 12) -> None:
    """Random weights in `folder/model`, clips in `folder/clips`."""
    make_clips(folder / "clips", clips)
    make_model(folder / "model", shape, 40, taught=False)
    config = json.loads((folder / "model" / "config.json").read_text())
    if layers != config.get("num_hidden_layers", layers):
        from transformers import AutoConfig, AutoModelForCTC

        smaller = AutoConfig.from_pretrained(folder / "model", num_hidden_layers=layers)
        AutoModelForCTC.from_config(smaller).save_pretrained(folder / "model")
        config["num_hidden_layers"] = layers
    calm = dict.fromkeys((k for k in config if k.endswith("dropout") or k == "layerdrop"), 0.0)  # as the example scripts set them
    (folder / "model" / "config.json").write_text(json.dumps(config | calm | {"ctc_loss_reduction": "mean"}))


_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}
"""As the stage `train` has it; the peer has torch's own way, as a script has."""


def _child(run: str, folder: Path) -> dict[str, Any]:
    waiting = _WAITING if run.startswith("ours") else {}
    environment = {**os.environ, "OMP_NUM_THREADS": str(os.cpu_count()), "ATTUNE_CACHE": str(folder / "cache"),
                   "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", **waiting}  # fmt: skip
    command = [sys.executable, __file__, *sys.argv[1:], "--child", run, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{run} failed:\n{done.stderr[-3000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _sounds(folder: Path) -> dict[str, Any]:
    import soundfile

    return {file.stem: soundfile.read(file, dtype="float32")[0] for file in sorted((folder / "clips").iterdir())}


def _examples(sounds: dict[str, Any]) -> list[Any]:
    """As many words as fit: about two a second, of random letters; the same ones in each process."""
    from attune.finetuning.families import Example

    rng = np.random.default_rng(1)
    vocabulary = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), _LETTERS)) for _ in range(200)]
    lengths_s = {name: len(clip) / RATE_HZ for name, clip in sounds.items()}
    texts = {name: " ".join(rng.choice(vocabulary, max(1, int(1.5 * length_s)))) for name, length_s in lengths_s.items()}
    return [Example(name, texts[name], lengths_s[name]) for name in sounds]


def _ours(
    folder: Path, arguments: argparse.Namespace, *, part: str = "both", varied: bool = False, packed: bool = False
) -> dict[str, Any]:
    from attune.checkpoints import load_checkpoint
    from attune.devices import choose_device, peak_memory_mb, reuse_freed_memory
    from attune.finetuning import training
    from attune.params import load_params

    reuse_freed_memory()
    params = load_params(ROOT / "params.yaml").train
    lora = params.lora.model_copy(update={"rank": RANK, "alpha": 2 * RANK})
    off = _OFF | ({"speed": 0.1} if varied else {})
    epochs = arguments.epochs or 1
    changed = {
        "part": part, "lora": lora, "batch_size": BATCH, "epochs": epochs, "accumulation": 1, "keep_learnt": 1.0,
        "method": "lora", "learning_rate": params.learning_rate.model_copy(update={"lora": RATE}),
        "augmentation": params.augmentation.model_copy(update=off), "evaluations_per_epoch": 1.0, "precision": "auto",
        "gradient_checkpointing": False,
        "whisper": params.whisper.model_copy(update={"timestamps_share": 0.0, "packing": packed}),
    }  # fmt: skip
    sounds = _sounds(folder)
    examples = [replace(example, speaker="one") for example in _examples(sounds)]
    spent, once = _Clock(), _Clock()
    plain_train, plain_once = training._train, training.hear_once
    training._train = lambda *given: spent.during(lambda: plain_train(*given))
    training.hear_once = lambda *given: once.during(lambda: plain_once(*given))
    with tempfile.TemporaryDirectory() as work:
        report = training.finetune(
            load_checkpoint(str(folder / "model"), None), examples, [], sounds, params.model_copy(update=changed), None,
            Path(work) / "out", Path(work) / "work", choose_device("auto"),
        )  # fmt: skip
        peak_mb = peak_memory_mb(choose_device("auto"))
        alone = _alone(load_checkpoint(str(Path(work) / "out" / "lora_adapters"), None).model, folder)
    return {
        "samples": report.trained_utterances * epochs, "wall_s": spent.wall_s, "cpu_s": spent.cpu_s, "once_s": once.wall_s,
        "peak_mb": peak_mb, "losses": [loss for _, loss in report.losses], "alone": alone,
    }  # fmt: skip


def _peer(folder: Path, arguments: argparse.Namespace, *, bf16: bool = False) -> dict[str, Any]:
    """`run_speech_recognition_ctc.py` and `run_speech_recognition_seq2seq.py` of transformers, with PEFT."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCTC, Seq2SeqTrainer, Seq2SeqTrainingArguments, WhisperForConditionalGeneration

    from attune.checkpoints import load_checkpoint
    from attune.devices import peak_memory_mb
    from attune.finetuning.families import family_of

    torch.manual_seed(42)
    checkpoint, sounds = load_checkpoint(str(folder / "model"), None), _sounds(folder)
    opened = WhisperForConditionalGeneration if checkpoint.family == "whisper" else AutoModelForCTC
    model = opened.from_pretrained(folder / "model", dtype=torch.float32)
    model.config.apply_spec_augment = False
    family = family_of(checkpoint.family, model, checkpoint.processor, None)
    if checkpoint.family == "ctc":
        model.freeze_feature_encoder()
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=family.adapted_layers))
    rows = [(family.features(sounds[e.id]), family.labels(e.text)) for e in _examples(sounds)]
    epochs = arguments.epochs or 1
    with tempfile.TemporaryDirectory() as work:
        settings = Seq2SeqTrainingArguments(
            output_dir=work, per_device_train_batch_size=BATCH, num_train_epochs=epochs, learning_rate=RATE, warmup_steps=0.1,
            use_cpu=not torch.cuda.is_available(), bf16=bf16, logging_steps=max(1, len(rows) // BATCH // 4), save_strategy="no",
            remove_unused_columns=False, disable_tqdm=True, seed=42,
        )  # fmt: skip
        trainer = Seq2SeqTrainer(model, settings, data_collator=family.collate, train_dataset=rows)
        spent = _Clock()
        spent.during(trainer.train)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    peak_mb = peak_memory_mb(device)
    return {"samples": len(rows) * epochs, "wall_s": spent.wall_s, "cpu_s": spent.cpu_s, "peak_mb": peak_mb,
            "losses": losses, "alone": _alone(model, folder)}  # fmt: skip


def _alone(model: Any, folder: Path) -> float:
    """Mean loss of the clips after training, each heard alone: padding has no part in it, as it has in curves of the peer."""
    import torch

    from attune.checkpoints import load_checkpoint
    from attune.finetuning.families import family_of

    checkpoint, sounds = load_checkpoint(str(folder / "model"), None), _sounds(folder)
    family = family_of(checkpoint.family, checkpoint.model, checkpoint.processor, None)
    heard = [{k: v.to(model.device) for k, v in family.collate([(family.features(sounds[e.id]), family.labels(e.text))]).items()}
             for e in _examples(sounds)[:_HEARD_ALONE]]  # fmt: skip
    with torch.no_grad():
        return float(np.mean([float(model.eval()(**clip).loss) for clip in heard]))


class _Clock:
    """Seconds of the clock and of this process's processor time."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0

    def during(self, work: Callable[[], Any]) -> Any:
        wall_s, cpu_s = time.perf_counter(), _processor_s()
        try:
            return work()
        finally:
            self.wall_s += time.perf_counter() - wall_s
            self.cpu_s += _processor_s() - cpu_s


def _processor_s() -> float:
    """Loaders count too, once they have ended."""
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _methods(project: Path, names: Iterable[str]) -> None:
    """A train and an evaluate stage for each method, in folders beside the project's own."""
    print(
        "| method | minutes | samples/s | peak memory, MB | learning | result, MB | WER before | after |",
        "|---" * 8 + "|",
        sep="\n",
    )
    for name in names:
        figures = _stages(project, METHODS[name])
        train, timing, scores = (figures[k] for k in ("train", "timing", "evaluate"))
        print(
            f"| {name} | {timing['training_minutes']:.1f} | {timing['samples_per_s']:.1f} | {timing['peak_memory_mb']:.0f} | "
            f"{train['trainable_share']:.1%} | {figures['size_mb']:.1f} | {scores['base_wer']:.2%} | {scores['tuned_wer']:.2%} |"
        )
        sys.stdout.flush()


def _demo(project: Path, names: Iterable[str]) -> None:  # noqa: ARG001
    timing = _stages(project, {}, evaluate=False)["timing"]
    for key in ("estimated_minutes", "training_minutes", "estimate_error", "compute_share", "samples_per_s", "energy_wh"):
        print(f"  {key:20} {timing[key]}")


def _stages(project: Path, changed: dict[str, Any], *, evaluate: bool = True) -> dict[str, Any]:
    import yaml

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        params = yaml.safe_load((project / "params.yaml").read_text())
        for key, value in changed.items():
            *sections, last = key.split(".")
            section = params
            for part in sections:
                section = section[part]
            section[last] = value
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        given = f"--prepared data/prepared --finetuned {folder}/finetuned --params {folder}/params.yaml"
        given += f" --loss-plot {folder}/l.csv --wer-plot {folder}/w.csv"
        _stage(project, f"train --selected data/selected --work {folder}/work --live {folder}/live "
               f"--metrics {folder}/train.json --timing {folder}/timing.json {given}")  # fmt: skip
        read = {"train": "train.json", "timing": "timing.json"}
        if evaluate:
            _stage(project, f"evaluate --gold data/gold --suites {params['evaluate']['suites']['folder']} "
                   f"--glossary {params['llm_gold']['glossary']} --out-of-domain {params['train']['forgetting']['set']} "
                   f"--evaluated {folder}/evaluated --results {folder}/results.json "
                   f"--reports {folder} --plots {folder}/plots --metrics {folder}/evaluate.json --timing {folder}/t.json "
                   f"{given}")  # fmt: skip
            read["evaluate"] = "evaluate.json"
        learnt = [file.stat().st_size for file in (folder / "finetuned").rglob("*.safetensors")]
        return {**{k: json.loads((folder / file).read_text()) for k, file in read.items()}, "size_mb": sum(learnt) / 1e6}


def _stage(project: Path, command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "OMP_NUM_THREADS": str(os.cpu_count())}
    done = subprocess.run([sys.executable, "-m", *f"stages.{command}".split()], cwd=project, env=environment, capture_output=True,
                          text=True, check=False)  # fmt: skip
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


_RUN: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "peer": _peer,
    "peer-bf16": lambda folder, arguments: _peer(folder, arguments, bf16=True),
    "ours": _ours,
    "ours-decoder": lambda folder, arguments: _ours(folder, arguments, part="decoder"),
    "ours-packed": lambda folder, arguments: _ours(folder, arguments, packed=True),
    "ours-varied": lambda folder, arguments: _ours(folder, arguments, varied=True),
}

if __name__ == "__main__":
    main()
