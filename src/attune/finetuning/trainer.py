"""The Hugging Face Trainer as Attune uses it: judged by validation WER."""

import copy
import math
import multiprocessing
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import ProgressCallback, TrainingArguments

from attune import scoring
from attune.checkpoints import quietly
from attune.devices import free_memory, is_memory, quick_in_bfloat16
from attune.errors import TrainingError
from attune.finetuning import processes
from attune.finetuning.buckets import LengthBuckets
from attune.finetuning.costs import Costs
from attune.finetuning.families import Example
from attune.finetuning.forgetting import FORGETTING_WER
from attune.finetuning.guarding import UTTERANCES, GuardedTrainer
from attune.finetuning.lessons import Lesson, varies
from attune.finetuning.resuming import KeepUnloggedLoss, MarkWhole
from attune.finetuning.sharing import SharingTrainer
from attune.finetuning.timestamps import Labels
from attune.params import TrainParams

_RECOGNISED_AT_ONCE = 64
_COPIED_BYTES = 1 << 30
_LOG_EVERY_S = 10.0
_MOST_LOADERS = 4


class WerTrainer(GuardedTrainer, SharingTrainer):
    """A Trainer whose evaluation recognises the validation clips and pools their word errors."""

    def __init__(self, model: Any, arguments: TrainingArguments, params: TrainParams, lesson: Lesson) -> None:
        self.lesson, self._params = lesson, params
        self._features = lesson.features
        self._heard_at_once = _RECOGNISED_AT_ONCE
        self._labels = Labels(lesson.features.family, params.whisper.timestamps_share, params.seed)
        self._judged, self.costs = lesson.features.exact(), Costs("cpu" if arguments.use_cpu else "cuda")
        super().__init__(
            model,
            arguments,
            data_collator=self._collate,
            train_dataset=list(lesson.learnable),
            eval_dataset=list(lesson.validation),
        )
        self.remove_callback(ProgressCallback)
        self.bar = _Bar()
        self.add_callback(self.bar)
        self.add_callback(KeepUnloggedLoss(self))
        self.add_callback(MarkWhole())
        self.add_callback(self.costs)

    def validation_wer(self) -> float:
        """Pooled WER of the model as it is now, a fraction."""
        return self.wer_of(self.lesson.validation)

    def wer_of(self, examples: Sequence[Example]) -> float:
        """The same on other examples."""
        model = _merged_copy(self.model)
        model.eval()
        ordered = processes.share(sorted(examples, key=lambda e: (e.duration_s, e.id)))
        with torch.no_grad(), quietly():
            texts = self._recognized(model, ordered)
        scores = [scoring.score(e.id, e.text, text) for e, text in zip(ordered, texts, strict=True)]
        words, _ = scoring.pool(processes.gathered(scores))
        return words.rate

    def _recognized(self, model: Any, examples: Sequence[Example]) -> list[str]:
        """Where memory runs out half as many are heard at once, from then on; smaller batches to learn would not help there."""
        texts = list[str]()
        while len(texts) < len(examples):
            batch = examples[len(texts) : len(texts) + self._heard_at_once]
            try:
                texts += self._judged.family.recognize(model, [self._judged.of(e) for e in batch])
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_memory(error) or len(batch) == 1:
                    raise
            self._heard_at_once = len(batch) // 2
            free_memory()
        return texts

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """The validation WER as `eval_wer`, which the best checkpoint is chosen by; infinite where too much was forgotten."""
        metrics = {"eval_wer": self.validation_wer(), **self.lesson.forgetting.measured(self.wer_of)}
        self.log(metrics)
        metrics = self.lesson.forgetting.judged(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _load_best_model(self) -> None:
        """Without a word on weights that are tied to others, and so are in no checkpoint."""
        with quietly():
            super()._load_best_model()

    def _load_from_checkpoint(self, *given: Any, **named: Any) -> None:
        """The same."""
        with quietly():
            super()._load_from_checkpoint(*given, **named)

    def get_batch_samples(self, *wanted: Any) -> Any:
        """The batches of the next step, the time for them counted."""
        return self.costs.fetch(lambda: super(WerTrainer, self).get_batch_samples(*wanted))

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:  # noqa: ARG002
        """Steps of clips of like length. Whisper's windows all are, so their steps are drawn by chance: with texts of like length
        in each step the demo's test came out worse, by 1.5 points of WER (mean of three runs against that of four)."""
        positions = [self._features.family.positions(e.duration_s) for e in self.lesson.learnable]
        return LengthBuckets(positions, self._params.batch_size * self._params.accumulation, self._params.seed)

    def _collate(self, examples: Sequence[Example]) -> Any:
        number = int(self.state.epoch or 0)
        batch = self._features.family.collate([(self._varied(e, number), self._written(e, number)) for e in examples])
        return {**batch, UTTERANCES: [e.id for e in examples]}

    def _varied(self, example: Example, number: int) -> NDArray[np.float32]:
        """What pass `number` hears, whatever came before it: a resumed run hears what an uninterrupted one would."""
        return self._features.varied(example, self._params.augmentation, self._chance(example, number))

    def _written(self, example: Example, number: int) -> list[int]:
        """What it is to write; timestamps follow the speed at which that pass plays it."""
        augmentation = self._params.augmentation
        speed = self._features.speed(example, augmentation, self._chance(example, number)) if varies(augmentation) else 1.0
        return self._labels.of(example, number, speed)

    def _chance(self, example: Example, number: int) -> np.random.Generator:
        return np.random.default_rng((self._params.seed, number, zlib.crc32(example.id.encode())))


def _merged_copy(model: Any) -> Any:
    """Adapters merged into a copy of a small model, which hears a third faster so; a large one as it is, to spare the memory."""
    if getattr(model, "is_loaded_in_4bit", False):
        return model  # merged into packed weights it would be another model
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return copy.deepcopy(model).merge_and_unload() if hasattr(model, "merge_and_unload") and weights <= _COPIED_BYTES else model


def arguments(params: TrainParams, home: Path, examples: int, validated: bool, device: str) -> TrainingArguments:
    """The Trainer's settings for this many examples; checkpoints go to `home`. Raises TrainingError for float16 on a CPU."""
    precision = precision_of(params, device)
    steps_per_epoch = max(1, math.ceil(examples / (params.batch_size * params.accumulation)))
    every = max(1, steps_per_epoch * params.epochs // evaluations(params))
    return TrainingArguments(
        output_dir=str(home),
        num_train_epochs=params.epochs,
        per_device_train_batch_size=params.batch_size,
        gradient_accumulation_steps=params.accumulation,
        learning_rate=params.learning_rate.full if params.method == "full" else params.learning_rate.lora,
        warmup_steps=params.warmup_share,
        weight_decay=params.weight_decay,
        lr_scheduler_type="linear",
        max_grad_norm=1.0,
        seed=params.seed,
        data_seed=params.seed,
        use_cpu=device == "cpu",
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
        activation_checkpointing=params.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if params.gradient_checkpointing else None,
        dataloader_num_workers=_loaders(params),
        remove_unused_columns=False,
        report_to=[],
    )


def evaluations(params: TrainParams) -> int:
    """How often validation WER is measured in all."""
    return max(1, round(params.epochs * params.evaluations_per_epoch))


def _loaders(params: TrainParams) -> int:
    """Processes that make features while the model learns. None where they are made once and kept, nor where a process
    would have to be started with a copy of the model instead of forked.
    """
    forks = multiprocessing.get_start_method() == "fork"
    return (
        min(_MOST_LOADERS, max(1, (os.cpu_count() or 1) // processes.count() - 1)) if forks and varies(params.augmentation) else 0
    )


def precision_of(params: TrainParams, device: str) -> str:
    """What is computed in: float32, bfloat16 or float16. Raises TrainingError for float16 on a CPU."""
    wanted = params.precision
    if wanted == "float16" and device == "cpu":
        raise TrainingError("train.precision is float16, which a CPU cannot train in; use auto, bfloat16 or float32")
    if wanted != "auto":
        return wanted
    return "bfloat16" if quick_in_bfloat16(device) else "float32"


class _Bar(ProgressCallback):
    """A bar with an ETA, and a sentence for each validation in place of the Trainer's dictionaries."""

    @contextmanager
    def closed_at_the_end(self) -> Iterator[None]:
        """Also where a fault ends the block, so that what is said of it has a line of its own."""
        try:
            yield
        finally:
            if self.training_bar is not None:
                self.training_bar.close()

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        super().on_train_begin(args, state, control, **more)  # type: ignore[no-untyped-call]
        if self.training_bar is not None and not sys.stderr.isatty():
            self.training_bar.mininterval = _LOG_EVERY_S

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        if self.training_bar is not None and "eval_wer" in logs:
            forgotten = f", out of domain {logs[FORGETTING_WER]:.2%}" if FORGETTING_WER in logs else ""
            said = f"step {state.global_step}: validation WER {logs['eval_wer']:.2%}{forgotten}"
            self.training_bar.write(said, file=sys.stderr)
