"""A family that Attune does not ship (Moonshine): one new file in `recognizers/`, and every room above it knows the model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from transformers import (
    MoonshineConfig,
    MoonshineForConditionalGeneration,
    PreTrainedTokenizerFast,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

import attune.recognizers
from attune.errors import ModelError
from attune.finetuning.tiny import whisper_tokenizer
from attune.operations.hearing import open_on_engine
from attune.params import ModelParams
from attune.recognizers.registry import open_recognizer

THE_NEW_FILE = """
import torch

from attune.recognizers.protocol import Transcript

MODEL_TYPES = frozenset({"moonshine"})
BATCH_S = {"cpu": 30.0, "cuda": 480.0}


def open_checkpoint(checkpoint, device, dtype, params, batch_s):
    return Moonshine(checkpoint, device, dtype)


class Moonshine:
    family, window_s, workers = "moonshine", None, 1

    def __init__(self, checkpoint, device, dtype):
        self.name, self.digest = checkpoint.name, checkpoint.digest
        self._model, self._processor = checkpoint.model.to(device, dtype), checkpoint.processor

    @torch.inference_mode()
    def transcribe(self, clips, nbest=1, *, word_times=False):
        texts = []
        for clip in clips:
            sound = self._processor.feature_extractor(clip, sampling_rate=16_000, return_tensors="pt").input_values
            ids = self._model.generate(sound, max_new_tokens=8)
            texts.append(self._processor.tokenizer.decode(ids[0], skip_special_tokens=True).strip())
        return [Transcript(text, 0.5) for text in texts]
"""


@pytest.fixture(scope="module")
def moonshine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Moonshine checkpoint of random weights, as transformers saves it."""
    folder = tmp_path_factory.mktemp("moonshine")
    torch.manual_seed(0)
    whisper = whisper_tokenizer(["the patient has a fever"] * 5, 280, ("en",), 2)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=whisper.backend_tokenizer, eos_token=whisper.eos_token)
    end = tokenizer.eos_token_id
    config = MoonshineConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, encoder_num_hidden_layers=1, decoder_num_hidden_layers=1,
        encoder_num_attention_heads=2, decoder_num_attention_heads=2, decoder_start_token_id=end, bos_token_id=end,
        eos_token_id=end, pad_token_id=end, initializer_range=0.4,
    )  # fmt: skip
    MoonshineForConditionalGeneration(config).eval().save_pretrained(folder)
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(do_normalize=False), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture
def new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "moonshine.py").write_text(THE_NEW_FILE)
    monkeypatch.setattr(attune.recognizers, "__path__", [*attune.recognizers.__path__, str(tmp_path)])
    yield
    import sys

    sys.modules.pop("attune.recognizers.moonshine", None)


@pytest.mark.usefixtures("new_file")
def test_one_file_in_recognizers_is_all_that_a_new_family_takes(moonshine: Path, params: ModelParams) -> None:
    clip = tiny_models.speech(1.0)
    for open_it in (open_recognizer, open_on_engine):
        recognizer = open_it(str(moonshine), params.model_copy(update={"engine": "auto", "batch_s": None}))
        assert recognizer.family == "moonshine"
        assert recognizer.transcribe([clip, np.zeros(16_000, np.float32)])[0].text


def test_without_the_file_the_model_is_refused_with_the_kinds_that_are_known(moonshine: Path, params: ModelParams) -> None:
    for open_it in (open_recognizer, open_on_engine):
        with pytest.raises(ModelError, match=r"'moonshine' models; .* hubert, wav2vec2, wav2vec2-bert, wavlm, whisper"):
            open_it(str(moonshine), params)


@pytest.mark.usefixtures("new_file")
def test_a_family_that_ctranslate2_was_not_compared_with_is_not_converted(moonshine: Path, params: ModelParams) -> None:
    with pytest.raises(ModelError, match="moonshine models has not been compared"):
        open_on_engine(str(moonshine), params.model_copy(update={"engine": "ctranslate2"}))
