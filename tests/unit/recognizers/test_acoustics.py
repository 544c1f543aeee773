"""The model that heard it tells how likely a text is: as a forward pass by hand says, and its own text above all others."""

from pathlib import Path

import pytest
import tiny_models
import torch

from attune.checkpoints import load_checkpoint
from attune.errors import ModelError
from attune.params import ModelParams
from attune.recognizers.acoustics import open_acoustics
from attune.recognizers.registry import open_recognizer

CLIPS = [tiny_models.speech(1.2, 1), tiny_models.speech(0.7, 2), tiny_models.speech(1.9, 3)]


@pytest.mark.parametrize("kind", ["wav2vec2-layer", "wav2vec2-group", "wav2vec2-bert"])
def test_ctc_texts_are_judged_by_their_letters(models: dict[str, Path], params: ModelParams, kind: str) -> None:
    heard = open_recognizer(str(models[kind]), params).transcribe(CLIPS, nbest=5)
    acoustics = open_acoustics(load_checkpoint(str(models[kind]), None), params)
    texts = [[transcript.alternatives[0].text, "zzz zzz", "123"] for transcript in heard]
    for found, transcript in zip(acoustics.log_probs(CLIPS, texts), heard, strict=True):
        likely, unlikely, unknown = found
        assert likely is not None
        assert unlikely is not None
        assert likely >= transcript.alternatives[0].score - 1e-3
        assert likely > unlikely
        assert unknown is None


@pytest.mark.parametrize("kind", ["whisper", "multilingual"])
def test_whisper_texts_are_teacher_forced(models: dict[str, Path], params: ModelParams, kind: str) -> None:
    checkpoint = load_checkpoint(str(models[kind]), None)
    model, processor = checkpoint.model, checkpoint.processor
    acoustics = open_acoustics(checkpoint, params.model_copy(update={"language": "es" if kind == "multilingual" else None}))
    texts = [["the patient", "a fever and a cough"], ["cough"], []]
    found = acoustics.log_probs(CLIPS, texts)
    assert [len(some) for some in found] == [2, 1, 0]
    prompt = ["<|startoftranscript|>", *(["<|es|>", "<|transcribe|>"] if kind == "multilingual" else []), "<|notimestamps|>"]
    start = processor.tokenizer.convert_tokens_to_ids(prompt)
    for clip, some, scores in zip(CLIPS, texts, found, strict=True):
        features = processor.feature_extractor(clip, sampling_rate=16_000, return_tensors="pt").input_features
        for text, score in zip(some, scores, strict=True):
            ids = [*processor.tokenizer(f" {text}", add_special_tokens=False).input_ids, processor.tokenizer.eos_token_id]
            with torch.inference_mode():
                logits = model(input_features=features, decoder_input_ids=torch.tensor([[*start, *ids[:-1]]])).logits
            by_hand = logits[0, len(start) - 1 :].log_softmax(-1).gather(-1, torch.tensor(ids)[:, None]).sum()
            assert score == pytest.approx(float(by_hand), abs=1e-3)


def test_a_clip_or_a_text_that_is_too_long_has_no_probability(models: dict[str, Path], params: ModelParams) -> None:
    acoustics = open_acoustics(load_checkpoint(str(models["whisper"]), None), params)
    long = tiny_models.speech(tiny_models.WINDOW_S + 0.1)
    assert acoustics.log_probs([long, CLIPS[0]], [["a"], ["cough " * 30, "a"]])[0] == [None]
    assert acoustics.log_probs([CLIPS[0]], [["cough " * 30]]) == [[None]]


def test_a_language_that_nobody_said_is_detected(models: dict[str, Path], params: ModelParams) -> None:
    acoustics = open_acoustics(load_checkpoint(str(models["multilingual"]), None), params)
    assert all(score is not None for (score,) in acoustics.log_probs(CLIPS, [["a"]] * 3))


def test_other_families_are_refused_with_what_to_set(models: dict[str, Path], params: ModelParams) -> None:
    from dataclasses import replace

    other = replace(load_checkpoint(str(models["whisper"]), None), family="moonshine")
    with pytest.raises(ModelError, match="max_acoustic_loss to null"):
        open_acoustics(other, params)
