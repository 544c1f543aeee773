"""Spoken parts are found whole, cut in pauses, and nothing of them is lost, however long the recording."""

from itertools import pairwise

import numpy as np
import pytest

from attune.demo.grammar import sentences
from attune.demo.voices import Synthesizer, Voice
from attune.voice_activity import cut_at_pauses, speech_share

RATE = 16_000


@pytest.fixture(scope="module")
def spoken() -> list[np.ndarray]:
    synthesizer, texts = Synthesizer(), sentences("everyday", 3)
    return [synthesizer.speak(next(texts), Voice("en-us+m1", 160, 50), RATE) for _ in range(12)]


def with_pauses(spoken: list[np.ndarray], pause_s: float, times: int = 1) -> np.ndarray:
    hush = 1e-4 * np.random.default_rng(0).standard_normal(int(pause_s * RATE))
    parts = [part for speech in spoken * times for part in (0.7 * speech / np.abs(speech).max(), hush)]
    return np.concatenate(parts).astype(np.float32)


def test_speech_is_told_from_silence_and_noise(spoken: list[np.ndarray]) -> None:
    assert speech_share(with_pauses(spoken, 0.2)) > 0.8
    assert speech_share(0.1 * np.random.default_rng(0).standard_normal(5 * RATE).astype(np.float32)) < 0.1
    assert speech_share(np.zeros(0, np.float32)) == 0.0


def test_pieces_are_cut_in_pauses_and_hold_all_that_is_said(spoken: list[np.ndarray]) -> None:
    sound = with_pauses(spoken, 0.6)
    pieces = list(cut_at_pauses([sound], 10.0))
    assert len(pieces) > 2
    assert max(piece.samples.size for piece in pieces) <= 10 * RATE
    for piece in pieces:
        start = round(piece.start_s * RATE)
        assert np.array_equal(sound[start : start + piece.samples.size], piece.samples)
    lost = sound.copy()
    for piece in pieces:
        start = round(piece.start_s * RATE)
        lost[start : start + piece.samples.size] = 0
    assert np.square(lost).sum() < 0.01 * np.square(sound).sum()
    assert all(a.start_s + a.samples.size / RATE <= b.start_s for a, b in pairwise(pieces))


def test_a_long_recording_is_cut_alike_in_whatever_blocks_it_comes(spoken: list[np.ndarray]) -> None:
    sound = with_pauses(spoken, 0.8, times=22)
    assert sound.size > 400 * RATE
    blocks = np.array_split(sound, 50)
    pieces = [(p.start_s, p.samples.size) for p in cut_at_pauses(blocks, 15.0)]
    assert pieces == [(p.start_s, p.samples.size) for p in cut_at_pauses([sound], 15.0)]
    assert sum(size for _, size in pieces) > 0.7 * sound.size


def test_where_nobody_speaks_there_is_no_piece() -> None:
    assert list(cut_at_pauses([np.zeros(400 * RATE, np.float32)], 10.0)) == []


def test_speech_without_a_pause_is_cut_all_the_same(spoken: list[np.ndarray]) -> None:
    pieces = list(cut_at_pauses([with_pauses(spoken, 0.0)], 5.0))
    assert max(piece.samples.size for piece in pieces) <= 5 * RATE
    assert sum(piece.samples.size for piece in pieces) > 0.9 * sum(speech.size for speech in spoken)
