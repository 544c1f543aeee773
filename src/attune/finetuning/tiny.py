"""The two tiny architectures that Attune ships: sizes, tokenizers and settings of about 2 M parameters each."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import ByteLevelBPETokenizer
from transformers import (
    GenerationConfig,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertProcessor,
    Wav2Vec2CTCTokenizer,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperProcessor,
    WhisperTokenizer,
)

WINDOW_S = 5
LETTERS = "abcdefghijklmnopqrstuvwxyz'"
_HOP = 250


def whisper_processor(texts: Sequence[str]) -> WhisperProcessor:
    """Log-mel frames of 15.6 ms over a 5 s window, and byte-level BPE of 420 units learnt from `texts`."""
    extractor = WhisperFeatureExtractor(feature_size=80, hop_length=_HOP, chunk_length=WINDOW_S, n_fft=400)
    return WhisperProcessor(extractor, whisper_tokenizer(texts, 420, ("en",), WINDOW_S))


def whisper_tokenizer(texts: Sequence[str], units: int, languages: Sequence[str], window_s: int) -> WhisperTokenizer:
    """Byte-level BPE of at most `units` units learnt from `texts`, with Whisper's special tokens and timestamps each 20 ms."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, vocab_size=units, min_frequency=3, show_progress=False)
    learnt = json.loads(bpe.to_str())["model"]
    if len(languages) > 1:
        learnt["vocab"][""] = len(learnt["vocab"])  # CTranslate2 knows multilingual models by it
    names = ["startoftranscript", *languages, "translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    tokenizer = WhisperTokenizer(
        vocab=learnt["vocab"],
        merges=[tuple(m) for m in learnt["merges"]],
        pad_token="<|endoftext|>",
        extra_special_tokens=[f"<|{name}|>" for name in names],
    )
    tokenizer.add_tokens([f"<|{n * 0.02:.2f}|>" for n in range(window_s * 50 + 1)])
    return tokenizer


def whisper_config(tokenizer: WhisperTokenizer) -> WhisperConfig:
    """Four encoder and two decoder layers of width 160."""
    end: Any = tokenizer.eos_token_id
    start: Any = tokenizer.convert_tokens_to_ids("<|startoftranscript|>")
    return WhisperConfig(
        vocab_size=len(tokenizer), d_model=160, encoder_layers=4, decoder_layers=2, encoder_ffn_dim=480,
        decoder_ffn_dim=480, encoder_attention_heads=4, decoder_attention_heads=4, dropout=0.0,
        max_source_positions=WINDOW_S * 16_000 // _HOP // 2, max_target_positions=96, decoder_start_token_id=start,
        bos_token_id=end, eos_token_id=end, pad_token_id=end, suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip


def whisper_generation(tokenizer: WhisperTokenizer) -> GenerationConfig:
    """How it decodes: English only, without timestamps unless asked."""
    token = tokenizer.convert_tokens_to_ids
    end = tokenizer.eos_token_id
    return GenerationConfig(
        decoder_start_token_id=token("<|startoftranscript|>"), bos_token_id=end, eos_token_id=end, pad_token_id=end,
        no_timestamps_token_id=token("<|notimestamps|>"), is_multilingual=False, max_length=96, return_timestamps=False,
        prev_sot_token_id=token("<|startofprev|>"), begin_suppress_tokens=[], suppress_tokens=[],
        alignment_heads=[[1, 0], [1, 1], [1, 2], [1, 3]], max_initial_timestamp_index=50, _from_model_config=False,
    )  # fmt: skip


def ctc_processor(work: Path) -> Wav2Vec2BertProcessor:
    """Mel frames of 10 ms, two at a time, and single letters; `work` is a folder for the vocabulary file."""
    work.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: n for n, token in enumerate(["<pad>", "<unk>", "|", *LETTERS])}
    (work / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = Wav2Vec2CTCTokenizer(str(work / "vocab.json"), bos_token=None, eos_token=None)
    extractor = SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80, stride=2, padding_value=0.0)
    return Wav2Vec2BertProcessor(extractor, tokenizer)


def ctc_config(vocab_size: int, pad_token_id: int) -> Wav2Vec2BertConfig:
    """Four conformer layers of width 160 with rotary positions (relative keys take four times as long)."""
    return Wav2Vec2BertConfig(
        vocab_size=vocab_size, hidden_size=160, num_hidden_layers=4, num_attention_heads=4, intermediate_size=480,
        feature_projection_input_dim=160, position_embeddings_type="rotary", conv_depthwise_kernel_size=15,
        hidden_dropout=0.0, activation_dropout=0.0, attention_dropout=0.0, feat_proj_dropout=0.0, final_dropout=0.0,
        conformer_conv_dropout=0.0, layerdrop=0.0, apply_spec_augment=False, add_adapter=False, ctc_loss_reduction="mean",
        ctc_zero_infinity=True, pad_token_id=pad_token_id, bos_token_id=None, eos_token_id=None, max_source_positions=2000,
    )  # fmt: skip
