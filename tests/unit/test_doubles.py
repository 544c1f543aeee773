"""One sound in several formats is one sound; two sounds that are much alike are two."""

import io
from collections.abc import Callable

import av
import numpy as np
import pytest
import soundfile
import soxr

from attune.demo.voices import Synthesizer, Voice
from attune.doubles import fingerprint, same_sounds

RATE = 16_000
_WORDS = ("zero", "one", "two", "three", "four", "five", "good morning", "please sit down", "i am feeling worse", "yes please")


@pytest.fixture(scope="module")
def spoken() -> list[np.ndarray]:
    synthesizer = Synthesizer()
    return [synthesizer.speak(text, Voice("en-us+m1", 160, pitch), RATE) for text in _WORDS for pitch in (45, 50)]


def through_mp3(samples: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    soundfile.write(buffer, soxr.resample(samples, RATE, 44_100), 44_100, format="MP3")
    buffer.seek(0)
    decoded, rate_hz = soundfile.read(buffer, dtype="float32")
    return np.asarray(soxr.resample(decoded, rate_hz, RATE), dtype=np.float32)


def encoded(samples: np.ndarray, rate_hz: int, codec: str, container: str, bit_rate: int) -> np.ndarray:
    """Through FFmpeg, with the silence that such codecs put before and after."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate_hz, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(soxr.resample(samples, RATE, rate_hz)[None], format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        context = stream.codec_context
        resampler = av.AudioResampler(context.format, "mono", rate_hz, context.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as file:
        planar = av.AudioResampler("fltp", "mono", RATE)
        frames = [part for frame in file.decode(audio=0) for part in planar.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def through_opus(samples: np.ndarray) -> np.ndarray:
    return encoded(samples, 48_000, "libopus", "ogg", 32_000)


def through_aac(samples: np.ndarray) -> np.ndarray:
    return encoded(samples, 44_100, "aac", "adts", 96_000)


def through_telephone(samples: np.ndarray) -> np.ndarray:
    return np.asarray(soxr.resample(soxr.resample(samples, RATE, 8_000), 8_000, RATE), dtype=np.float32)


def groups(sounds: list[np.ndarray]) -> list[int]:
    return same_sounds([fingerprint(s) for s in sounds], [None] * len(sounds), sounds.__getitem__)


@pytest.mark.parametrize("change", [through_mp3, through_opus, through_aac, through_telephone, lambda samples: 0.3 * samples])
def test_the_same_sound_is_found_at_another_rate_level_and_format(
    spoken: list[np.ndarray], change: Callable[[np.ndarray], np.ndarray]
) -> None:
    changed = [change(samples).astype(np.float32) for samples in spoken]
    assert groups([*spoken, *changed]) == [*range(len(spoken)), *range(len(spoken))]


def test_a_second_recording_of_the_same_words_is_another_sound(spoken: list[np.ndarray]) -> None:
    synthesizer = Synthesizer()
    again = [synthesizer.speak(text, Voice("en-us+m3", 165, 48), RATE) for text in _WORDS]
    assert groups([*spoken, *again]) == list(range(len(spoken) + len(again)))


def test_sentences_of_a_synthetic_voice_that_share_all_but_a_word_are_two() -> None:
    synthesizer, voice = Synthesizer(), Voice("en-us+m1", 160, 50)
    sounds = [synthesizer.speak(f"the appointment is on {day}", voice, RATE) for day in ("monday", "friday", "monday")]
    found = same_sounds([fingerprint(s) for s in sounds], ["monday", "friday", "monday"], sounds.__getitem__)
    assert found[:2] == [0, 1]


def test_nothing_is_the_double_of_nothing() -> None:
    assert same_sounds([], [], [].__getitem__) == []
    noise = [np.random.default_rng(n).standard_normal(8000).astype(np.float32) for n in range(40)]
    assert groups(noise) == list(range(40))
    time_s = np.arange(8000) / RATE
    hums = [np.sin(2 * np.pi * hz * time_s).astype(np.float32) for hz in (50, 60, 400, 410, 50)]
    assert groups(hums) == [0, 1, 2, 3, 0]
