"""Whether the parts of a checkpoint belong together: tokenizer, feature extractor, settings and model."""

import math
import re
from pathlib import Path
from typing import Any

from attune.dataset import SAMPLE_RATE_HZ
from attune.errors import ModelError

Family = str
"""The name of a file in `recognizers/`: `ctc` for all that transformers has as `…ForCTC`, else the model type, as `whisper`."""

_LANGUAGE_TOKEN = re.compile(r"<\|[a-z]{2,3}\|>")
_LEAST_WRITTEN = 0.9
"""Of what a CTC model says, the share that its tokenizer can write: some vocabularies are filled up."""


def check_vocabulary(folder: Path, family: Family, tokenizer: Any, config: Any) -> None:
    """Raises ModelError for a tokenizer of another model, which would write other words, or none for what the model says.

    CTC tokenizers may have marks beyond the model's letters, which it never says.
    """
    written = len(tokenizer) if family == "whisper" else tokenizer.vocab_size
    unwritten = family == "ctc" and len(tokenizer) < _LEAST_WRITTEN * config.vocab_size
    if written > config.vocab_size or unwritten:
        raise ModelError(
            f"{folder} has a tokenizer of {written} entries and a model of {config.vocab_size}; they are not of one model: "
            "save the processor that it was trained with beside it"
        )


def check_mels(folder: Path, config: Any, extractor: Any) -> None:
    """Raises ModelError for a feature extractor of another Whisper model."""
    if config.num_mel_bins != extractor.feature_size:
        raise ModelError(
            f"{folder} has a model for {config.num_mel_bins} mel bands and a feature extractor of {extractor.feature_size}; "
            "save the processor that it was trained with beside it"
        )


def completed_generation(folder: Path, told: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    """A Whisper generation config with what older fine-tuned checkpoints do not say: whether they know languages, and which.

    Raises ModelError where it names other tokens than the tokenizer in `folder` does.
    """
    known, begin, plain = tokenizer.get_vocab(), "<|startoftranscript|>", "<|notimestamps|>"
    if begin not in known or plain not in known:
        raise ModelError(f"{folder} has a tokenizer without {begin} and {plain}; it is not that of a Whisper model")
    many = told.get("is_multilingual")
    many = "" in known if many is None else many  # only the vocabularies of multilingual models have it
    languages = {token: n for token, n in known.items() if _LANGUAGE_TOKEN.fullmatch(token)} if many else None
    tasks = {task: known[f"<|{task}|>"] for task in ("transcribe", "translate")} if many else None
    usual = {
        "decoder_start_token_id": known[begin], "no_timestamps_token_id": known[plain], "is_multilingual": many,
        "lang_to_id": languages, "task_to_id": tasks,
    }  # fmt: skip
    complete = {**told, **{name: value for name, value in usual.items() if told.get(name) is None and value is not None}}
    named = {
        begin: complete["decoder_start_token_id"],
        plain: complete["no_timestamps_token_id"],
        **(complete.get("lang_to_id") or {}),
    }
    for token, number in named.items():
        if known.get(token) != number:
            raise ModelError(
                f"{folder} has a tokenizer in which {token} is number {known.get(token)}, and a model to which it is {number}; "
                "they are not of one model: save the processor that it was trained with beside it"
            )
    return complete


def ctc_frame_s(config: Any, extractor: Any) -> float:
    """Seconds from one output frame of a CTC model to the next."""
    adapter = int(config.adapter_stride**config.num_adapter_layers) if getattr(config, "add_adapter", False) else 1
    if hasattr(config, "conv_stride"):
        return float(math.prod(config.conv_stride) * adapter / SAMPLE_RATE_HZ)
    return 0.01 * int(extractor.stride) * adapter  # the Seamless extractor's frames of 10 ms, stacked
