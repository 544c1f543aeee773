"""Fine-tuning with the Hugging Face Trainer: LoRA or all weights, the best checkpoint by validation WER, resumable.

Checkpoints stand in a work folder that the graph does not know, under a fingerprint of everything that decides the
result. A killed run goes on from the last of them; a change of data or params starts afresh.
"""

import dataclasses
import hashlib
import json
import math
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from transformers import EarlyStoppingCallback, ProgressCallback, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from attune import scoring
from attune.checkpoints import Checkpoint, quietly
from attune.dataset import Sounds
from attune.errors import TrainingError
from attune.finetuning.families import Example, Family, family_of
from attune.params import TrainParams

_RECOGNISED_AT_ONCE = 32
_FEATURE_BYTES = 1 << 30


@dataclass(frozen=True)
class CurvePoint:
    """One line of the training curve; a value is None where that step did not measure it."""

    step: int
    loss: float | None
    validation_wer: float | None


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
    curve: tuple[CurvePoint, ...] = ()

    def metrics(self) -> dict[str, Any]:
        """Everything but the curve, for `metrics/train.json`."""
        content = dataclasses.asdict(self)
        del content["curve"]
        return {"validation_" + k if k.startswith("wer") else k: v for k, v in content.items()}

    def curve_rows(self) -> list[dict[str, float | None]]:
        """The curve as rows of a table."""
        return [dataclasses.asdict(point) for point in self.curve]

    def verdict(self) -> str:
        """How validation WER changed, in words."""
        if self.wer_before is None or self.wer_after is None:
            return "there is no validation split, so the last checkpoint was kept"
        return f"validation WER {self.wer_before:.2%} -> {self.wer_after:.2%}"


def finetune(
    checkpoint: Checkpoint,
    train: Sequence[Example],
    validation: Sequence[Example],
    sounds: Sounds,
    params: TrainParams,
    language: str | None,
    folder: Path,
    work: Path,
) -> TrainingReport:
    """Trains `checkpoint` and writes `folder/lora_adapters` (PEFT) or `folder/model`.

    Raises TrainingError when no example can be learned, when the loss is not finite, or when LoRA finds no layer.
    """
    set_seed(params.seed)
    family = family_of(checkpoint.family, checkpoint.model, checkpoint.processor, language)
    learnable, dropped = _learnable(train, family)
    if not learnable:
        raise TrainingError(f"none of the {len(train)} selected utterances can be trained on: {dropped}")
    model = _adapted(checkpoint.model, family, params)
    home = work / _fingerprint(checkpoint, learnable, validation, params)
    trainer = _WerTrainer(
        model,
        _arguments(params, home, len(learnable), bool(validation)),
        family=family,
        features=_Features(family, sounds),
        learnable=learnable,
        validation=validation,
    )
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(_Bar())
    if validation:
        trainer.add_callback(EarlyStoppingCallback(params.patience))
    before = trainer.validation_wer() if validation else None
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(home)) if home.exists() else None)
    after = trainer.validation_wer() if validation else None
    _save(trainer.model, checkpoint, params.method, folder)
    shutil.rmtree(home, ignore_errors=True)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    return TrainingReport(
        trained_utterances=len(learnable),
        validation_utterances=len(validation),
        steps=trainer.state.global_step,
        trainable_share=trainable / total,
        wer_before=before,
        wer_after=after,
        dropped=dropped,
        curve=(CurvePoint(0, None, before), *_curve(trainer.state.log_history)),
    )


