import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import WhisperModel
from tiny_models import speech

from attune.checkpoints import load_checkpoint
from attune.errors import ModelError
from attune.export.conversion import convert
from attune.params import ModelParams, Quantization
from attune.recognizers.ct2 import choose_compute_type
from attune.recognizers.ctc import CtcRecognizer
from attune.recognizers.registry import open_recognizer

_CLIPS = [speech(0.7, 1), speech(2.0, 2), speech(1.3, 3), speech(5.1, 4)]


def _exported(models: dict[str, Path], kind: str, quantization: Quantization, folder: Path) -> Path:
    convert(load_checkpoint(str(models[kind]), None), kind, quantization, folder)
    return folder


@pytest.mark.parametrize(("kind", "language"), [("whisper", None), ("multilingual", "de"), ("multilingual", None)])
def test_text_and_confidence_are_those_of_transformers(
    models: dict[str, Path], params: ModelParams, tmp_path: Path, kind: str, language: str | None
) -> None:
    spoken = params.model_copy(update={"language": language})
    tuned = open_recognizer(str(models[kind]), spoken).transcribe(_CLIPS, nbest=3)
    exported = open_recognizer(str(_exported(models, kind, "float32", tmp_path / "ct2")), spoken).transcribe(_CLIPS, nbest=3)
    assert [t.text for t in exported] == [t.text for t in tuned]
    assert len({t.text for t in tuned}) > 1
    assert [t.confidence for t in exported] == pytest.approx([t.confidence for t in tuned], rel=1e-3)
    for one, other in zip(exported, tuned, strict=True):
        assert [w.text for w in one.words] == [w.text for w in other.words]
        assert [w.confidence for w in one.words] == pytest.approx([w.confidence for w in other.words], rel=1e-3)
        assert one.text in [alternative.text for alternative in one.alternatives]


@pytest.mark.parametrize("quantization", ["int8", "float16", "bfloat16", "int8_float16"])
def test_every_quantization_can_be_heard_on_this_device(
    models: dict[str, Path], params: ModelParams, tmp_path: Path, quantization: Quantization
) -> None:
    recognizer = open_recognizer(str(_exported(models, "whisper", quantization, tmp_path / "ct2")), params)
    assert len(recognizer.transcribe(_CLIPS)) == len(_CLIPS)


def test_the_right_kind_of_wav2vec2_hears_the_same(models: dict[str, Path], params: ModelParams, tmp_path: Path) -> None:
    tuned = open_recognizer(str(models["wav2vec2-layer"]), params)
    exported = open_recognizer(str(_exported(models, "wav2vec2-layer", "float32", tmp_path / "ct2")), params)
    assert isinstance(tuned, CtcRecognizer)
    assert isinstance(exported, CtcRecognizer)
    assert [t.text for t in exported.transcribe(_CLIPS)] == [t.text for t in tuned.transcribe(_CLIPS)]
    for one, other in zip(exported.emissions(_CLIPS), tuned.emissions(_CLIPS), strict=True):
        assert (one.labels, one.blank, one.frame_s) == (other.labels, other.blank, other.frame_s)
        np.testing.assert_allclose(one.log_probs, other.log_probs, atol=1e-2)


def test_compute_type_is_one_that_the_device_has() -> None:
    assert choose_compute_type("float16", "cpu") == "float32"
    assert choose_compute_type("int8_float16", "cpu") in ("int8_float32", "int8")
    assert choose_compute_type("anything else", "cpu") == "float32"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("tokenizer.json", r"has no tokenizer\.json"),
        ("generation_config.json", "has no generation_config"),
        ("config.json", "has no config"),
    ],
)
def test_a_missing_file_is_one_line(
    models: dict[str, Path], params: ModelParams, tmp_path: Path, file: str, message: str
) -> None:
    folder = _exported(models, "whisper", "float32", tmp_path / "ct2")
    (folder / file).unlink()
    with pytest.raises(ModelError, match=message):
        open_recognizer(str(folder), params)


