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
from attune.finetuning.forgetting import FORGETTING_WER, NOTHING, Forgetting, OutOfDomain, within_window
from attune.finetuning.full_disk import told_where_full
from attune.finetuning.interpolating import keep
from attune.finetuning.methods import prepared, trainable_share
from attune.finetuning.preflight import foresee, tell
from attune.finetuning.resuming import SaveOnInterrupt, last_whole_checkpoint, owned
from attune.finetuning.trainer import Features, WerTrainer, arguments, evaluations, precision_of
from attune.params import TrainParams

_LOG = logging.getLogger(__name__)
_FEW_POSITIONS = 512
_NOT_METRICS = ("losses", "validation_wers", "forgetting_wers", "timing")


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
    forgetting_utterances: int = 0
    """Of the out-of-domain set, see `train.forgetting`."""
    forgetting_wer_before: float | None = None
    forgetting_wer_after: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Selected utterances that this family cannot learn, by reason."""
    losses: tuple[tuple[int, float], ...] = ()
    """Step, and the mean training loss since the step before it."""
    validation_wers: tuple[tuple[int, float], ...] = ()
    """Step, and the WER at it, from before the first step on."""
    forgetting_wers: tuple[tuple[int, float], ...] = ()
    """The same on the out-of-domain set."""
    timing: Mapping[str, float | None] = field(default_factory=dict)
    """Minutes, and the megabytes that were foreseen: they differ from run to run."""

    def metrics(self) -> dict[str, Any]:
        """Everything but the curves and the times, for `metrics/train.json`."""
        content = {k: v for k, v in dataclasses.asdict(self).items() if k not in _NOT_METRICS}
        return {"validation_" + k if k.startswith("wer") else k: v for k, v in content.items()}

    def wers_by_step(self) -> list[dict[str, float | None]]:
        """Rows of both curves; None where one was not measured."""
        validation, forgetting = dict(self.validation_wers), dict(self.forgetting_wers)
        return [
            {"step": step, "validation_wer": validation.get(step), "forgetting_wer": forgetting.get(step)}
            for step in sorted({*validation, *forgetting})
        ]

    def verdict(self) -> str:
        """How validation WER changed, in words."""
        if self.wer_before is None or self.wer_after is None:
            return "there is no validation split, so the last checkpoint was kept"
        worse = ", so it hears these WORSE than the base did" if self.wer_after > self.wer_before else ""
        return f"validation WER {self.wer_before:.2%} -> {self.wer_after:.2%}{worse}{self._forgotten()}"

    def _forgotten(self) -> str:
        if self.forgetting_wer_before is None or self.forgetting_wer_after is None:
            return ""
        return f"; out of domain {self.forgetting_wer_before:.2%} -> {self.forgetting_wer_after:.2%}"


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
    out_of_domain: OutOfDomain = NOTHING,
) -> TrainingReport:
    """Trains `checkpoint` on `device` (cpu or cuda) and writes `folder/lora_adapters` (PEFT) or `folder/model`.

    Nothing is learnt from `out_of_domain`: it is heard to see what is forgotten. Raises TrainingError when no example can be
    learned, when the loss is not finite, when LoRA finds no layer, or when more is forgotten than may be.
    """
    set_seed(params.seed)
    family = family_of(checkpoint.family, checkpoint.model, checkpoint.processor, language)
    learnable, dropped = _learnable(train, family)
    if not learnable:
        raise TrainingError(f"none of the {len(train)} selected utterances can be trained on: {dropped}")
    validation = sorted(validation, key=lambda example: example.id)[: params.validation_utterances]  # ids are hashes
    _choose_attention(checkpoint.model, params, device, max(family.positions(e.duration_s) for e in learnable))
    model = prepared(checkpoint.model, family, params, device)
    forgetting = Forgetting(within_window(out_of_domain.examples, family), params.forgetting.max_increase_points)
    home = work / _fingerprint(checkpoint, learnable, validation, params, language, device, forgetting.examples)
    with owned(home):
        trainer, report = _fitting(
            model, family, out_of_domain.beside(sounds), learnable, validation, forgetting, params, home, folder, device
        )
        report = replace(report, trainable_share=trainable_share(model), dropped=dropped)
        with told_where_full("the result", home, folder):
            _save(trainer.model, checkpoint, params.method, folder)
        shutil.rmtree(home, ignore_errors=True)  # still the owner: nobody can have begun there
    return report


def _fitting(
    model: Any,
    family: Family,
    sounds: Sounds,
    learnable: Sequence[Example],
    validation: Sequence[Example],
    forgetting: Forgetting,
    params: TrainParams,
    home: Path,
    result: Path,
    device: str,
) -> tuple[WerTrainer, TrainingReport]:
    """Trains with as many utterances a step as memory allows: where it runs out, half as many and twice the accumulation.

    Raises EnvironmentFault where one utterance is too much.
    """
    learning = {name: p.detach().clone().cpu() for name, p in model.named_parameters() if p.requires_grad}
    features = Features(family, sounds)
    while True:
        settings = arguments(params, home, len(learnable), bool(validation), device)
        trainer = WerTrainer(
            model,
            settings,
            params,
            family=family,
            features=features,
            learnable=learnable,
            validation=validation,
            forgetting=forgetting,
        )
        try:
            need = foresee(model, family, features, learnable, params, device)
            tell(need, params.batch_size, home, result, device)
            report = _train(trainer, params, home)
            report = replace(report, timing={**report.timing, "estimated_memory_mb": need.memory_mb})
            report = replace(report, **keep(trainer, learning, params.keep_learnt))
            forgetting.require_allowed(report.forgetting_wer_after, report.forgetting_wers)
            return trainer, report
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
    trainer.forgetting.before = trainer.forgetting.wer(trainer.wer_of)
    estimate = Estimate(time.monotonic() - begin_s, evaluations(params) if validated else 0)
    interrupt = SaveOnInterrupt()
    for callback in (estimate, interrupt):
        trainer.add_callback(callback)
    with interrupt.watching():
        trainer.train(resume_from_checkpoint=last_whole_checkpoint(home))
    wer_after, forgetting_after = _scores_of_the_kept(trainer)
    return TrainingReport(
        trained_utterances=len(trainer.learnable),
        validation_utterances=len(trainer.validation),
        steps=trainer.state.global_step,
        batch_size=params.batch_size,
        accumulation=params.accumulation,
        wer_before=before,
        wer_after=wer_after,
        forgetting_utterances=len(trainer.forgetting.examples),
        forgetting_wer_before=trainer.forgetting.before,
        forgetting_wer_after=forgetting_after,
        losses=tuple(_logged(trainer, "loss")),
        validation_wers=(*([] if before is None else [(0, before)]), *_logged(trainer, "eval_wer")),
        forgetting_wers=trainer.forgetting.curve(_logged(trainer, FORGETTING_WER), trainer.state.global_step, forgetting_after),
        timing=estimate.figures(),
    )


def _scores_of_the_kept(trainer: WerTrainer) -> tuple[float | None, float | None]:
    """Validation and out-of-domain WER of the weights that training ended with: the best checkpoint's, loaded again, or the
    last, where none may be chosen."""
    if trainer.state.best_model_checkpoint is None:
        wer = trainer.validation_wer() if trainer.validation else None
        return wer, trainer.forgetting.wer(trainer.wer_of)
    best_step = trainer.state.best_global_step or 0
    best = {key: dict(_logged(trainer, key)).get(best_step) for key in ("eval_wer", FORGETTING_WER)}
    return best["eval_wer"], best[FORGETTING_WER]


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
    out_of_domain: Sequence[Example] = (),
) -> str:
    """Sixteen hex digits that change whenever the finished weights would."""
    data = [repr(list(train)), repr(list(validation)), repr(list(out_of_domain))]
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
