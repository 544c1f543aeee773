"""Fine-tuning with the Hugging Face Trainer: LoRA or all weights, the best checkpoint by validation WER, resumable.

Checkpoints stand in a work folder that the graph does not know, under a fingerprint of everything that decides the
result. A killed run goes on from the last of them; a change of data or params starts afresh.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, set_seed

from attune.checkpoints import Checkpoint, quietly
from attune.dataset import Sounds
from attune.errors import TrainingError
from attune.finetuning.families import Example, Family, family_of
from attune.finetuning.methods import prepared, trainable_share
from attune.finetuning.resuming import last_whole_checkpoint
from attune.finetuning.trainer import Features, WerTrainer, arguments, precision_of
from attune.params import TrainParams

_FEW_POSITIONS = 512


@dataclass(frozen=True)
class TrainingReport:
    """What fine-tuning did; the defaults are those of no training at all. WERs are fractions on the validation split."""

    trained_utterances: int = 0
    validation_utterances: int = 0
    steps: int = 0
    trainable_share: float = 0.0
    wer_before: float | None = None
    """None where there is no validation split."""
    wer_after: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Selected utterances that this family cannot learn, by reason."""
    losses: tuple[tuple[int, float], ...] = ()
    """Step, and the mean training loss since the step before it."""
    validation_wers: tuple[tuple[int, float], ...] = ()
    """Step, and the WER at it, from before the first step on."""

    def metrics(self) -> dict[str, Any]:
        """Everything but the curves, for `metrics/train.json`."""
        content = {k: v for k, v in dataclasses.asdict(self).items() if k not in ("losses", "validation_wers")}
        return {"validation_" + k if k.startswith("wer") else k: v for k, v in content.items()}

    def verdict(self) -> str:
        """How validation WER changed, in words."""
        if self.wer_before is None or self.wer_after is None:
            return "there is no validation split, so the last checkpoint was kept"
        worse = ", so it hears these WORSE than the base did" if self.wer_after > self.wer_before else ""
        return f"validation WER {self.wer_before:.2%} -> {self.wer_after:.2%}{worse}"


def finetune(
    checkpoint: Checkpoint,
    train: Sequence[Example],
    validation: Sequence[Example],
    sounds: Sounds,
    params: TrainParams,
    language: str | None,
    folder: Path,
    work: Path,
    device: str = "cpu",
) -> TrainingReport:
    """Trains `checkpoint` on `device` (cpu or cuda) and writes `folder/lora_adapters` (PEFT) or `folder/model`.

    Raises TrainingError when no example can be learned, when the loss is not finite, or when LoRA finds no layer.
    """
    set_seed(params.seed)
    family = family_of(checkpoint.family, checkpoint.model, checkpoint.processor, language)
    learnable, dropped = _learnable(train, family)
    if not learnable:
        raise TrainingError(f"none of the {len(train)} selected utterances can be trained on: {dropped}")
    validation = sorted(validation, key=lambda example: example.id)[: params.validation_utterances]  # ids are hashes
    _choose_attention(checkpoint.model, params, device, max(family.positions(e.duration_s) for e in learnable))
    model = prepared(checkpoint.model, family, params, device)
    home = work / _fingerprint(checkpoint, learnable, validation, params, language, device)
    trainer = WerTrainer(
        model,
        arguments(params, home, len(learnable), bool(validation), device),
        params,
        family=family,
        features=Features(family, sounds),
        learnable=learnable,
        validation=validation,
    )
    report = replace(_train(trainer, params, home), trainable_share=trainable_share(model), dropped=dropped)
    _save(trainer.model, checkpoint, params.method, folder)
    shutil.rmtree(home, ignore_errors=True)
    return report


def _train(trainer: WerTrainer, params: TrainParams, home: Path) -> TrainingReport:
    """Trains, from the last checkpoint in `home` if there is one, and measures before and after."""
    validated = bool(trainer.validation)
    if validated:
        trainer.add_callback(EarlyStoppingCallback(params.patience))
    before = trainer.validation_wer() if validated else None
    trainer.train(resume_from_checkpoint=last_whole_checkpoint(home))
    return TrainingReport(
        trained_utterances=len(trainer.learnable),
        validation_utterances=len(trainer.validation),
        steps=trainer.state.global_step,
        wer_before=before,
        wer_after=trainer.state.best_metric if validated else None,  # that of the checkpoint which is loaded again at the end
        losses=tuple(_logged(trainer, "loss")),
        validation_wers=(*([] if before is None else [(0, before)]), *_logged(trainer, "eval_wer")),
    )


def _learnable(examples: Sequence[Example], family: Family) -> tuple[list[Example], dict[str, int]]:
    kept, dropped = [], dict[str, int]()
    for example in examples:
        refusal = family.refusal(example, family.labels(example.text))
        if refusal is None:
            kept.append(example)
        else:
            dropped[refusal] = dropped.get(refusal, 0) + 1
    return kept, dropped


def _choose_attention(model: Any, params: TrainParams, device: str, positions: int) -> None:
    """Plain matrix products for short clips in bfloat16 on a CPU, where a step with torch's fused attention takes longer."""
    if device == "cpu" and precision_of(params, device) == "bfloat16" and positions <= _FEW_POSITIONS:
        model.set_attn_implementation("eager")


def _fingerprint(
    checkpoint: Checkpoint,
    train: Sequence[Example],
    validation: Sequence[Example],
    params: TrainParams,
    language: str | None,
    device: str,
) -> str:
    """Sixteen hex digits that change whenever the finished weights would."""
    data = [repr(list(train)), repr(list(validation))]
    parts = [checkpoint.digest, params.model_dump_json(), *data, language, device, torch.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _save(model: Any, checkpoint: Checkpoint, method: str, folder: Path) -> None:
    target = folder / ("model" if method == "full" else "lora_adapters")
    with quietly():
        model.save_pretrained(target)
        checkpoint.processor.save_pretrained(target)
    for weights in target.glob("*.safetensors"):
        weights.chmod(0o644)


def _logged(trainer: WerTrainer, name: str) -> list[tuple[int, float]]:
    return [(int(entry["step"]), float(entry[name])) for entry in trainer.state.log_history if name in entry]
