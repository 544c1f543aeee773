"""Letters outside a CTC vocabulary: left out, written with near ones, or learnt; then saved, loaded again, heard and exported."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from safetensors.torch import load_file
from test_training import LORA, TINY, params, tiny

from attune.checkpoints import Checkpoint, TrainingRecord, load_checkpoint, outline, write_training_record
from attune.errors import ModelError, TrainingError
from attune.export.conversion import convert
from attune.finetuning.families import CtcFamily, Example, family_of
from attune.finetuning.resuming import forget
from attune.finetuning.training import finetune
from attune.finetuning.vocabulary import extend, fitted, mapped
from attune.params import GREEDY, NO_QUESTION, ModelParams
from attune.recognizers.registry import open_recognizer, recognizer_of

GREEK_AND_ACCENTS = [Example(str(n), text, 1.0) for n, text in enumerate(["né", "go", "λó", "stop"])]


class Tunes:
    """A tune of its own for each id, a second long."""

    def __getitem__(self, utterance_id: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        return tiny_models.speech(1.0, int(utterance_id))


def family(checkpoint: Checkpoint) -> CtcFamily:
    made = family_of("ctc", checkpoint.model, checkpoint.processor, None)
    assert isinstance(made, CtcFamily)
    return made


def model_params(name: str) -> ModelParams:
    return ModelParams(
        name=name, folder=Path(name), revision=None,
        language=None, task="transcribe", long_audio="pauses", safeguards=GREEDY, device="cpu",
        engine="transformers", precision="float32", batch_s=10.0, detection=NO_QUESTION,
    )  # fmt: skip


def test_drop_leaves_the_texts_out_and_counts_utterances_and_letters(tmp_path: Path) -> None:
    report = finetune(tiny("ctc"), GREEK_AND_ACCENTS, [], Tunes(), params(epochs=1), None, tmp_path / "out", tmp_path / "work")
    assert report.trained_utterances == 2
    assert report.dropped == {"character_outside_vocabulary": 2}
    assert report.metrics()["outside_vocabulary"] == {
        "policy": "drop", "utterances": 2, "characters": 3, "letters": {"é": 1, "ó": 1, "λ": 1}, "learnt": "",
    }  # fmt: skip
    json.dumps(report.metrics())


def test_map_writes_near_letters_and_leaves_out_what_has_none(tmp_path: Path) -> None:
    settings = params(epochs=1, vocabulary="map")
    report = finetune(tiny("ctc"), GREEK_AND_ACCENTS, [], Tunes(), settings, None, tmp_path / "out", tmp_path / "work")
    assert report.trained_utterances == 3
    assert report.dropped == {"character_outside_vocabulary": 1}
    assert report.outside_vocabulary["letters"] == {"é": 1, "ó": 1, "λ": 1}
    checkpoint = tiny("ctc")
    texts, _ = fitted(GREEK_AND_ACCENTS, family(checkpoint), checkpoint, "map")
    assert [e.text for e in texts] == ["ne", "go", "λo", "stop"]


@pytest.mark.parametrize(
    ("text", "letters", "written"),
    [
        ("größe", "abcdefghijklmnopqrstuvwxyz", "grosse"),
        ("i\u0307stanbul ğ", "abcdefghijklmnopqrstuvwxyz ", "istanbul g"),
        ("øre łódź", "abcdefghijklmnopqrstuvwxyz ", "ore lodz"),
        ("ﬁ é", "fieé ", "fi é"),
        ("æ 日", "ae ", "æ 日"),
        ("É", "E", "E"),
    ],
)
def test_near_letters(text: str, letters: str, written: str) -> None:
    assert mapped(text, letters.__contains__) == written


def test_texts_within_the_vocabulary_change_nothing(tmp_path: Path) -> None:
    checkpoint = tiny("ctc")
    examples, outside = fitted(GREEK_AND_ACCENTS[1::2], family(checkpoint), checkpoint, "extend")
    assert (examples, outside) == (GREEK_AND_ACCENTS[1::2], None)
    assert checkpoint.model.config.vocab_size == 30
    whisper = tiny("whisper")
    assert fitted(GREEK_AND_ACCENTS, family_of("whisper", whisper.model, whisper.processor, None), whisper, "drop")[1] is None


def test_new_letters_change_nothing_that_was_heard_until_they_are_learnt() -> None:
    checkpoint, base = tiny("ctc"), tiny("ctc")
    extend(checkpoint, "éλ")
    tokenizer = checkpoint.processor.tokenizer
    assert tokenizer("é λ").input_ids == [30, 2, 31]
    assert tokenizer.decode([30, 0, 2, 31]) == "é λ"
    features = torch.from_numpy(family(base).features(tiny_models.speech(1.0)))[None]
    with torch.no_grad():
        before, after = (c.model(input_features=features).logits for c in (base, checkpoint))
    assert torch.equal(before, after[..., :30])
    assert torch.allclose(after[..., 30], before[..., 7] - 2.0, atol=1e-5)
    assert torch.equal(before.argmax(-1), after.argmax(-1))


@pytest.mark.parametrize(("method", "part"), [("lora", "both"), ("full", "encoder"), ("qlora", "both")])
def test_extend_learns_new_letters_and_the_tuned_folder_hears_them(method: str, part: str, tmp_path: Path) -> None:
    if method == "qlora":
        pytest.importorskip("bitsandbytes")
    settings = params(
        method=method,
        part=part,
        batch_size=2,
        epochs=30,
        evaluations_per_epoch=0.01,
        learning_rate={"lora": 1e-2, "full": 3e-3},
        lora=LORA | {"rank": 16},
        vocabulary="extend",
    )
    report = finetune(tiny("ctc"), GREEK_AND_ACCENTS, [], Tunes(), settings, None, tmp_path / "out", tmp_path / "work")
    assert report.dropped == {}
    assert report.outside_vocabulary["learnt"] == "éóλ"
    write_training_record(tmp_path / "out", TrainingRecord(str(TINY["ctc"]), None, settings.method, "ctc"))
    tuned = load_checkpoint(str(tmp_path / "out"), None)
    assert tuned.config.vocab_size == tuned.model.lm_head.out_features == 33
    assert outline(str(tmp_path / "out"), None).digest == tuned.digest
    heard = recognizer_of(tuned, model_params("x")).transcribe([Tunes()[e.id] for e in GREEK_AND_ACCENTS])
    if method != "qlora":  # so small a model feels four bits
        assert [h.text for h in heard] == [e.text for e in GREEK_AND_ACCENTS]
    export = convert(tuned, "base", "float32", tmp_path / "ct2")
    assert (export.engine, export.vocab_size) == ("transformers", 33)
    exported = open_recognizer(str(tmp_path / "ct2"), model_params(str(tmp_path / "ct2")))
    assert [h.text for h in exported.transcribe([Tunes()[e.id] for e in GREEK_AND_ACCENTS])] == [h.text for h in heard]


def test_the_base_beside_extended_adapters_stays_as_it_was(tmp_path: Path) -> None:
    settings = params(epochs=1, vocabulary="extend")
    finetune(tiny("ctc"), GREEK_AND_ACCENTS, [], Tunes(), settings, None, tmp_path / "out", tmp_path / "work")
    saved = load_file(tmp_path / "out" / "lora_adapters" / "adapter_model.safetensors")
    assert saved["base_model.model.lm_head.weight"].shape == (33, 160)
    assert tiny("ctc").config.vocab_size == 30
    again = load_checkpoint(str(tmp_path / "out" / "lora_adapters"), None)
    more = [Example("0", "ж é", 1.0)]
    finetune(again, more, [], Tunes(), settings, None, tmp_path / "second", tmp_path / "work")
    both = load_checkpoint(str(tmp_path / "second" / "lora_adapters"), None)
    assert both.processor.tokenizer("é ж").input_ids == [30, 2, 33]
    (tmp_path / "out" / "lora_adapters" / "vocab.json").unlink()
    with pytest.raises(ModelError):
        load_checkpoint(str(tmp_path / "out" / "lora_adapters"), None)


def test_models_of_many_languages_get_letters_in_the_one_they_are_tuned_in(tmp_path: Path) -> None:
    base = str(tiny_models.make_mms(tmp_path / "mms"))
    settings = params(epochs=1, vocabulary="extend", lora=LORA | {"rank": 4})
    greek = [Example("0", "ά λ", 1.0), Example("1", "ω", 1.0)]
    finetune(load_checkpoint(base, None, "ell"), greek, [], Tunes(), settings, "ell", tmp_path / "out", tmp_path / "work")
    tuned = load_checkpoint(str(tmp_path / "out" / "lora_adapters"), None, "ell")
    assert tuned.processor.tokenizer("ά λ").input_ids == [27, 2, 13]
    assert tuned.model.lm_head.out_features == 28


def test_what_ctranslate2_converts_has_the_new_letters_too(tmp_path: Path) -> None:
    base = str(tiny_models.make_wav2vec2(tmp_path / "base", "layer"))
    settings = params(epochs=1, vocabulary="extend", learning_rate={"lora": 1e-4, "full": 1e-4})
    finetune(load_checkpoint(base, None), GREEK_AND_ACCENTS, [], Tunes(), settings, None, tmp_path / "out", tmp_path / "work")
    tuned = load_checkpoint(str(tmp_path / "out" / "lora_adapters"), None)
    head = tuned.model.lm_head
    with torch.no_grad():  # as if it had learnt to hear them where it hears h, v and y now
        often = [tuned.processor.tokenizer.convert_tokens_to_ids(letter) for letter in "hvy"]
        head.weight[30:], head.bias[30:] = head.weight[often], head.bias[often] + 0.1
    export = convert(tuned, "base", "float32", tmp_path / "ct2")
    assert (export.engine, export.vocab_size) == ("ctranslate2", 33)
    clips = [Tunes()[e.id] for e in GREEK_AND_ACCENTS] + [tiny_models.speech(1.0, seed) for seed in range(4)]
    texts = [h.text for h in recognizer_of(tuned, model_params("x")).transcribe(clips)]
    assert set("".join(texts)) & set("éóλ")
    params_ct2 = model_params(str(tmp_path / "ct2")).model_copy(update={"engine": "ctranslate2"})
    exported = open_recognizer(str(tmp_path / "ct2"), params_ct2)
    assert [h.text for h in exported.transcribe(clips)] == texts


def test_resumed_training_with_new_letters_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from attune.finetuning import training

    settings = params(epochs=3, batch_size=2, vocabulary="extend", keep_learnt=0.5)

    def tune(name: str) -> dict[str, torch.Tensor]:
        report = finetune(tiny("ctc"), GREEK_AND_ACCENTS, [], Tunes(), settings, None, tmp_path / name, tmp_path / "work")
        forget(report.checkpoints)
        return load_file(tmp_path / name / "lora_adapters" / "adapter_model.safetensors")

    calm, plain, steps = tune("calm"), training.WerTrainer.training_step, 0

    def killed(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt
        return plain(self, *arguments, **named)

    monkeypatch.setattr(training.WerTrainer, "training_step", killed)
    with pytest.raises(KeyboardInterrupt):
        tune("storm")
    monkeypatch.undo()
    assert list((tmp_path / "work").glob("*/checkpoint-*"))
    storm = tune("storm")
    assert all(torch.equal(calm[name], storm[name]) for name in calm)
    assert np.isfinite(storm["base_model.model.lm_head.weight"].numpy()).all()


def test_nothing_but_letters_without_near_ones_is_an_error(tmp_path: Path) -> None:
    only = [Example("0", "日本", 1.0)]
    with pytest.raises(TrainingError, match="character_outside_vocabulary"):
        finetune(tiny("ctc"), only, [], Tunes(), params(vocabulary="map"), None, tmp_path / "o", tmp_path / "w")
