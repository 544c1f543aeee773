"""An export of a published kind (30 s, 448 positions) works in stock faster-whisper by its path alone."""

import numpy as np
import pytest
import tiny_models
from faster_whisper import BatchedInferencePipeline, WhisperModel

from attune.checkpoints import load_checkpoint
from attune.export.conversion import convert

_SOUND = np.concatenate([tiny_models.speech(20.0, 1), np.zeros(32_000, np.float32), tiny_models.speech(18.0, 2)])


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> WhisperModel:
    folder = tmp_path_factory.mktemp("models")
    base = tiny_models.make_whisper(folder / "base", multilingual=True, window_s=30, mels=128, positions=448)
    convert(load_checkpoint(str(base), None), "base", "int8", folder / "ct2")
    return WhisperModel(str(folder / "ct2"), device="cpu", local_files_only=True)


def test_it_is_what_the_folder_says(stock: WhisperModel) -> None:
    assert (stock.feature_extractor.mel_filters.shape[0], stock.feature_extractor.chunk_length) == (128, 30)
    assert stock.model.is_multilingual
    assert stock.model.compute_type == "int8_float32"
    assert set(stock.supported_languages) >= {"en", "es", "de"}


def test_words_have_times(stock: WhisperModel) -> None:
    segments, told = stock.transcribe(_SOUND, language="es", word_timestamps=True, temperature=0.0, max_new_tokens=20)
    words = [word for segment in segments for word in segment.words or ()]
    assert told.duration == pytest.approx(40.0)
    assert len(words) > 2
    assert all(0 <= word.start <= word.end <= 40 for word in words)


def test_batches_are_heard(stock: WhisperModel) -> None:
    clips = [{"start": 0.0, "end": 20.0}, {"start": 22.0, "end": 40.0}]
    segments, _ = BatchedInferencePipeline(stock).transcribe(
        _SOUND, language="es", batch_size=2, word_timestamps=True, clip_timestamps=clips, vad_filter=False, max_new_tokens=20
    )
    heard = list(segments)
    assert len(heard) > 1
    assert {segment.start >= 20 for segment in heard} == {True, False}
    assert any(segment.words for segment in heard)
