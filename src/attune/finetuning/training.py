"""Fine-tuning with the Hugging Face Trainer: LoRA or all weights, the best checkpoint by validation WER, resumable.

Checkpoints stand in a work folder that the graph does not know, under a fingerprint of everything that decides the
result. A killed run goes on from the last of them; a change of data or params starts afresh.
"""

import dataclasses
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, set_seed

from attune.checkpoints import Checkpoint, quietly
from attune.dataset import Sounds
from attune.devices import free_memory, is_memory
from attune.errors import EnvironmentFault, TrainingError
from attune.finetuning.estimating import Estimate
from attune.finetuning.families import Example, Family, family_of
from attune.finetuning.frozen import hear_once, with_frozen_front
from attune.finetuning.interpolating import keep
from attune.finetuning.methods import prepared, trainable_share
from attune.finetuning.resuming import SaveOnInterrupt, last_whole_checkpoint, owned
from attune.finetuning.trainer import Features, WerTrainer, arguments, evaluations, precision_of
from attune.params import TrainParams

_LOG = logging.getLogger(__name__)
_FEW_POSITIONS = 512


@dataclass(frozen=True)
class TrainingReport:
    """What fine-tuning did; the defaults are those of no training at all. WERs are fractions on the validation split."""

    trained_utterances: int = 0
    validation_utterances: int = 0
    steps: int = 0
    batch_size: int = 0
    """Utterances at once, after what memory allowed; `accumulation` times that make a step."""
    accumulation: int = 0
    trainable_share: float = 0.0
    kept_learnt: float = 1.0
    """How much of what was learnt is in the result, see `train.keep_learnt`."""
    wer_before: float | None = None
    """None where there is no validation split."""
    wer_after: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Selected utterances that this family cannot learn, by reason."""
    losses: tuple[tuple[int, float], ...] = ()
    """Step, and the mean training loss since the step before it."""
    validation_wers: tuple[tuple[int, float], ...] = ()
    """Step, and the WER at it, from before the first step on."""
    timing: Mapping[str, float | None] = field(default_factory=dict)
    """Minutes, speed, memory and energy, which differ from run to run."""

    def metrics(self) -> dict[str, Any]:
        """Everything but the curves and the times, for `metrics/train.json`."""
        content = {k: v for k, v in dataclasses.asdict(self).items() if k not in ("losses", "validation_wers", "timing")}
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
    family = with_frozen_front(family, model, checkpoint.digest, params, device)
    home = work / _fingerprint(checkpoint, learnable, validation, params, language, device)
    with owned(home):
        trainer, report = _fitting(model, family, sounds, learnable, validation, params, home, device)
        report = replace(report, trainable_share=trainable_share(model), dropped=dropped)
        _save(trainer.model, checkpoint, params.method, folder)
        shutil.rmtree(home, ignore_errors=True)  # still the owner: nobody can have begun there
    return report


def _fitting(
    model: Any,
    family: Family,
    sounds: Sounds,
    learnable: Sequence[Example],
    validation: Sequence[Example],
    params: TrainParams,
    home: Path,
    device: str,
) -> tuple[WerTrainer, TrainingReport]:
    """Trains with as many utterances a step as memory allows: where it runs out, half as many and twice the accumulation.

    Raises EnvironmentFault where one utterance is too much.
    """
    learning = {name: p.detach().clone().cpu() for name, p in model.named_parameters() if p.requires_grad}
    features = Features(family, sounds)
    hear_once(features, family, learnable)
    while True:
        settings = arguments(params, home, len(learnable), bool(validation), device)
        trainer = WerTrainer(
            model, settings, params, family=family, features=features, learnable=learnable, validation=validation
        )
        try:
            report = _train(trainer, params, home)
            return trainer, replace(report, **keep(trainer, learning, params.keep_learnt))
        except (RuntimeError, MemoryError) as error:
            if not is_memory(error):
                raise
            if params.batch_size == 1:
                raise EnvironmentFault(
                    "memory does not suffice to train on one utterance at a time; set train.gradient_checkpointing to true, "
                    "train.method to lora or qlora, or take a smaller model"
                ) from error
        half = params.batch_size // 2
        _LOG.warning("Memory ran out with %d utterances at once; going on with %d, and as many a step.", params.batch_size, half)
        params = params.model_copy(update={"batch_size": half, "accumulation": params.accumulation * params.batch_size // half})
        model.load_state_dict(learning, strict=False)
        del trainer
        free_memory()


def _train(trainer: WerTrainer, params: TrainParams, home: Path) -> TrainingReport:
    """Trains, from the last checkpoint in `home` if there is one, and measures before and after."""
    validated = bool(trainer.validation)
    if validated:
        trainer.add_callback(EarlyStoppingCallback(params.patience))
    begin_s = time.monotonic()
    before = trainer.validation_wer() if validated else None
    estimate = Estimate(time.monotonic() - begin_s, evaluations(params) if validated else 0)
    interrupt = SaveOnInterrupt()
    for callback in (estimate, interrupt):
        trainer.add_callback(callback)
    with interrupt.watching():
        trainer.train(resume_from_checkpoint=last_whole_checkpoint(home))
    return TrainingReport(
        trained_utterances=len(trainer.learnable),
        validation_utterances=len(trainer.validation),
        steps=trainer.state.global_step,
        batch_size=params.batch_size,
        accumulation=params.accumulation,
        wer_before=before,
        wer_after=trainer.state.best_metric if validated else None,  # that of the checkpoint which is loaded again at the end
        losses=tuple(_logged(trainer, "loss")),
        validation_wers=(*([] if before is None else [(0, before)]), *_logged(trainer, "eval_wer")),
        timing={**estimate.figures(), **trainer.costs.figures()},
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
