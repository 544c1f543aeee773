import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from tiny_models import WINDOW_S, speech
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from attune.errors import ModelError
from attune.params import ModelParams
from attune.recognizers.registry import open_recognizer

_CLIPS = [speech(0.7, 1), speech(2.0, 2), speech(1.3, 3), speech(0.2, 4)]


@pytest.mark.parametrize("kind", ["whisper", "multilingual"])
def test_text_is_that_of_greedy_generate(models: dict[str, Path], params: ModelParams, kind: str) -> None:
    prompt = {"language": "es", "task": "transcribe"} if kind == "multilingual" else {}
    spoken = params.model_copy(update={"language": prompt.get("language")})
    heard = open_recognizer(str(models[kind]), spoken).transcribe(_CLIPS)
    model = WhisperForConditionalGeneration.from_pretrained(models[kind])
    processor = WhisperProcessor.from_pretrained(models[kind])
    features = processor.feature_extractor(_CLIPS, sampling_rate=16_000, return_tensors="pt").input_features
    ids = model.generate(features, num_beams=1, **prompt)[:, :12]  # half the context, as OpenAI's decoder
    expected = [" ".join(text.split()) for text in processor.batch_decode(ids, skip_special_tokens=True)]
    assert [transcript.text for transcript in heard] == expected
    assert len(set(expected)) > 1


def test_a_batch_hears_what_single_clips_hear(models: dict[str, Path], params: ModelParams) -> None:
    recognizer = open_recognizer(str(models["whisper"]), params)
    together = recognizer.transcribe(_CLIPS, nbest=3)
    alone = [recognizer.transcribe([clip], nbest=3)[0] for clip in _CLIPS]
    assert [t.text for t in together] == [t.text for t in alone]
    assert [t.confidence for t in together] == pytest.approx([t.confidence for t in alone], rel=1e-3)


@pytest.mark.parametrize("seconds", [0.0, WINDOW_S, WINDOW_S + 0.01, 2 * WINDOW_S, 3.3 * WINDOW_S])
def test_a_clip_of_any_length_is_heard(models: dict[str, Path], params: ModelParams, seconds: float) -> None:
    (heard,) = open_recognizer(str(models["whisper"]), params).transcribe([speech(seconds)], nbest=2)
    assert 0 < heard.confidence <= 1
    assert heard.text in [alternative.text for alternative in heard.alternatives]


def test_a_long_clip_is_the_texts_of_its_pieces(models: dict[str, Path], params: ModelParams) -> None:
    from attune.recognizers.windows import cut

    recognizer = open_recognizer(str(models["whisper"]), params)
    clip = speech(5.0, 7)
    pieces = recognizer.transcribe(cut(clip, WINDOW_S * 16_000))
    assert len(pieces) > 2
    assert recognizer.transcribe([clip])[0].text == " ".join(piece.text for piece in pieces)


def test_words_are_the_text_with_confidences(models: dict[str, Path], params: ModelParams) -> None:
    heard = open_recognizer(str(models["whisper"]), params).transcribe(_CLIPS)
    assert any(transcript.words for transcript in heard)
    for transcript in heard:
        assert " ".join(word.text for word in transcript.words) == transcript.text
        assert all(0 < word.confidence <= 1 for word in transcript.words)


def test_nbest_holds_the_text_and_is_ordered_without_repeats(models: dict[str, Path], params: ModelParams) -> None:
    heard = open_recognizer(str(models["whisper"]), params).transcribe([*_CLIPS, speech(4.5, 9)], nbest=4)
    for transcript in heard:
        texts = [alternative.text for alternative in transcript.alternatives]
        assert transcript.text in texts
        assert 1 < len(texts) <= 4
        assert len(set(texts)) == len(texts)
        assert all(a.score >= b.score for a, b in pairwise(transcript.alternatives))


def test_a_multilingual_model_is_told_the_language(models: dict[str, Path], params: ModelParams) -> None:
    spanish, german = (params.model_copy(update={"language": code}) for code in ("es", "de"))
    first, second = (open_recognizer(str(models["multilingual"]), p) for p in (spanish, german))
    assert first.digest != second.digest
    assert [t.text for t in first.transcribe(_CLIPS)] != [t.text for t in second.transcribe(_CLIPS)]


@pytest.mark.parametrize(("kind", "language", "hint"), [("whisper", "es", "English only"), ("multilingual", "xx", "de, en, es")])
def test_a_language_that_the_model_lacks_is_refused(
    models: dict[str, Path], params: ModelParams, kind: str, language: str, hint: str
) -> None:
    with pytest.raises(ModelError, match=hint):
        open_recognizer(str(models[kind]), params.model_copy(update={"language": language}))


def test_bfloat16_is_heard_on_a_cpu_too(models: dict[str, Path], params: ModelParams) -> None:
    recognizer = open_recognizer(str(models["whisper"]), params.model_copy(update={"precision": "bfloat16"}))
    assert len(recognizer.transcribe(_CLIPS, nbest=2)) == len(_CLIPS)


def test_a_checkpoint_that_says_nothing_of_languages_is_heard_like_one_that_does(
    models: dict[str, Path], params: ModelParams, tmp_path: Path
) -> None:
    old = shutil.copytree(models["multilingual"], tmp_path / "old")
    told = json.loads((old / "generation_config.json").read_text())
    for name in ("is_multilingual", "lang_to_id", "task_to_id", "no_timestamps_token_id"):
        del told[name]
    (old / "generation_config.json").write_text(json.dumps(told))
    for language in ("es", None):
        spoken = params.model_copy(update={"language": language})
        expected, found = (open_recognizer(str(name), spoken).transcribe(_CLIPS) for name in (models["multilingual"], old))
        assert [t.text for t in found] == [t.text for t in expected]
        assert [t.language for t in found] == [t.language for t in expected]
        assert (found[0].language is None) == (language == "es")