class _Bar(ProgressCallback):
    """A bar with an ETA, and a sentence for each validation in place of the Trainer's dictionaries."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        if self.training_bar is not None and "eval_wer" in logs:
            self.training_bar.write(f"step {state.global_step}: validation WER {logs['eval_wer']:.2%}", file=sys.stderr)


class _Features:
    """Features and labels by example, kept once computed as long as they fit into memory."""

    def __init__(self, family: Family, sounds: Sounds) -> None:
        self._family, self._sounds = family, sounds
        self._kept: dict[str, NDArray[np.float32]] = {}
        self._free_bytes = _FEATURE_BYTES

    def of(self, example: Example) -> NDArray[np.float32]:
        if example.id in self._kept:
            return self._kept[example.id]
        features = self._family.features(self._sounds[example.id])
        if features.nbytes <= self._free_bytes:
            self._kept[example.id] = features
            self._free_bytes -= features.nbytes
        return features


class _WerTrainer(Trainer):
    """A Trainer whose evaluation recognises the validation clips and pools their word errors."""

    def __init__(
        self,
        model: Any,
        arguments: TrainingArguments,
        *,
        family: Family,
        features: _Features,
        learnable: Sequence[Example],
        validation: Sequence[Example],
    ) -> None:
        self._family, self._features, self._validation = family, features, validation
        super().__init__(
            model,
            arguments,
            data_collator=self._collate,
            train_dataset=list(learnable),
            eval_dataset=list(validation),
        )

    def validation_wer(self) -> float:
        """Pooled WER of the model as it is now, a fraction."""
        model: Any = self.model
        model.eval()
        ordered = sorted(self._validation, key=lambda e: (e.duration_s, e.id))
        scores = []
        with torch.no_grad(), quietly():
            for start in range(0, len(ordered), _RECOGNISED_AT_ONCE):
                batch = ordered[start : start + _RECOGNISED_AT_ONCE]
                texts = self._family.recognize(model, [self._features.of(e) for e in batch])
                scores += [scoring.score(e.id, e.text, text) for e, text in zip(batch, texts, strict=True)]
        words, _ = scoring.pool(scores)
        return words.rate

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """The validation WER as `eval_wer`, which the best checkpoint is chosen by."""
        metrics = {"eval_wer": self.validation_wer()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def log(self, logs: dict[str, float], *rest: Any, **more: Any) -> None:
        """Stops at a loss that is not finite: what follows would only be noise, and the last good checkpoint stands."""
        if not math.isfinite(logs.get("loss", 0.0)):
            raise TrainingError(f"the loss became {logs['loss']} at step {self.state.global_step}; lower train.learning_rate")
        super().log(logs, *rest, **more)

    def _collate(self, examples: Sequence[Example]) -> Any:
        return self._family.collate([(self._features.of(e), self._family.labels(e.text)) for e in examples])


def _learnable(examples: Sequence[Example], family: Family) -> tuple[list[Example], dict[str, int]]:
    kept, dropped = [], dict[str, int]()
    for example in examples:
        refusal = family.refusal(example, family.labels(example.text))
        if refusal is None:
            kept.append(example)
        else:
            dropped[refusal] = dropped.get(refusal, 0) + 1
    return kept, dropped


def _adapted(model: Any, family: Family, params: TrainParams) -> Any:
    model.config.apply_spec_augment = False
    if params.method == "full":
        if hasattr(model, "freeze_feature_encoder"):
            model.freeze_feature_encoder()
        return model
    if not any(re.fullmatch(family.adapted_layers, name) for name, _ in model.named_modules()):
        raise TrainingError(f"LoRA finds none of its layers ({family.adapted_layers}) in this {type(model).__name__}")
    lora = params.lora
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=family.adapted_layers)
    with quietly():
        return get_peft_model(model, config)


def _arguments(params: TrainParams, home: Path, examples: int, validated: bool) -> TrainingArguments:
    on_gpu = torch.cuda.is_available()
    precision = _precision(params.precision, on_gpu)
    steps_per_epoch = max(1, math.ceil(examples / (params.batch_size * params.accumulation)))
    every = max(1, math.ceil(steps_per_epoch / params.evaluations_per_epoch))
    return TrainingArguments(
        output_dir=str(home),
        num_train_epochs=params.epochs,
        per_device_train_batch_size=params.batch_size,
        gradient_accumulation_steps=params.accumulation,
        learning_rate=params.learning_rate.lora if params.method == "lora" else params.learning_rate.full,
        warmup_steps=params.warmup_share,
        weight_decay=params.weight_decay,
        lr_scheduler_type="linear",
        max_grad_norm=1.0,
        seed=params.seed,
        use_cpu=not on_gpu,
        bf16=precision == "bfloat16",
        fp16=precision == "float16",
        eval_strategy="steps" if validated else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=validated,
        metric_for_best_model="eval_wer" if validated else None,
        greater_is_better=False if validated else None,
        logging_steps=max(1, every // 4),
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        report_to=[],
    )


def _precision(wanted: str, on_gpu: bool) -> str:
    if wanted == "float16" and not on_gpu:
        raise TrainingError("train.precision is float16, which a CPU cannot train in; use auto, bfloat16 or float32")
    if wanted != "auto":
        return wanted
    native = torch.cuda.is_bf16_supported() if on_gpu else torch.cpu._is_avx512_bf16_supported()
    return "bfloat16" if native else "float32"


def _fingerprint(checkpoint: Checkpoint, train: Sequence[Example], validation: Sequence[Example], params: TrainParams) -> str:
    """Sixteen hex digits that change whenever the finished weights would."""
    parts = [checkpoint.digest, params.model_dump_json(), repr(list(train)), repr(list(validation)), torch.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _save(model: Any, checkpoint: Checkpoint, method: str, folder: Path) -> None:
    target = folder / ("lora_adapters" if method == "lora" else "model")
    with quietly():
        model.save_pretrained(target)
        checkpoint.processor.save_pretrained(target)
    for weights in target.glob("*.safetensors"):
        weights.chmod(0o644)


def _curve(history: Sequence[Mapping[str, Any]]) -> list[CurvePoint]:
    return [CurvePoint(int(h["step"]), h.get("loss"), h.get("eval_wer")) for h in history if "loss" in h or "eval_wer" in h]
