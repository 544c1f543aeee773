"""Labels are OpenAI's format, drawn by id and pass; models keep saying when something was said, in any of their languages."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from test_training import EXAMPLES, Tones, params, tiny

from attune.checkpoints import Checkpoint, load_checkpoint
from attune.finetuning import windowing
from attune.finetuning.families import Example, WhisperFamily, family_of
from attune.finetuning.prompts import Segment, Writing, joined, language_of_tags
from attune.finetuning.timestamps import Labels, with_speech_spans
from attune.finetuning.training import finetune


def family(checkpoint: Checkpoint, language: str | None = None) -> WhisperFamily:
    made = family_of("whisper", checkpoint.model, checkpoint.processor, language)
    assert isinstance(made, WhisperFamily)
    return made


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.make_whisper(tmp_path_factory.mktemp("many"), multilingual=True)


SEGMENTS = [Segment(0.0, 0.613, "a fever"), Segment(0.98, 1.8, "and a cough")]


def test_timed_labels_are_what_the_tokenizer_makes_of_openais_notation(multilingual: Path) -> None:
    checkpoint = load_checkpoint(str(multilingual), None)
    tokenizer = checkpoint.processor.tokenizer
    written = "<|es|><|transcribe|><|0.00|>a fever<|0.62|><|0.98|> and a cough<|1.80|><|endoftext|>"
    ids = family(checkpoint).writing.timed(SEGMENTS, "es")
    assert ids == tokenizer(written, add_special_tokens=False).input_ids
    heard = tokenizer.decode(ids, skip_special_tokens=True, output_offsets=True)
    assert [(part["timestamp"], part["text"]) for part in heard["offsets"]] == [
        ((0.0, 0.62), "a fever"),
        ((0.98, 1.8), " and a cough"),
    ]
    assert heard["text"] == "a fever and a cough"


def test_plain_labels_are_the_tokenizers_own(multilingual: Path) -> None:
    checkpoint = load_checkpoint(str(multilingual), None)
    tokenizer = checkpoint.processor.tokenizer
    before = json.dumps(tokenizer.init_kwargs, default=str)
    ids = family(checkpoint, "de").labels("a fever")
    assert family(checkpoint, "de").labels("a fever", "es") != ids
    assert json.dumps(tokenizer.init_kwargs, default=str) == before
    tokenizer.set_prefix_tokens(language="de", task="transcribe")
    assert [checkpoint.model.config.decoder_start_token_id, *ids] == tokenizer("a fever").input_ids
    english = tiny("whisper")
    assert [english.model.config.decoder_start_token_id, *family(english).labels("go back")] == english.processor.tokenizer(
        "go back"
    ).input_ids


def test_a_share_of_the_windows_is_timed_anew_in_each_pass_and_alike_in_the_same() -> None:
    some = [Example(str(n), "go back", 1.0, speech_s=(0.1, 0.9)) for n in range(400)]
    writer = Labels(family(tiny("whisper")), 0.25, seed=3)
    passes = [[len(writer.of(example, number)) for example in some] for number in (0, 0, 1)]
    assert passes[0] == passes[1] != passes[2]
    shares = [np.mean(np.array(lengths) == max(lengths)) for lengths in passes]
    assert shares == pytest.approx([0.25] * 3, abs=0.07)
    assert [writer.of(e, 0) for e in reversed(some)] == [writer.of(e, 0) for e in some][::-1]


def test_timestamps_follow_the_speed_and_end_with_the_window() -> None:
    whisper = family(tiny("whisper"))
    tokens = tiny("whisper").processor.tokenizer.convert_ids_to_tokens
    labels = Labels(whisper, 1.0, seed=0).of(Example("0", "stop", 1.0, speech_s=(0.25, 0.8)), 0, speed=1.25)
    assert (tokens(labels[0]), tokens(labels[-2])) == ("<|0.20|>", "<|0.64|>")
    late = whisper.writing.timed([Segment(4.0, 9.0, "stop")])
    assert tokens(late[-2]) == "<|5.00|>"


def test_text_that_leaves_no_room_for_timestamps_has_none() -> None:
    whisper = family(tiny("whisper"))
    text = next(t for n in range(200) if len(whisper.labels(t := "a " * n)) == 96)
    assert Labels(whisper, 1.0, seed=0).of(Example("0", text, 1.0), 0) == whisper.labels(text)


def test_speech_is_found_in_its_silence() -> None:
    class Quiet:
        def __getitem__(self, _: str) -> np.ndarray:
            return np.zeros(16_000, np.float32)

    assert with_speech_spans([Example("0", "stop", 1.0)], Quiet())[0].speech_s == (0.0, 1.0)


def test_a_model_without_timestamp_tokens_learns_without_them_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = tiny("whisper")
    last = checkpoint.model.generation_config.no_timestamps_token_id + 1
    checkpoint.model.resize_token_embeddings(last)
    whisper = family(checkpoint)
    assert not whisper.writing.has_timestamps
    settings = params(whisper={"timestamps_share": 1.0, "packing": False})
    with caplog.at_level(logging.WARNING):
        assert windowing.windows(EXAMPLES, whisper, checkpoint.model, Tones(), settings) == EXAMPLES
    assert "no timestamp tokens, so train.whisper.timestamps_share counts for nothing" in caplog.text
    assert Labels(whisper, 1.0, seed=0).of(EXAMPLES[0], 0) == whisper.labels(EXAMPLES[0].text)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_after_tuning_in_one_language_the_others_are_offered_still(method: str, multilingual: Path, tmp_path: Path) -> None:
    base = load_checkpoint(str(multilingual), None)
    base.model.generation_config.forced_decoder_ids = [[1, 7], [2, 8]]
    report = finetune(base, EXAMPLES, [], Tones(), params(method=method), "es", tmp_path / "out", tmp_path / "work")
    assert report.steps
    folder = tmp_path / "out" / ("model" if method == "full" else "lora_adapters")
    tuned = load_checkpoint(str(folder), None)
    generation = tuned.model.generation_config
    assert set(generation.lang_to_id) == {"<|en|>", "<|es|>", "<|de|>"}
    assert generation.is_multilingual
    assert generation.task_to_id
    assert getattr(generation, "forced_decoder_ids", None) is None
    assert getattr(generation, "language", None) is None
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert not config.get("language")
    assert {"<|en|>", "<|es|>", "<|de|>"} <= set(tuned.processor.tokenizer.get_vocab())
    features = torch.from_numpy(family(tuned).features(Tones()["0"]))[None]
    start = tuned.model.config.decoder_start_token_id
    task = generation.task_to_id["transcribe"]
    for language, token in generation.lang_to_id.items():
        assert _prompt(tuned.model, features, language=language, task="transcribe")[:3] == [start, token, task]
    assert _prompt(tuned.model, features)[1] in generation.lang_to_id.values()


def _prompt(model: Any, features: torch.Tensor, **asked: str) -> list[int]:
    """What the decoder starts from."""
    seen = list[Any]()

    def remember(_: object, __: object, named: Any) -> None:
        if named.get("decoder_input_ids") is not None:
            seen.append(named["decoder_input_ids"][0].tolist())

    with model.register_forward_pre_hook(remember, with_kwargs=True):
        model.generate(features, max_new_tokens=4, **asked)
    return max(seen, key=len)


def test_each_text_is_prompted_in_its_own_language_else_in_the_models(multilingual: Path) -> None:
    checkpoint = load_checkpoint(str(multilingual), None)
    known, whisper = checkpoint.model.generation_config.lang_to_id, family(checkpoint, "es")
    own, other = Example("0", "a fever", 1.0, language="de"), Example("1", "a fever", 1.0)
    writer = Labels(whisper, 0.0, seed=0)
    assert [writer.of(e, 0)[0] for e in (own, other)] == [known["<|de|>"], known["<|es|>"]]
    assert whisper.refusal(Example("2", "a", 1.0, language="tlh"), [1]) == "language_unknown_to_model"
    assert family(tiny("whisper")).refusal(Example("2", "a", 1.0, language="de"), [1]) is None


def test_where_nobody_tells_the_language_the_model_is_asked_once(multilingual: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = load_checkpoint(str(multilingual), None)
    known = [EXAMPLES[0], Example("9", "stop", 1.0, language="de")]
    with caplog.at_level(logging.WARNING):
        found = windowing.windows(known, family(checkpoint), checkpoint.model, Tones(), params())
    assert found[0].language in {"en", "es", "de"}
    assert found[1].language == "de"
    assert f"The model hears '{found[0].language}' in 1 of 1" in caplog.text
    assert windowing.windows(known, family(checkpoint, "es"), checkpoint.model, Tones(), params()) == known


def test_languages_of_lists_become_whispers_codes() -> None:
    told = [{"language": "Spanish"}, {"locale": "zh-CN"}, {"lang": "pt_BR"}, {"language": " "}, {"room": "3"}]
    assert [language_of_tags(tags) for tags in told] == ["es", "zh", "pt", None, None]


def test_texts_are_joined_as_their_script_asks() -> None:
    assert joined(["go back", "stop"]) == "go back stop"
    assert joined(["你好", "再见"]) == "你好再见"


def test_tokenizers_that_do_not_list_timestamps_have_them_all_the_same() -> None:
    checkpoint = tiny("whisper")

    class Short:
        def __init__(self) -> None:
            self.inner = checkpoint.processor.tokenizer

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        def __len__(self) -> int:
            return int(checkpoint.model.generation_config.no_timestamps_token_id) + 1

        def __call__(self, *arguments: object, **named: object) -> object:
            return self.inner(*arguments, **named)

    class Processor:
        feature_extractor, tokenizer = checkpoint.processor.feature_extractor, Short()

    writing = Writing(checkpoint.model, Processor(), None)
    assert writing.has_timestamps
    assert writing.timed([Segment(0, 1, "stop")]) == family(checkpoint).writing.timed([Segment(0, 1, "stop")])
