"""Models of the class of Qwen2-Audio with random weights, to measure on: the shape of 7B, and smaller ones."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Qwen2AudioConfig,
    Qwen2AudioEncoderConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Qwen2Config,
    WhisperFeatureExtractor,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from attune.finetuning import tiny_detector


@dataclass(frozen=True)
class Shape:
    """Sizes of the language model and of the audio tower, by their names in transformers' configurations."""

    language_model: dict[str, int]
    ears: dict[str, int]

    def of_layers(self, count: int) -> "Shape":
        """The same with so many layers in each."""
        return Shape(self.language_model | {"num_hidden_layers": count}, self.ears | {"encoder_layers": count})


LARGE = Shape(
    {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 156_032,
    },
    {"d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120},
)
"""Qwen2-Audio-7B's."""
SMALL = Shape(
    {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "vocab_size": 512,
    },
    {"d_model": 64, "encoder_layers": 1, "encoder_attention_heads": 4, "encoder_ffn_dim": 128},
)


_TEXTS = ["NON", "SPE", "ECH", " Is there human speech in this audio? Answer with one word, or assistant", "assistant user Is"]
"""What the tokenizer learns: units of about the published one's, which reads question and labels in as many."""


def make(folder: Path, device: str, shape: Shape) -> int:
    """Writes a random checkpoint in bfloat16 with a small vocabulary's tokenizer; returns how many weights it has."""
    made = tiny_detector.processor(_TEXTS * 4, units=600)
    tokenizer: Any = made.tokenizer
    extractor = WhisperFeatureExtractor(feature_size=128, hop_length=160, chunk_length=30, n_fft=400)
    token = tokenizer.convert_tokens_to_ids
    config = Qwen2AudioConfig(
        audio_config=Qwen2AudioEncoderConfig(num_mel_bins=128, max_source_positions=1500, **shape.ears),
        text_config=Qwen2Config(eos_token_id=token("<|im_end|>"), pad_token_id=token("<|endoftext|>"), **shape.language_model),
        audio_token_index=token("<|AUDIO|>"),
    )
    config.tie_word_embeddings = False
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        learner = Qwen2AudioForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    count = sum(p.numel() for p in learner.parameters())
    tiny_detector.save(learner.cpu(), Qwen2AudioProcessor(extractor, tokenizer, chat_template=made.chat_template), folder)
    del learner
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return count
