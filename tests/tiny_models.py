"""Checkpoints of a few thousand random weights, made on the spot, of every kind that the recognisers know."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    HubertConfig,
    HubertForCTC,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2BertProcessor,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
    WavLMConfig,
    WavLMForCTC,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
)
from transformers.utils import logging

from attune.finetuning import tiny_detector
from attune.finetuning.tiny import whisper_tokenizer

WINDOW_S = 2
_LANGUAGES = ("en", "es", "de")
_TEXTS = ["the patient has a fever and a cough"] * 5


_WAV2VEC2S: dict[str, tuple[Any, Any]] = {
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2ForCTC),
    "hubert": (HubertConfig, HubertForCTC),
    "wavlm": (WavLMConfig, WavLMForCTC),
}


def speech(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Noise with a tune in it, 16 kHz, so that no two seconds sound alike."""
    count = round(seconds * 16_000)
    rng = np.random.default_rng(seed)
    pitch_hz = np.repeat(rng.uniform(100, 3000, count // 1600 + 1), 1600)[:count]
    tune = np.sin(2 * np.pi * np.cumsum(pitch_hz) / 16_000)
    return (0.3 * tune + 0.05 * rng.standard_normal(count)).astype(np.float32)


def make_whisper(folder: Path, multilingual: bool = False, window_s: int = WINDOW_S, mels: int = 80, positions: int = 24) -> Path:
    """A Whisper-class checkpoint with a short window, or as published ones: 30 s, 448 positions, 80 or 128 mels."""
    torch.manual_seed(0)
    tokenizer = whisper_tokenizer(_TEXTS, 280, _LANGUAGES if multilingual else ("en",), window_s)
    end, token = tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids
    config = WhisperConfig(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=64, decoder_ffn_dim=64,
        encoder_attention_heads=2, decoder_attention_heads=2, max_source_positions=window_s * 50, max_target_positions=positions,
        decoder_start_token_id=token("<|startoftranscript|>"), bos_token_id=end, eos_token_id=end, pad_token_id=end,
        suppress_tokens=None, begin_suppress_tokens=None, init_std=0.4, num_mel_bins=mels,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    languages = {
        "lang_to_id": {f"<|{code}|>": token(f"<|{code}|>") for code in _LANGUAGES},
        "task_to_id": {task: token(f"<|{task}|>") for task in ("transcribe", "translate")},
    }
    model.generation_config = GenerationConfig(
        decoder_start_token_id=token("<|startoftranscript|>"), bos_token_id=end, eos_token_id=end, pad_token_id=end,
        no_timestamps_token_id=token("<|notimestamps|>"), is_multilingual=multilingual, max_length=positions,
        suppress_tokens=list(range(token("<|startoftranscript|>"), len(tokenizer))), begin_suppress_tokens=[],
        alignment_heads=[[0, 0]], _from_model_config=False, **(languages if multilingual else {}),
    )  # fmt: skip
    extractor = WhisperFeatureExtractor(feature_size=mels, hop_length=160, chunk_length=window_s, n_fft=400)
    return _save(model, WhisperProcessor(extractor, tokenizer), folder)


def make_wav2vec2(folder: Path, norm: str, kind: str = "wav2vec2") -> Path:
    """A Wav2Vec2 checkpoint, or one of its kin: hubert, wavlm.

    `norm` is `layer` (the kind of Wav2Vec2 that CTranslate2 converts rightly) or `group`.
    """
    torch.manual_seed(0)
    layered = norm == "layer"
    configured, model = _WAV2VEC2S[kind]
    config = configured(
        vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, conv_dim=(16,) * 7,
        feat_extract_norm=norm, do_stable_layer_norm=layered, conv_bias=layered, num_conv_pos_embeddings=128,
        num_conv_pos_embedding_groups=16, pad_token_id=0, bos_token_id=None, eos_token_id=None, initializer_range=0.3,
    )  # fmt: skip
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=layered)
    return _save(_lively(model(config)), Wav2Vec2Processor(extractor, _letters(folder)), folder)


def make_mms(folder: Path) -> Path:
    """A Wav2Vec2 checkpoint with weights and letters for each of two languages, `eng` being the one it speaks as it is."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, conv_dim=(16,) * 7,
        feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True, num_conv_pos_embeddings=128, adapter_attn_dim=4,
        num_conv_pos_embedding_groups=16, pad_token_id=0, bos_token_id=None, eos_token_id=None, initializer_range=0.3,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    letters = {"eng": "abcdefghijklmnopqrstuvwxyz'", "ell": "αβγδεζηθικλμνξοπρστυφχψω"}
    vocabulary = {code: {t: n for n, t in enumerate(["<pad>", "<unk>", "|", *some])} for code, some in letters.items()}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None, target_lang="eng")
    model = _lively(Wav2Vec2ForCTC(config))
    _save(model, Wav2Vec2Processor(Wav2Vec2FeatureExtractor(return_attention_mask=True), tokenizer), folder)
    for code, count in (("eng", 30), ("ell", 27)):
        weights = {name: torch.randn_like(w) if code == "ell" else w.clone() for name, w in model._get_adapters().items()}
        weights |= {name: weights[name][:count].clone() for name in ("lm_head.weight", "lm_head.bias")}
        save_file(weights, folder / f"adapter.{code}.safetensors")
    return folder


def make_wav2vec2_bert(folder: Path) -> Path:
    """A Wav2Vec2-BERT checkpoint with rotary positions and three stacked mel frames."""
    torch.manual_seed(0)
    config = Wav2Vec2BertConfig(
        vocab_size=30, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        feature_projection_input_dim=240, position_embeddings_type="rotary", conv_depthwise_kernel_size=7, pad_token_id=0,
        bos_token_id=None, eos_token_id=None, initializer_range=0.3, add_adapter=False,
    )  # fmt: skip
    extractor = SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80, stride=3, padding_value=0.0)
    return _save(_lively(Wav2Vec2BertForCTC(config)), Wav2Vec2BertProcessor(extractor, _letters(folder)), folder)


def make_mistral(folder: Path, answer: str | None = None) -> Path:
    """A Mistral-shaped instruct model with a chat template: of random weights, or one that has learnt to say `answer` always."""
    torch.manual_seed(0)
    special = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    raw.train_from_iterator([*_TEXTS, *[answer or ""] * 5], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|end|>", pad_token="<|end|>")
    tokenizer.chat_template = (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, eos_token_id=0, bos_token_id=0, pad_token_id=0, sliding_window=None,
    )  # fmt: skip
    model = MistralForCausalLM(config)
    if answer is not None:
        _learn(model, tokenizer, answer)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _learn(model: Any, tokenizer: Any, answer: str) -> None:
    said = tokenizer(f"{answer}<|end|>").input_ids
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(60):
        length = 5 + 37 * step % 200
        asked = torch.randint(4, model.config.vocab_size, (4, length))
        answers = torch.tensor([[tokenizer.convert_tokens_to_ids("<|assistant|>"), *said]]).expand(4, -1)
        ids = torch.cat([asked, answers], dim=1)
        labels = ids.clone()
        labels[:, : length + 1] = -100
        loss = model(ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert float(loss.detach()) < 0.05


def _lively(model: Any) -> Any:
    """Output weights large enough that many letters win a frame."""
    with torch.no_grad():
        model.lm_head.weight.normal_(0, 1.0)
    return model


def _letters(folder: Path) -> Wav2Vec2CTCTokenizer:
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: n for n, token in enumerate(["<pad>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    return Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None)


def _save(model: Any, processor: Any, folder: Path) -> Path:
    logging.disable_progress_bar()
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    processor.feature_extractor.save_pretrained(folder)
    return folder


def make_qwen2_audio(folder: Path, seed: int = 0) -> Path:
    """A model of the Qwen2-Audio class with a window of 2 s, of random weights."""
    made = tiny_detector.processor(["NON", "SPE", "ECH", *_TEXTS] * 2, window_s=WINDOW_S)
    tiny_detector.save(tiny_detector.model(made, seed), made, folder)
    return folder
