"""Words stand where they were said: two sentences with a pause between them, through the shipped models on every engine."""

from pathlib import Path

import numpy as np
import pytest

from attune.checkpoints import load_checkpoint
from attune.demo.pool import make_pool
from attune.demo.voices import Synthesizer, Voice
from attune.export.conversion import convert
from attune.params import ModelParams
from attune.recognizers.protocol import Recognizer
from attune.recognizers.registry import open_recognizer
from attune.recognizers.word_times import align, starts_of

TINY = Path(__file__).parents[3] / "models" / "tiny"
PAUSE_S = 0.2


def _without_silence(samples: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1]]


@pytest.fixture(scope="module")
def speech() -> tuple[np.ndarray, float, float]:
    """16 kHz samples, and where the pause in them begins and ends in seconds."""
    voice, synthesizer = Voice("en-us+m3", 150, 50), Synthesizer()
    first, second = (_without_silence(synthesizer.speak(text, voice)) for text in ("seven five", "two nine"))
    clip = np.concatenate([first, np.zeros(int(PAUSE_S * 16_000)), second])
    clip = (clip + 0.002 * np.random.default_rng(0).standard_normal(clip.size)).astype(np.float32)
    return clip, first.size / 16_000, first.size / 16_000 + PAUSE_S


@pytest.fixture(scope="module")
def recognizers(tmp_path_factory: pytest.TempPathFactory, params: ModelParams) -> dict[str, Recognizer]:
    folder = tmp_path_factory.mktemp("ct2")
    convert(load_checkpoint(str(TINY / "whisper"), None), "tiny", "float32", folder)
    return {
        "transformers": open_recognizer(str(TINY / "whisper"), params),
        "ctranslate2": open_recognizer(str(folder), params),
        "ctc": open_recognizer(str(TINY / "ctc"), params),
    }


@pytest.mark.parametrize("engine", ["transformers", "ctranslate2", "ctc"])
def test_words_stand_before_and_after_the_pause(
    engine: str, recognizers: dict[str, Recognizer], speech: tuple[np.ndarray, float, float]
) -> None:
    clip, begins_s, ends_s = speech
    (heard,) = recognizers[engine].transcribe([clip], word_times=True)
    assert heard.text == "seven five two nine"
    times = [(word.start_s or 0.0, word.end_s or 0.0) for word in heard.words]
    assert all(start <= end for start, end in times)
    assert times == sorted(times)
    assert times[1][0] < begins_s < ends_s < times[3][0]
    assert times[-1][1] <= clip.size / 16_000 + 0.1
    if engine == "ctc":  # its frames say it plainly; the tiny decoder's attention is vague
        assert times[1][1] < begins_s < ends_s - 0.05 < times[2][0]


def test_both_whisper_engines_tell_the_same_times(
    recognizers: dict[str, Recognizer], speech: tuple[np.ndarray, float, float]
) -> None:
    (one,), (other,) = (recognizers[name].transcribe([speech[0]], word_times=True) for name in ("transformers", "ctranslate2"))
    for a, b in zip(one.words, other.words, strict=True):
        assert a.text == b.text
        assert abs((a.start_s or 0) - (b.start_s or 0)) < 0.04
    (untimed,) = recognizers["transformers"].transcribe([speech[0]])
    assert [w.start_s for w in untimed.words] == [None] * len(one.words)


def test_both_whisper_engines_tell_the_same_times_of_many_sentences(recognizers: dict[str, Recognizer]) -> None:
    clips = [each.samples / np.float32(32768) for each in make_pool(24, 5, held_out=True)]
    heard = [recognizers[name].transcribe(clips, word_times=True) for name in ("transformers", "ctranslate2")]
    apart = [
        max(abs((a.start_s or 0) - (b.start_s or 0)), abs((a.end_s or 0) - (b.end_s or 0)))
        for one, other in zip(*heard, strict=True)
        for a, b in zip(one.words, other.words, strict=True)
    ]
    assert len(apart) > 80
    assert max(apart) < 0.025  # a frame
    assert np.quantile(apart, 0.95) < 0.001


def test_a_clip_longer_than_the_window_counts_from_its_own_beginning(
    recognizers: dict[str, Recognizer], speech: tuple[np.ndarray, float, float]
) -> None:
    clip = np.concatenate([speech[0], np.zeros(16_000, np.float32)] * 3)
    (heard,) = recognizers["ctranslate2"].transcribe([clip], word_times=True)
    starts = [word.start_s or 0.0 for word in heard.words]
    assert starts == sorted(starts)
    assert starts[-1] > 2 * speech[0].size / 16_000


def test_the_way_follows_the_weights() -> None:
    weights = np.full((2, 4, 40), 0.01, np.float32)  # the fourth is the end
    for token, frames in enumerate((slice(0, 10), slice(10, 30), slice(30, 40))):
        weights[:, token, frames] = 1.0
    assert starts_of(align(weights, 0), 2, 0.02) == pytest.approx((0.0, 0.2, 0.6), abs=0.05)
    assert starts_of([], 2, 0.02) == ()
