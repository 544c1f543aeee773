import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import speech
from transformers import Wav2Vec2ForCTC, Wav2Vec2Processor

from attune.checkpoints import load_checkpoint
from attune.errors import ModelError
from attune.export.conversion import refusal
from attune.params import ModelParams
from attune.recognizers.ctc import CtcRecognizer, ctc_input
from attune.recognizers.registry import open_recognizer

_KINDS = ["wav2vec2-layer", "wav2vec2-group", "wav2vec2-bert", "hubert", "wavlm", "mms"]
_CLIPS = [speech(1.0, 1), speech(2.51, 2), speech(1.0, 3), speech(0.43, 4), speech(1.77, 5)]


def _open(models: dict[str, Path], params: ModelParams, kind: str) -> CtcRecognizer:
    recognizer = open_recognizer(str(models[kind]), params)
    assert isinstance(recognizer, CtcRecognizer)
    return recognizer


@pytest.mark.parametrize("kind", _KINDS)
def test_padding_never_changes_what_is_heard(models: dict[str, Path], params: ModelParams, kind: str) -> None:
    recognizer = _open(models, params, kind)
    together = recognizer.emissions(_CLIPS)
    alone = [recognizer.emissions([clip])[0] for clip in _CLIPS]
    for batched, single in zip(together, alone, strict=True):
        assert batched.log_probs.shape == single.log_probs.shape
        np.testing.assert_allclose(batched.log_probs, single.log_probs, atol=2e-3)
    texts = [t.text for t in recognizer.transcribe(_CLIPS)]
    assert texts == [recognizer.transcribe([clip])[0].text for clip in _CLIPS]
    assert len(set(texts)) > 1


def test_group_normalisation_does_hear_padding_if_it_is_given_any(models: dict[str, Path]) -> None:
    model = Wav2Vec2ForCTC.from_pretrained(models["wav2vec2-group"])
    clip = torch.from_numpy(speech(1.0, 1))[None]
    with torch.no_grad():
        plain, padded = model(clip).logits, model(torch.nn.functional.pad(clip, (0, 16_000))).logits
    assert (plain - padded[:, : plain.shape[1]]).abs().max() > 0.01


@pytest.mark.parametrize("kind", _KINDS)
def test_text_is_that_of_the_tokenizer(models: dict[str, Path], params: ModelParams, kind: str) -> None:
    checkpoint = load_checkpoint(str(models[kind]), None)
    heard = _open(models, params, kind).transcribe(_CLIPS)
    assert any(transcript.text for transcript in heard)
    for clip, transcript in zip(_CLIPS, heard, strict=True):
        with torch.no_grad():
            logits = checkpoint.model(torch.from_numpy(ctc_input(checkpoint.processor.feature_extractor, clip))[None]).logits
        expected = checkpoint.processor.tokenizer.decode(logits[0].argmax(-1)).replace("<unk>", "")
        assert " ".join(expected.split()) == transcript.text


@pytest.mark.parametrize("kind", _KINDS)
def test_words_have_confidences_and_times_in_order(models: dict[str, Path], params: ModelParams, kind: str) -> None:
    heard = _open(models, params, kind).transcribe(_CLIPS)
    assert any(transcript.words for transcript in heard)
    for clip, transcript in zip(_CLIPS, heard, strict=True):
        assert " ".join(word.text for word in transcript.words) == transcript.text
        assert all(0 < word.confidence <= 1 for word in transcript.words)
        times = [t for word in transcript.words for t in (word.start_s, word.end_s) if t is not None]
        assert all(a <= b for a, b in pairwise(times))
        assert times[-1] <= len(clip) / 16_000 + 0.06


@pytest.mark.parametrize(("kind", "frame_s"), [("wav2vec2-layer", 0.02), ("wav2vec2-bert", 0.03)])
def test_emissions_are_probabilities_of_frames_of_known_length(
    models: dict[str, Path], params: ModelParams, kind: str, frame_s: float
) -> None:
    (emissions,) = _open(models, params, kind).emissions([speech(2.0)])
    np.testing.assert_allclose(np.exp(emissions.log_probs).sum(-1), 1.0, atol=1e-5)
    assert emissions.frame_s == pytest.approx(frame_s)
    assert len(emissions.log_probs) == pytest.approx(2.0 / frame_s, abs=2)
    assert emissions.labels[:4] == ("", "", " ", "a")
    assert emissions.blank == 0


