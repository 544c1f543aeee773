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
from attune.devices import free_memory, is_memory
from attune.errors import EnvironmentFault, TrainingError
from attune.finetuning import processes
from attune.finetuning.estimating import Estimate
from attune.finetuning.families import Example, Family, SoundSource, family_of
from attune.finetuning.frozen import hear_once, with_frozen_front
from attune.finetuning.interpolating import keep
from attune.finetuning.live import LiveFigures, Watched, curve
from attune.finetuning.methods import prepared, trainable_share
from attune.finetuning.packing import PackedSounds, clips_of
from attune.finetuning.resuming import SaveOnInterrupt, last_whole_checkpoint, owned
from attune.finetuning.sharing import halved, shared
from attune.finetuning.surroundings import Surroundings
from attune.finetuning.timestamps import timestamps_share
from attune.finetuning.trainer import Features, WerTrainer, arguments, evaluations, precision_of
from attune.finetuning.vocabulary import fitted
from attune.finetuning.windowing import windows
from attune.params import TrainParams

_LOG = logging.getLogger(__name__)
_FEW_POSITIONS = 1000
_MOST_WEIGHT_BYTES = 4 << 30


@dataclass(frozen=True)
class TrainingReport:
    """What fine-tuning did; the defaults are those of no training at all. WERs are fractions on the validation split."""

    trained_utterances: int = 0
    trained_windows: int = 0
    """What a pass goes through: fewer than utterances where they are packed."""
    validation_utterances: int = 0
    steps: int = 0
    batch_size: int = 0
    """Utterances at once, after what memory allowed; `accumulation` times that make a step."""
    accumulation: int = 0
    processes: int = 1
    """How many computed a share of each batch."""
    trainable_share: float = 0.0
    kept_learnt: float = 1.0
    """How much of what was learnt is in the result, see `train.keep_learnt`."""
    wer_before: float | None = None
    """None where there is no validation split."""
    wer_after: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Selected utterances that this family cannot learn, by reason."""
    outside_vocabulary: Mapping[str, Any] = field(default_factory=dict)
    """Letters that a CTC model could not write, and what became of them; nothing where there are none."""
    surroundings: Mapping[str, Any] = field(default_factory=dict)
    """Files of the noise and room folders, and those of them that cannot be used, by name."""
    timestamps_share: float = 0.0
    """Share of the windows that is written with timestamps; 0 for models that have none."""
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
    sounds: SoundSource,
    params: TrainParams,
    language: str | None,
    folder: Path,
    work: Path,
    device: str = "cpu",
    live: Watched | None = None,
    halvings: int = 0,
) -> TrainingReport:
    """Trains `checkpoint` on `device` (cpu or cuda) and writes `folder/lora_adapters` (PEFT) or `folder/model`.

    Figures to watch stand where `live` says while it trains. Where several processes learn together (see `launching`) all call
    this, with `halvings` telling how often memory did not suffice, and the first writes.

    Raises TrainingError when no example can be learned, when the loss is not finite, or when LoRA finds no layer.
    """
    set_seed(params.seed)
    family = family_of(checkpoint.family, checkpoint.model, checkpoint.processor, language)
    train, outside = fitted(train, family, checkpoint, params.vocabulary)
    learnable, dropped = _learnable(train, family)
    if not learnable:
        raise TrainingError(f"none of the {len(train)} selected utterances can be trained on: {dropped}")
    validation = sorted(validation, key=lambda example: example.id)[: params.validation_utterances]  # ids are hashes
    _choose_attention(checkpoint.model, params, device, max(family.positions(e.duration_s) for e in learnable))
    learnable = windows(learnable, family, checkpoint.model, sounds, params)
    sounds, surroundings = PackedSounds(sounds, learnable), Surroundings(params.augmentation)
    model = prepared(checkpoint.model, family, params, device, new_letters=outside is not None and bool(outside.learnt))
    heard = with_frozen_front(family, model, checkpoint.digest, params, device)
    home = work / _fingerprint(checkpoint, learnable, validation, params, language, device, surroundings.digest)
    with owned(home):
        features = Features(heard, sounds, surroundings)
        hear_once(features, learnable)
        start = shared(params, processes.count(), halvings)
        trainer, report = _fitting(model, family, features, learnable, validation, start, home, device, live)
        report = replace(
            report,
            trainable_share=trainable_share(model),
            dropped=dropped,
            outside_vocabulary=outside.metrics() if outside else {},
            surroundings=surroundings.figures(),
            timestamps_share=timestamps_share(family, params.whisper.timestamps_share),
        )
        processes.wait_for_all()  # they may be reading the best checkpoint
        if processes.first():
            _save(trainer.model, checkpoint, params.method, folder)
            shutil.rmtree(home, ignore_errors=True)  # still the owner: nobody can have begun there
    return report


def _fitting(
    model: Any,
    family: Family,
    features: Features,
    learnable: Sequence[Example],
    validation: Sequence[Example],
    params: TrainParams,
    home: Path,
    device: str,
    live: Watched | None,
) -> tuple[WerTrainer, TrainingReport]:
    """Trains with as many utterances a step as memory allows: where it runs out, half as many and twice the accumulation.

    Raises EnvironmentFault where one utterance is too much. One of several processes leaves halving to whoever started them: the
    others are waiting for it.
    """
    learning = {name: p.detach().clone().cpu() for name, p in model.named_parameters() if p.requires_grad}
    while True:
        settings = arguments(params, home, len(learnable), bool(validation), device)
        trainer = WerTrainer(
            model, settings, params, family=family, features=features, learnable=learnable, validation=validation
        )
        try:
            report = _train(trainer, params, home, live)
            return trainer, replace(report, **keep(trainer, learning, params.keep_learnt))
        except (RuntimeError, MemoryError) as error:
            if not is_memory(error):
                raise
            if params.batch_size == processes.count():
                raise EnvironmentFault(
                    "memory does not suffice to train on one utterance at a time; set train.gradient_checkpointing to true, "
                    "train.method to lora or qlora, or take a smaller model"
                ) from error
            if processes.count() > 1:
                raise
        params, former = halved(params, 1), params.batch_size
        _LOG.warning(
            "Memory ran out with %d utterances at once; going on with %d, and as many a step.", former, params.batch_size
        )
        model.load_state_dict(learning, strict=False)
        del trainer
        free_memory()


def _train(trainer: WerTrainer, params: TrainParams, home: Path, live: Watched | None) -> TrainingReport:
    """Trains, from the last checkpoint in `home` if there is one, and measures before and after."""
    validated = bool(trainer.validation)
    if validated:
        trainer.add_callback(EarlyStoppingCallback(params.patience))
    begin_s = time.monotonic()
    before = trainer.validation_wer() if validated else None
    estimate = Estimate(time.monotonic() - begin_s, evaluations(params) if validated else 0)
    interrupt = SaveOnInterrupt()
    trainer.add_callback(interrupt)
    if processes.first():
        for callback in (estimate, *([] if live is None else [LiveFigures(live, before)])):
            trainer.add_callback(callback)
    with interrupt.watching():
        trainer.train(resume_from_checkpoint=last_whole_checkpoint(home))
    return TrainingReport(
        trained_utterances=len(clips_of(trainer.learnable)),
        trained_windows=len(trainer.learnable),
        validation_utterances=len(trainer.validation),
        steps=trainer.state.global_step,
        batch_size=params.batch_size,
        accumulation=params.accumulation,
        processes=processes.count(),
        wer_before=before,
        wer_after=trainer.state.best_metric if validated else None,  # that of the checkpoint which is loaded again at the end
        losses=tuple(curve(trainer.state.log_history, "loss")),
        validation_wers=(*([] if before is None else [(0, before)]), *curve(trainer.state.log_history, "eval_wer")),
        timing={**estimate.figures(), **trainer.costs.figures()},
    )


def _learnable(examples: Sequence[Example], family: Family) -> tuple[list[Example], dict[str, int]]:
    kept, dropped = [], dict[str, int]()
    for example in examples:
        refusal = family.refusal(example, family.labels(example.text, example.language))
        if refusal is None:
            kept.append(example)
        else:
            dropped[refusal] = dropped.get(refusal, 0) + 1
    return kept, dropped


def _choose_attention(model: Any, params: TrainParams, device: str, positions: int) -> None:
    """Plain matrix products for short clips in bfloat16 on a CPU, where a step with torch's fused attention takes a sixth longer.

    They keep every attention weight for the way back, twice in two bytes.
    """
    config = model.config
    weight_bytes = 4 * params.batch_size * config.num_hidden_layers * config.num_attention_heads * positions**2
    few = positions <= _FEW_POSITIONS and weight_bytes <= _MOST_WEIGHT_BYTES
    if device == "cpu" and precision_of(params, device) == "bfloat16" and few:
        model.set_attn_implementation("eager")


def _fingerprint(
    checkpoint: Checkpoint,
    train: Sequence[Example],
    validation: Sequence[Example],
    params: TrainParams,
    language: str | None,
    device: str,
    surroundings: str = "",
) -> str:
    """Sixteen hex digits that change whenever the finished weights would."""
    data = [repr(list(train)), repr(list(validation))]
    parts = [checkpoint.digest, params.model_dump_json(), *data, language, device, surroundings, torch.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _save(model: Any, checkpoint: Checkpoint, method: str, folder: Path) -> None:
    target = folder / ("model" if method == "full" else "lora_adapters")
    with quietly():
        model.save_pretrained(target)
        checkpoint.processor.save_pretrained(target)
    for weights in target.glob("*.safetensors"):
        weights.chmod(0o644)
