"""A model of the Qwen2-Audio class with few weights, to try speech detection on: its shape, and its short schooling.

All weights are random to begin with. Only the audio tower learns, to tell kinds of sounds apart, through a head that is thrown
away afterwards; the language model stays random, so that as it is the model knows no label and answers by chance.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2AudioConfig,
    Qwen2AudioEncoderConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Qwen2Config,
    WhisperFeatureExtractor,
)

from attune.checkpoints import quietly

WINDOW_S = 30
"""As published models of the class have it."""
LESSON_S = 2
"""What of it the schooling fills."""
SAMPLE_RATE_HZ = 16_000
_HOP = 160
_MELS = 64
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>\n{% else %}{{ content['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
Samples = NDArray[np.float32]
Batch = tuple[Sequence[Samples], Sequence[int]]
"""Clips, and the number of the kind that each is of."""


def processor(texts: Sequence[str], units: int = 300, window_s: int = WINDOW_S) -> Qwen2AudioProcessor:
    """Log-mel frames of 10 ms over a window of `window_s`, and byte-level BPE of at most `units` units learnt from `texts`."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=units, special_tokens=list(_SPECIAL), initial_alphabet=alphabet, min_frequency=2, show_progress=False
    )
    raw.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.padding_side = "left"
    extractor = WhisperFeatureExtractor(feature_size=_MELS, hop_length=_HOP, chunk_length=window_s, n_fft=400)
    return Qwen2AudioProcessor(extractor, tokenizer, chat_template=_TEMPLATE)


def model(made: Qwen2AudioProcessor, seed: int) -> Qwen2AudioForConditionalGeneration:
    """Two layers in the audio tower and two in the language model, of width 64, with random weights."""
    torch.manual_seed(seed)
    tokenizer: Any = made.tokenizer
    extractor: Any = made.feature_extractor
    token = tokenizer.convert_tokens_to_ids
    audio = Qwen2AudioEncoderConfig(
        num_mel_bins=_MELS, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=128, d_model=64,
        max_source_positions=extractor.nb_max_frames // 2,
    )  # fmt: skip
    text = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, initializer_range=0.15, tie_word_embeddings=False,
        bos_token_id=token("<|endoftext|>"), eos_token_id=token("<|im_end|>"), pad_token_id=token("<|endoftext|>"),
    )  # fmt: skip
    config = Qwen2AudioConfig(audio_config=audio, text_config=text, audio_token_index=token("<|AUDIO|>"))
    config.tie_word_embeddings = False
    return Qwen2AudioForConditionalGeneration(config)


def school(learner: Qwen2AudioForConditionalGeneration, made: Qwen2AudioProcessor, batches: Iterable[Batch], kinds: int) -> float:
    """Teaches the audio tower to tell `kinds` of sounds, of up to LESSON_S, apart by the mean of what it says; the share of the
    last ones that it does."""
    tower: Any = learner.model.audio_tower
    extractor: Any = made.feature_extractor
    head = torch.nn.Linear(tower.config.d_model, kinds)
    weights = [*(w for w in tower.parameters() if w.requires_grad), *head.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=2e-3, weight_decay=0.01)
    right = list[float]()
    tower.train()
    with _window_of(tower, LESSON_S * SAMPLE_RATE_HZ // _HOP // 2):
        for clips, numbers in batches:
            padded: Any = {"padding": "max_length", "max_length": LESSON_S * SAMPLE_RATE_HZ, "return_tensors": "pt"}
            features = extractor(list(clips), sampling_rate=SAMPLE_RATE_HZ, **padded).input_features
            said = head(tower(features).last_hidden_state.mean(1))
            wanted = torch.tensor(list(numbers))
            loss = torch.nn.functional.cross_entropy(said, wanted)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            right.append(float((said.argmax(-1) == wanted).float().mean()))
    tower.eval()
    return float(np.mean(right[-20:]))


@contextmanager
def _window_of(tower: Any, positions: int) -> Iterator[None]:
    """Has only the first of the tower's positions while the block runs."""
    whole, count = tower.embed_positions, tower.config.max_source_positions
    tower.embed_positions = torch.nn.Embedding.from_pretrained(whole.weight[:positions])
    tower.config.max_source_positions = positions
    try:
        yield
    finally:
        tower.embed_positions, tower.config.max_source_positions = whole, count


def save(learner: Qwen2AudioForConditionalGeneration, made: Qwen2AudioProcessor, folder: Path) -> None:
    """As published checkpoints are laid out."""
    with quietly():
        learner.eval().save_pretrained(folder)
        made.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)
