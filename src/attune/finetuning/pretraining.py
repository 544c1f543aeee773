"""Trains the two shipped models from scratch, on a CPU, from recordings and a distortion handed in by the caller.

A Whisper-class model learns faster with a CTC loss over letters on its encoder beside the decoder's own (Watanabe
et al., 2017, "Hybrid CTC/Attention Architecture"); that head is dropped when the model is saved.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn
from transformers import (
    Trainer,
    TrainingArguments,
    Wav2Vec2BertForCTC,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

from attune.finetuning.resuming import MarkWhole, last_whole_checkpoint
from attune.finetuning.tiny import (
    LETTERS,
    WINDOW_S,
    ctc_config,
    ctc_processor,
    whisper_config,
    whisper_generation,
    whisper_processor,
)

Samples = NDArray[np.float32]
Draw = Callable[[int], tuple[Samples, str, float, float]]
"""Example number → 16 kHz samples, their text, where the speech starts and ends in seconds."""

_SAVE_STEPS = 500
_TIMESTAMP_SHARE = 0.2
_SYMBOLS = f" {LETTERS}"
_BLANK = 0


@dataclass(frozen=True)
class Round:
    """`steps` of AdamW: 8% warm-up to `learning_rate`, then a cosine to nothing."""

    steps: int
    learning_rate: float


@dataclass(frozen=True)
class Schedule:
    """Rounds one after the other, each a warm restart on examples not drawn before.

    The model is the mean of the last `averaged` rounds' ends (Izmailov et al., 2018, "Averaging Weights Leads to Wider
    Optima and Better Generalization").
    """

    rounds: tuple[Round, ...]
    averaged: int
    batch_size: int
    seed: int


def pretrain_whisper(draw: Draw, texts: Sequence[str], schedule: Schedule, folder: Path, work: Path) -> None:
    """Writes a Whisper-class checkpoint of about 2 M parameters with a 5 s window into `folder`."""
    torch.manual_seed(schedule.seed)
    processor = whisper_processor(texts)
    joint = _JointWhisper(_eager(whisper_config(processor.tokenizer)))

    def collate(numbers: list[int]) -> dict[str, torch.Tensor]:
        drawn = [(*draw(n), n) for n in numbers]
        features = processor.feature_extractor([d[0] for d in drawn], sampling_rate=16_000, return_tensors="pt")
        plain = [processor.tokenizer(d[1], add_special_tokens=False).input_ids for d in drawn]
        labels = [_whisper_labels(processor.tokenizer, ids, *d[2:]) for ids, d in zip(plain, drawn, strict=True)]
        spelt = _padded([[1 + _SYMBOLS.index(letter) for letter in d[1]] for d in drawn])
        return {"input_features": features.input_features, "labels": _padded(labels), "ctc_labels": spelt}

    _train(joint, collate, schedule, work)
    model = joint.without_head()
    model.generation_config = whisper_generation(processor.tokenizer)
    _save(model, processor, folder)


def pretrain_ctc(draw: Draw, schedule: Schedule, folder: Path, work: Path) -> None:
    """Writes a Wav2Vec2-BERT CTC checkpoint of about 2 M parameters over letters into `folder`."""
    torch.manual_seed(schedule.seed)
    processor = ctc_processor(work)
    tokenizer = processor.tokenizer
    model = Wav2Vec2BertForCTC(_eager(ctc_config(len(tokenizer), tokenizer.pad_token_id)))

    def collate(numbers: list[int]) -> dict[str, torch.Tensor]:
        drawn = [draw(n) for n in numbers]
        features = processor.feature_extractor([d[0] for d in drawn], sampling_rate=16_000, return_tensors="pt")
        labels = _padded([tokenizer(d[1]).input_ids for d in drawn])
        return {**features, "labels": labels}

    _train(model, collate, schedule, work)
    _save(model, processor, folder)


def _eager(config: Any) -> Any:
    """With attention as plain matrix products: on a CPU, at these sizes, a step then takes a third less time than with SDPA."""
    config._attn_implementation = "eager"
    return config


class _JointWhisper(WhisperForConditionalGeneration):
    """Whisper whose loss is the decoder's cross-entropy and the encoder's CTC loss, half and half."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__(config)
        self.ctc_head = nn.Linear(config.d_model, 1 + len(_SYMBOLS))

    def forward(self, input_features: torch.Tensor, labels: torch.Tensor, ctc_labels: torch.Tensor) -> dict[str, Any]:
        out = super().forward(input_features=input_features, labels=labels)
        scores = self.ctc_head(out.encoder_last_hidden_state).float().log_softmax(-1).transpose(0, 1)
        frames = torch.full((scores.shape[1],), scores.shape[0])
        known = ctc_labels >= 0
        ctc = nn.functional.ctc_loss(
            scores, ctc_labels[known], frames, known.sum(1), blank=_BLANK, reduction="sum", zero_infinity=True
        )
        return {"loss": 0.5 * out.loss + 0.5 * ctc / known.sum().clamp(min=1)}

    def without_head(self) -> WhisperForConditionalGeneration:
        """The plain model with the same weights."""
        plain = WhisperForConditionalGeneration(self.config)
        weights = {k: v for k, v in self.state_dict().items() if not k.startswith("ctc_head")}
        plain.load_state_dict(weights)
        plain.config.architectures = ["WhisperForConditionalGeneration"]
        return plain


