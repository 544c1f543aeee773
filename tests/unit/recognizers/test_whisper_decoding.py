"""What the recogniser asks of its engine, and what it makes of the answers; and that both engines obey the same."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import WINDOW_S, speech
from transformers import WhisperProcessor

from attune.checkpoints import load_checkpoint
from attune.demo.pool import make_pool
from attune.errors import ModelError
from attune.export.conversion import convert
from attune.params import ModelParams, SafeguardParams
from attune.recognizers.registry import open_recognizer
from attune.recognizers.whisper_decoding import WhisperRecognizer, until_mark
from attune.recognizers.whisper_reading import Heard, Prompts, TokenReader

OPENAIS = SafeguardParams(temperatures=(0.0, 0.2, 0.4), max_compression_ratio=2.4, min_log_prob=-1.0, max_no_speech=0.6)
LOOP = "the cough and " * 6


class Engine:
    """Says what a test wants for each window, and remembers what it was asked."""

    workers = 1

    def __init__(self, greedy: Callable[[int], Heard], sampled: Callable[[float], Heard] | None = None) -> None:
        self._greedy, self._sampled = greedy, sampled
        self.windows = 0
        self.asked: list[tuple[float, int, int]] = []
        self.prompts: list[list[int]] = []

    def encode(self, features: Any) -> Any:
        return features

    def languages(self, encoded: Any) -> list[int]:
        return [100 + self.windows] * len(encoded)

    def decode(self, encoded: Any, prompts: list[list[int]], *, timed: bool = False) -> list[Heard]:
        self.prompts += prompts
        found = [self._greedy(self.windows + n) for n in range(len(encoded))]
        self.windows += len(encoded)
        return found

    def sampler(self, seed: int) -> Any:
        def draw(encoded: Any, prompt: list[int], *, temperature: float, timed: bool) -> Heard:
            assert self._sampled is not None
            self.asked.append((temperature, seed, len(encoded)))
            return self._sampled(temperature)

        return draw

    def search(self, encoded: Any, prompts: list[list[int]], *, beams: int) -> list[list[Heard]]:
        return [[] for _ in prompts]

    def starts(self, encoded: Any, features: Any, prompts: Any, frames: Any, texts: Any) -> list[tuple[float, ...]]:
        return [()] * len(texts)


@pytest.fixture(scope="module")
def processor(models: dict[str, Path]) -> Any:
    return WhisperProcessor.from_pretrained(models["whisper"])


@pytest.fixture
def said(processor: Any) -> Callable[..., Heard]:
    def heard(text: str, log_prob: float = -0.1, no_speech: float | None = 0.0, marks: Sequence[tuple[int, float]] = ()) -> Heard:
        ids = processor.tokenizer(text, add_special_tokens=False).input_ids
        count = len(ids) + 1
        return Heard(tuple(ids), (log_prob,) * len(ids), log_prob * count, count, tuple(marks), no_speech=no_speech)

    return heard


@pytest.fixture
def recognizer(processor: Any, params: ModelParams) -> Callable[..., WhisperRecognizer]:
    def opened(engine: Engine, **changes: Any) -> WhisperRecognizer:
        asked = params.model_copy(update={"safeguards": OPENAIS, **changes})
        prompts = Prompts(processor.tokenizer, {}, None, "transcribe", "fake")
        reader = TokenReader(processor.tokenizer, prompts.plain)
        return WhisperRecognizer("fake", "0", engine, processor.feature_extractor, prompts, reader, asked, 10.0)

    return opened


def test_what_is_sure_is_decoded_once(recognizer: Callable[..., WhisperRecognizer], said: Callable[..., Heard]) -> None:
    engine = Engine(lambda _: said("a fever"))
    (heard,) = recognizer(engine).transcribe([speech(1.0)])
    assert (heard.text, heard.temperature, engine.asked) == ("a fever", 0.0, [])


@pytest.mark.parametrize("doubtful", [(LOOP, -0.1), ("a fever", -1.5)])
def test_what_repeats_itself_or_is_unlikely_is_decoded_again(
    recognizer: Callable[..., WhisperRecognizer], said: Callable[..., Heard], doubtful: tuple[str, float]
) -> None:
    engine = Engine(
        lambda n: said(*doubtful) if n == 1 else said("sure"), lambda t: said(*doubtful) if t < 0.3 else said("a cough")
    )
    first, second, third = recognizer(engine).transcribe([speech(1.0, seed) for seed in range(3)])
    assert [(t, count) for t, _, count in engine.asked] == [(0.2, 1), (0.4, 1)]
    assert len({seed for _, seed, _ in engine.asked}) == 1
    assert (first.text, second.text, third.text) == ("sure", "a cough", "sure")
    assert (first.temperature, second.temperature) == (0.0, 0.4)


def test_the_seeds_are_those_of_the_sound(recognizer: Callable[..., WhisperRecognizer], said: Callable[..., Heard]) -> None:
    def seeds(sound: int) -> list[int]:
        engine = Engine(lambda _: said("a fever", -2.0), lambda _: said("a fever", -2.0))
        recognizer(engine).transcribe([speech(1.0, sound)])
        return [seed for _, seed, _ in engine.asked]

    assert len(seeds(1)) == 2
    assert seeds(1) == seeds(1)
    assert seeds(1) != seeds(2)


def test_where_nothing_helps_the_likeliest_that_does_not_repeat_itself_is_kept(
    recognizer: Callable[..., WhisperRecognizer], said: Callable[..., Heard]
) -> None:
    engine = Engine(lambda _: said(LOOP, -0.1), lambda t: said("a fever", -1.2) if t == 0.2 else said("a cough", -1.4))
    (heard,) = recognizer(engine).transcribe([speech(1.0)])
    assert (heard.text, heard.temperature) == ("a fever", 0.2)


@pytest.mark.parametrize(("log_prob", "no_speech", "text"), [(-1.5, 0.9, ""), (-0.5, 0.9, "a fever"), (-1.5, 0.3, "a cough")])
def test_silence_is_what_the_model_calls_so_and_is_not_sure_of(
    recognizer: Callable[..., WhisperRecognizer], said: Callable[..., Heard], log_prob: float, no_speech: float, text: str
) -> None:
    engine = Engine(lambda _: said("a fever", log_prob, no_speech), lambda _: said("a cough", -0.1))
    (heard,) = recognizer(engine).transcribe([speech(1.0)])
    assert (heard.text, heard.no_speech) == (text, no_speech)
    assert heard.confidence == pytest.approx(no_speech if not text else np.exp(-0.1 if text == "a cough" else log_prob))
    assert bool(engine.asked) == (text == "a cough")


def test_no_safeguard_asks_nothing(recognizer: Callable[..., WhisperRecognizer], said: Callable[..., Heard]) -> None:
    off = OPENAIS.model_copy(update={"max_compression_ratio": None, "min_log_prob": None, "max_no_speech": None})
    engine = Engine(lambda _: said(LOOP, -3.0, 0.99))
    (heard,) = recognizer(engine, safeguards=off).transcribe([speech(1.0)])
    assert heard.text == LOOP.strip()


def test_the_digest_knows_safeguards_task_and_long_audio(
    recognizer: Callable[..., WhisperRecognizer], said: Callable[..., Heard]
) -> None:
    engine = Engine(lambda _: said("a fever"))
    others = (
        {"safeguards": OPENAIS.model_copy(update={"min_log_prob": -0.5})},
        {"long_audio": "timestamps"},
        {"task": "translate"},
    )
    digests = {recognizer(engine).digest, *(recognizer(engine, **other).digest for other in others)}
    assert len(digests) == 4


class TestUntilMark:
    @pytest.mark.parametrize(
        ("marks", "kept", "length_s"),
        [
            ([], 4, 2.0),
            ([(0, 0.0), (4, 1.9)], 4, 2.0),  # one segment, and nobody speaks after it
            ([(0, 0.0), (2, 1.0), (2, 1.0), (4, 1.8)], 4, 2.0),  # the last one ends alone: so do all
            ([(0, 0.0), (2, 1.0), (2, 1.0)], 2, 1.0),  # a second one has begun
            ([(0, 0.0), (4, 1.6), (4, 1.6)], 4, 1.6),
            ([(0, 0.0), (1, 0.5), (1, 0.6), (3, 1.2), (3, 1.3)], 3, 1.2),
            ([(0, 0.0), (2, 0.02), (2, 0.02)], 4, 2.0),  # no progress
            ([(0, 0.0), (2, 2.5), (2, 2.5)], 4, 2.0),  # beyond the sound
        ],
    )
    def test_the_next_window_begins_after_the_last_whole_segment(
        self, marks: list[tuple[int, float]], kept: int, length_s: float
    ) -> None:
        heard = until_mark(Heard((1, 2, 3, 4), (-1.0,) * 4, -5.0, 5, tuple(marks)), 2.0)
        assert (heard.tokens, heard.length_s) == ((1, 2, 3, 4)[:kept], length_s)
        assert len(heard.log_probs) == kept
        assert heard.mean_log_prob == -1.0


def test_a_long_clip_goes_on_where_the_last_segment_ended(
    recognizer: Callable[..., WhisperRecognizer], said: Callable[..., Heard]
) -> None:
    count = len(said("a fever").tokens)
    cut = replace(said("a fever and a"), marks=((0, 0.0), (count, 1.5), (count, 1.5)))
    engine = Engine(lambda _: cut)
    long, short = recognizer(engine, long_audio="timestamps").transcribe([speech(4.0), speech(1.0)])
    assert long.text == "a fever a fever a fever and a"  # windows at 0, 1.5 and 3 s; the last one has only 1 s of sound
    assert short.text == "a fever and a"
    assert sorted({len(prompt) for prompt in engine.prompts}) == [1, 2]  # with and without "no timestamps"


def test_a_clip_is_in_the_language_of_its_beginning(processor: Any, params: ModelParams, said: Callable[..., Heard]) -> None:
    engine = Engine(lambda _: said("a fever"))
    generation = {"is_multilingual": True, "lang_to_id": {"<|en|>": 100, "<|es|>": 105}}
    prompts = Prompts(processor.tokenizer, generation, None, "translate", "fake")
    reader = TokenReader(processor.tokenizer, prompts.plain)
    asked = params.model_copy(update={"task": "translate"})
    recognizer = WhisperRecognizer("fake", "0", engine, processor.feature_extractor, prompts, reader, asked, WINDOW_S)
    long, short = recognizer.transcribe([speech(4.0 * WINDOW_S), speech(1.0)])
    assert long.language == "en"
    assert {prompt[1] for prompt in engine.prompts[:-1]} == {100}
    assert short.language == prompts.language_of(engine.prompts[-1][1])
    assert engine.prompts[0][2] == processor.tokenizer.convert_tokens_to_ids("<|translate|>")


def test_an_english_model_does_not_translate(models: dict[str, Path], params: ModelParams) -> None:
    with pytest.raises(ModelError, match=r"hears English only, and model\.task"):
        open_recognizer(str(models["whisper"]), params.model_copy(update={"task": "translate"}))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The shipped model, which knows timestamps, for both engines."""
    base, folder = Path(__file__).parents[3] / "models" / "tiny" / "whisper", tmp_path_factory.mktemp("ct2")
    convert(load_checkpoint(str(base), None), "tiny", "float32", folder)
    return [str(base), str(folder)]


