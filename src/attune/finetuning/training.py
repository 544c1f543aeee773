"""Fine-tuning with the Hugging Face Trainer: LoRA or all weights, the best checkpoint by validation WER, resumable.

Checkpoints stand in a work folder that the graph does not know, under a fingerprint of everything that decides the
result. A killed run goes on from the last of them; a change of data or params starts afresh.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from attune.checkpoints import Checkpoint, quietly
from attune.devices import free_memory, is_memory
from attune.errors import EnvironmentFault, TrainingError
from attune.finetuning import processes
from attune.finetuning.estimating import Estimate
from attune.finetuning.families import Example, Family, FamilyMaker, SoundSource, family_of
from attune.finetuning.forgetting import FORGETTING_WER, NOTHING, Forgetting, OutOfDomain, within_window
from attune.finetuning.frozen import hear_once, with_frozen_front
from attune.finetuning.full_disk import told_where_full
from attune.finetuning.interpolating import keep
from attune.finetuning.lessons import Features, Lesson
from attune.finetuning.live import LiveFigures, Watched, curve
from attune.finetuning.methods import prepared, trainable_share
from attune.finetuning.packing import PackedSounds, clips_of
from attune.finetuning.preflight import foresee, tell
from attune.finetuning.resuming import SaveOnInterrupt, last_whole_checkpoint, owned
from attune.finetuning.sharing import halved, shared
from attune.finetuning.stopping import StopWithoutGain
from attune.finetuning.surroundings import Surroundings
from attune.finetuning.timestamps import timestamps_share
from attune.finetuning.trainer import WerTrainer, arguments, evaluations, precision_of
from attune.finetuning.training_report import TrainingReport
from attune.finetuning.vocabulary import fitted
from attune.finetuning.windowing import windows
from attune.params import TrainParams

_LOG = logging.getLogger(__name__)
_FEW_POSITIONS = 1000
_MOST_WEIGHT_BYTES = 4 << 30


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
    out_of_domain: OutOfDomain = NOTHING,
    make_family: FamilyMaker = family_of,
) -> TrainingReport:
    """Trains `checkpoint` on `device` (cpu or cuda) and writes `folder/lora_adapters` (PEFT) or `folder/model`.

    Figures to watch stand where `live` says while it trains. Where several processes learn together (see `launching`) all call
    this, with `halvings` telling how often memory did not suffice, and the first writes. Nothing is learnt from `out_of_domain`:
    it is heard to see what is forgotten.

    Raises TrainingError when no example can be learned, when the loss is not finite, when LoRA finds no layer, or when more is
    forgotten than may be.
    """
    set_seed(params.seed)
    family = make_family(checkpoint.family, checkpoint.model, checkpoint.processor, language)
    train, outside = fitted(train, family, checkpoint, params.vocabulary)
    learnable, dropped = _learnable(train, family)
    if not learnable:
        why = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise TrainingError(f"none of the {len(train)} selected utterances can be trained on: {why}")
    validation = sorted(validation, key=lambda example: example.id)[: params.validation_utterances]  # ids are hashes
    _choose_attention(checkpoint.model, params, device, max(family.positions(e.duration_s) for e in learnable))
    learnable = windows(learnable, family, checkpoint.model, sounds, params)
    sounds, surroundings = PackedSounds(out_of_domain.beside(sounds), learnable), Surroundings(params.augmentation)
    model = prepared(checkpoint.model, family, params, device, new_letters=outside is not None and bool(outside.learnt))
    heard = with_frozen_front(family, model, checkpoint.digest, params, device)
    forgetting = Forgetting(within_window(out_of_domain.examples, family), params.forgetting.max_increase_points)
    data = (learnable, validation, forgetting.examples)
    home = work / _fingerprint(checkpoint, data, params, language, device, surroundings.digest)
    with owned(home):
        lesson = Lesson(Features(heard, sounds, surroundings), learnable, validation, forgetting)
        hear_once(lesson.features, learnable)
        start = shared(params, processes.count(), halvings)
        trainer, report = _fitting(model, lesson, start, home, folder, device, live)
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
            with told_where_full("the result", home, folder):
                _save(trainer.model, checkpoint, params.method, folder)
            shutil.rmtree(home, ignore_errors=True)  # still the owner: nobody can have begun there
    return report


def _fitting(
    model: Any, lesson: Lesson, params: TrainParams, home: Path, result: Path, device: str, live: Watched | None
) -> tuple[WerTrainer, TrainingReport]:
    """Trains with as many utterances a step as memory allows: where it runs out, half as many and twice the accumulation.

    Raises EnvironmentFault where one utterance is too much. One of several processes leaves halving to whoever started them: the
    others are waiting for it.
    """
    learning = {name: p.detach().clone().cpu() for name, p in model.named_parameters() if p.requires_grad}
    while True:
        settings = arguments(params, home, len(lesson.learnable), bool(lesson.validation), device)
        trainer = WerTrainer(model, settings, params, lesson)
        try:
            each = params.model_copy(update={"batch_size": params.batch_size // processes.count()})
            need = foresee(model, lesson, each, device)
            tell(need, each.batch_size, home, result, device)
            report = _train(trainer, params, home, live)
            report = replace(report, timing={**report.timing, "estimated_memory_mb": need.memory_mb})
            report = replace(report, **keep(trainer, learning, params.keep_learnt))
            lesson.forgetting.require_allowed(report.forgetting_wer_after, report.forgetting_wers)
            return trainer, report
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
    validated, forgetting = bool(trainer.lesson.validation), trainer.lesson.forgetting
    if validated:
        trainer.add_callback(StopWithoutGain(params.patience, forgetting.judged))
    begin_s = time.monotonic()
    before = trainer.validation_wer() if validated else None
    forgetting.before = forgetting.wer(trainer.wer_of)
    estimate = Estimate(time.monotonic() - begin_s, evaluations(params) if validated else 0)
    interrupt = SaveOnInterrupt()
    trainer.add_callback(interrupt)
    if processes.first():
        for callback in (estimate, *([] if live is None else [LiveFigures(live, before, forgetting.before)])):
            trainer.add_callback(callback)
    with interrupt.watching():
        trainer.train(resume_from_checkpoint=last_whole_checkpoint(home))
    wer_after, forgetting_after = _scores_of_the_kept(trainer)
    return TrainingReport(
        trained_utterances=len(clips_of(trainer.lesson.learnable)),
        trained_windows=len(trainer.lesson.learnable),
        validation_utterances=len(trainer.lesson.validation),
        steps=trainer.state.global_step,
        batch_size=params.batch_size,
        accumulation=params.accumulation,
        processes=processes.count(),
        wer_before=before,
        wer_after=wer_after,
        forgetting_utterances=len(forgetting.examples),
        forgetting_wer_before=forgetting.before,
        forgetting_wer_after=forgetting_after,
        losses=tuple(_curve(trainer, "loss")),
        validation_wers=(*([] if before is None else [(0, before)]), *_curve(trainer, "eval_wer")),
        forgetting_wers=forgetting.curve(_curve(trainer, FORGETTING_WER), trainer.state.global_step, forgetting_after),
        timing={**estimate.figures(), **trainer.costs.figures()},
    )


def _scores_of_the_kept(trainer: WerTrainer) -> tuple[float | None, float | None]:
    """Validation and out-of-domain WER of the weights that training ended with: the best checkpoint's, loaded again, or the
    last, where none may be chosen."""
    if trainer.state.best_model_checkpoint is None:
        wer = trainer.validation_wer() if trainer.lesson.validation else None
        return wer, trainer.lesson.forgetting.wer(trainer.wer_of)
    best_step = trainer.state.best_global_step or 0
    best = {key: dict(_curve(trainer, key)).get(best_step) for key in ("eval_wer", FORGETTING_WER)}
    return best["eval_wer"], best[FORGETTING_WER]


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
    config = model.config.get_text_config()
    weight_bytes = 4 * params.batch_size * config.num_hidden_layers * config.num_attention_heads * positions**2
    few = positions <= _FEW_POSITIONS and weight_bytes <= _MOST_WEIGHT_BYTES
    if device == "cpu" and precision_of(params, device) == "bfloat16" and few:
        model.set_attn_implementation("eager")


def _fingerprint(
    checkpoint: Checkpoint,
    data: Sequence[Sequence[Example]],
    params: TrainParams,
    language: str | None,
    device: str,
    surroundings: str = "",
) -> str:
    """Sixteen hex digits that change whenever the finished weights would."""
    parts = [checkpoint.digest, params.model_dump_json(), *(repr(list(each)) for each in data), language, device, surroundings]
    return hashlib.sha256(json.dumps([*parts, torch.__version__]).encode()).hexdigest()[:16]


def _save(model: Any, checkpoint: Checkpoint, method: str, folder: Path) -> None:
    target = folder / ("model" if method == "full" else "lora_adapters")
    with quietly():
        model.save_pretrained(target)
        checkpoint.processor.save_pretrained(target)
    for weights in target.glob("*.safetensors"):
        weights.chmod(0o644)


def _curve(trainer: WerTrainer, name: str) -> list[tuple[int, float]]:
    return curve(trainer.state.log_history, name)