class _Numbers(torch.utils.data.Dataset[int]):
    """Example numbers in order: a round is one pass over its own, so that a resumed run draws what is left."""

    def __init__(self, numbers: range) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> int:
        return self.numbers[index]


class _InOrder(Trainer):
    def _get_train_sampler(self, *_: Any) -> torch.utils.data.Sampler[int]:
        return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]


def _train(model: nn.Module, collate: Callable[[list[int]], Any], schedule: Schedule, work: Path) -> None:
    drawn = 0
    for number, part in enumerate(schedule.rounds):
        home = work / f"round-{number}"
        examples = _Numbers(range(drawn, drawn + part.steps * schedule.batch_size))
        trainer = _InOrder(model, _arguments(part, schedule, home), data_collator=collate, train_dataset=examples)
        trainer.add_callback(MarkWhole())
        trainer.train(resume_from_checkpoint=last_whole_checkpoint(home))
        drawn += len(examples)
    if schedule.averaged > 1:
        homes = [work / f"round-{number}" for number in range(len(schedule.rounds))][-schedule.averaged :]
        ends = [load_file(Path(str(last_whole_checkpoint(home))) / "model.safetensors") for home in homes]
        model.load_state_dict({name: torch.stack([end[name] for end in ends]).mean(0) for name in ends[0]})


def _arguments(part: Round, schedule: Schedule, home: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(home),
        max_steps=part.steps,
        per_device_train_batch_size=schedule.batch_size,
        learning_rate=part.learning_rate,
        adam_beta2=0.98,
        weight_decay=0.01,
        lr_scheduler_type="cosine",
        warmup_steps=0.08,
        max_grad_norm=1.0,
        seed=schedule.seed,
        use_cpu=True,
        bf16=True,
        save_steps=_SAVE_STEPS,
        save_total_limit=1,
        logging_steps=100,
        remove_unused_columns=False,
        dataloader_num_workers=1,
        dataloader_persistent_workers=True,
        dataloader_prefetch_factor=4,
    )


def _save(model: Any, processor: Any, folder: Path) -> None:
    model.half().save_pretrained(folder)
    processor.save_pretrained(folder)
    processor.feature_extractor.save_pretrained(folder)  # CTranslate2's users look for preprocessor_config.json
    (folder / "model.safetensors").chmod(0o644)


def _whisper_labels(tokenizer: WhisperTokenizer, ids: list[int], start_s: float, end_s: float, number: int) -> list[int]:
    """The prompt without its first token (the model adds it), the text, the end; a share of them with timestamps."""
    token = tokenizer.convert_tokens_to_ids
    if ids and np.random.default_rng(number).random() < _TIMESTAMP_SHARE:
        first, last = (token(f"<|{round(s / 0.02) * 0.02:.2f}|>") for s in (start_s, min(end_s, WINDOW_S)))
        return [first, *ids, last, tokenizer.eos_token_id]
    return [token("<|notimestamps|>"), *ids, tokenizer.eos_token_id]


def _padded(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    return nn.utils.rnn.pad_sequence([torch.tensor(r) for r in rows], batch_first=True, padding_value=-100)