def test_nbest_holds_the_text_and_is_ordered(models: dict[str, Path], params: ModelParams) -> None:
    heard = _open(models, params, "wav2vec2-bert").transcribe(_CLIPS, nbest=3)
    for transcript in heard:
        texts = [alternative.text for alternative in transcript.alternatives]
        assert transcript.text in texts
        assert 1 < len(texts) <= 3
        assert len(set(texts)) == len(texts)
        assert all(a.score >= b.score for a, b in pairwise(transcript.alternatives))


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("seconds", [0.0, 0.01, 31.0])
def test_a_clip_of_any_length_is_heard(models: dict[str, Path], params: ModelParams, kind: str, seconds: float) -> None:
    (heard,) = _open(models, params, kind).transcribe([speech(seconds)])
    assert 0 < heard.confidence <= 1


def test_a_model_of_many_languages_speaks_the_one_that_is_asked_for(models: dict[str, Path], params: ModelParams) -> None:
    as_it_is, english, greek = (
        open_recognizer(str(models["mms"]), params.model_copy(update={"language": code})) for code in (None, "eng", "ell")
    )
    plain, in_english, in_greek = ([t.text for t in r.transcribe(_CLIPS)] for r in (as_it_is, english, greek))
    assert plain == in_english
    assert all(set(text) <= set("αβγδεζηθικλμνξοπρστυφχψω ") for text in in_greek)
    assert any(in_greek)
    assert greek.digest != english.digest
    processor, model = Wav2Vec2Processor.from_pretrained(models["mms"]), Wav2Vec2ForCTC.from_pretrained(models["mms"])
    processor.tokenizer.set_target_lang("ell")
    model.load_adapter("ell", use_safetensors=True)
    ids = model(**processor(_CLIPS[0], sampling_rate=16_000, return_tensors="pt")).logits.argmax(-1)
    assert processor.batch_decode(ids)[0].split() == in_greek[0].split()


def test_a_language_without_weights_is_refused_with_those_that_have_some(models: dict[str, Path], params: ModelParams) -> None:
    with pytest.raises(ModelError, match=r"model\.language 'fra'; it speaks 'eng' as it is.*weights here for: ell, eng"):
        open_recognizer(str(models["mms"]), params.model_copy(update={"language": "fra"}))


def test_weights_of_another_language_do_not_make_it_another_model(
    models: dict[str, Path], params: ModelParams, tmp_path: Path
) -> None:
    copy = shutil.copytree(models["mms"], tmp_path / "mms")
    spoken = params.model_copy(update={"language": "ell"})
    (copy / "adapter.eng.safetensors").unlink()
    assert open_recognizer(str(copy), spoken).digest == open_recognizer(str(models["mms"]), spoken).digest


def test_a_model_of_many_languages_is_not_converted(models: dict[str, Path]) -> None:
    checkpoint = load_checkpoint(str(models["mms"]), None, "ell")
    assert "adapter_attn_dim is 4" in (refusal("ctc", checkpoint.config) or "")


def test_a_tuned_model_of_many_languages_speaks_the_one_it_was_tuned_in(
    models: dict[str, Path], params: ModelParams, tmp_path: Path
) -> None:
    spoken = params.model_copy(update={"language": "ell"})
    checkpoint = load_checkpoint(str(models["mms"]), None, "ell")
    checkpoint.model.save_pretrained(tmp_path)
    checkpoint.processor.save_pretrained(tmp_path)
    before, after = (open_recognizer(name, spoken).transcribe(_CLIPS) for name in (str(models["mms"]), str(tmp_path)))
    assert [t.text for t in after] == [t.text for t in before]


def test_a_tokenizer_that_cannot_write_what_the_model_says_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(models["wav2vec2-layer"], tmp_path / "copy")
    (copy / "vocab.json").write_text('{"<pad>": 0, "<unk>": 1, "|": 2, "a": 3}')
    with pytest.raises(ModelError, match="not of one model"):
        load_checkpoint(str(copy), None)