def test_both_engines_hear_long_clips_the_same_by_timestamps(both: list[str], params: ModelParams) -> None:
    asked = params.model_copy(update={"long_audio": "timestamps"})
    clip = np.concatenate([np.pad(each.samples / np.float32(32768), 4000) for each in make_pool(5, 77, held_out=True)])
    one, other = (open_recognizer(name, asked).transcribe([clip, clip[:40_000]], word_times=True) for name in both)
    assert [t.text for t in one] == [t.text for t in other]
    assert [t.confidence for t in one] == pytest.approx([t.confidence for t in other], rel=1e-2)
    assert one[0].text != open_recognizer(both[0], params).transcribe([clip])[0].text
    times = [word.start_s or 0.0 for word in one[0].words]
    assert times == sorted(times)
    assert clip.size / 16_000 - 3 < times[-1] < clip.size / 16_000


@pytest.mark.parametrize("place", [0, 1])
def test_sampling_says_the_same_again(both: list[str], params: ModelParams, place: int) -> None:
    never_sure = OPENAIS.model_copy(update={"min_log_prob": -1e-6, "max_no_speech": None})
    asked = params.model_copy(update={"safeguards": never_sure})
    clips = [speech(1.0, seed) for seed in range(4)]
    recognizer = open_recognizer(both[place], asked)
    first, again = recognizer.transcribe(clips), recognizer.transcribe(clips)
    assert first == again == open_recognizer(both[place], asked).transcribe(clips)
    assert any(heard.temperature > 0 for heard in first)
    assert all(np.isfinite(heard.confidence) for heard in first)
    alone = [recognizer.transcribe([clip])[0] for clip in reversed(clips)]
    assert [heard.text for heard in alone] == [heard.text for heard in reversed(first)]  # whatever else is heard