def test_a_damaged_model_is_one_line(models: dict[str, Path], params: ModelParams, tmp_path: Path) -> None:
    folder = _exported(models, "whisper", "float32", tmp_path / "ct2")
    (folder / "model.bin").write_bytes((folder / "model.bin").read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be opened as a CTranslate2 model"):
        open_recognizer(str(folder), params)


def test_a_folder_without_a_card_is_taken_for_whisper(models: dict[str, Path], params: ModelParams, tmp_path: Path) -> None:
    folder = _exported(models, "whisper", "float32", tmp_path / "ct2")
    with_card = open_recognizer(str(folder), params).transcribe(_CLIPS)
    bare = Path(shutil.copytree(folder, tmp_path / "bare"))
    assert json.loads((bare / "attune.json").read_text())["engine"] == "ctranslate2"
    (bare / "attune.json").unlink()
    assert [t.text for t in open_recognizer(str(bare), params).transcribe(_CLIPS)] == [t.text for t in with_card]


def test_where_nothing_is_heard_the_scores_are_finite(models: dict[str, Path], params: ModelParams, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(str(models["whisper"]), None)
    end = checkpoint.config.eos_token_id
    generation = checkpoint.model.generation_config
    generation.suppress_tokens = [token for token in range(checkpoint.config.vocab_size) if token != end]
    convert(checkpoint, "mute", "float32", tmp_path / "ct2")
    mute = open_recognizer(str(tmp_path / "ct2"), params).transcribe(_CLIPS, nbest=3)
    assert [t.text for t in mute] == [""] * len(_CLIPS)
    assert all(0 < t.confidence <= 1 for t in mute)
    assert all(np.isfinite(alternative.score) for t in mute for alternative in t.alternatives)


def test_stock_faster_whisper_says_the_same_with_what_is_converted_of_a_published_kind(
    models: dict[str, Path], params: ModelParams, tmp_path: Path
) -> None:
    folder = _exported(models, "large-v3", "float32", tmp_path / "ct2")
    clips = [speech(3.0, 1), speech(29.0, 2)]
    spoken = params.model_copy(update={"language": "es"})
    tuned, exported = (open_recognizer(str(name), spoken).transcribe(clips) for name in (models["large-v3"], folder))
    stock = WhisperModel(str(folder), device="cpu", compute_type="float32")
    never = json.loads((folder / "generation_config.json").read_text())["suppress_tokens"]
    greedy = {"beam_size": 1, "temperature": 0.0, "without_timestamps": True, "suppress_tokens": never, "vad_filter": False}
    unguarded = {"compression_ratio_threshold": None, "log_prob_threshold": None, "no_speech_threshold": None}
    for clip, one, other in zip(clips, tuned, exported, strict=True):
        padded = np.pad(clip, (0, 30 * 16_000 - clip.size))  # it would fill up the features instead, with another value
        segments, _ = stock.transcribe(padded, language="es", **greedy, **unguarded)
        text = " ".join(" ".join(segment.text for segment in segments).split())
        assert text == one.text == other.text
        assert text


@pytest.mark.parametrize("file", ["attune.json", "tokenizer_config.json", "vocab.json", "preprocessor_config.json"])
@pytest.mark.parametrize("content", ["", "[1]", "null", '{"cut'])
def test_a_damaged_file_is_one_line(
    models: dict[str, Path], params: ModelParams, tmp_path: Path, file: str, content: str
) -> None:
    folder = _exported(models, "wav2vec2-layer", "float32", tmp_path / "ct2")
    (folder / file).write_text(content)
    with pytest.raises(ModelError, match=r"^[^\n]*$"):
        open_recognizer(str(folder), params)


def test_a_folder_as_others_convert_it_is_heard_like_ours(models: dict[str, Path], params: ModelParams, tmp_path: Path) -> None:
    ours, theirs = _exported(models, "large-v3", "float32", tmp_path / "ours"), tmp_path / "theirs"
    theirs.mkdir()
    for file in ("config.json", "model.bin", "tokenizer.json", "vocabulary.json"):
        shutil.copy(ours / file, theirs)
    one, other = (open_recognizer(str(folder), params).transcribe(_CLIPS[:2]) for folder in (ours, theirs))
    assert [t.language for t in one] == [t.language for t in other]
    assert [t.text[:5] for t in one] == [t.text[:5] for t in other]  # ours is told to leave out marks, and not how many tokens