def test_added_words_are_text_and_no_timestamps(processor: Any) -> None:
    tokenizer = copy.deepcopy(processor.tokenizer)
    tokenizer.add_tokens(["zyx"])
    reader = TokenReader(tokenizer, tokenizer.convert_tokens_to_ids("<|notimestamps|>"))
    ids = tokenizer("the zyx fever", add_special_tokens=False).input_ids
    heard = reader.heard(ids, [-0.5] * len(ids))
    assert reader.text(heard).split() == ["the", "zyx", "fever"]
    assert heard.marks == ()


def test_without_spaces_tokens_are_words(processor: Any) -> None:
    prompts = Prompts(processor.tokenizer, {}, None, "transcribe", "fake")
    reader = TokenReader(processor.tokenizer, prompts.plain)
    ids = processor.tokenizer("熱がある", add_special_tokens=False).input_ids
    assert [word.text for word in reader.words(reader.heard(ids, [-0.5] * len(ids)), 0.0)] == list("熱がある")


def test_windows_are_halved_where_memory_runs_out(
    recognizer: Callable[..., WhisperRecognizer], said: Callable[..., Heard]
) -> None:
    class Small(Engine):
        def encode(self, features: Any) -> Any:
            if len(features) > 1:
                raise RuntimeError("CUDA out of memory.")
            return features

    (heard,) = recognizer(Small(lambda _: said("a fever"))).transcribe([speech(7.0)])
    assert heard.text.split().count("fever") >= 4
