"""Prefix search against the sum over every alignment, and its edges."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from attune.ctc_decoding import prefix_beam_search

LABELS = ("", "", "a", "b", " ")
BLANK = 0


def test_a_wide_beam_finds_the_exact_probability_of_every_text() -> None:
    log_probs = _random_frames(5)
    expected = _by_enumeration(log_probs)
    found = {a.text: a.score for a in prefix_beam_search(log_probs, LABELS, BLANK, beam_width=10_000, count=10_000)}
    assert len(found) > 20
    assert found == pytest.approx(expected, rel=1e-5)


def test_alternatives_are_different_texts_best_first_and_no_more_than_asked() -> None:
    alternatives = prefix_beam_search(_random_frames(12), LABELS, BLANK, beam_width=16, count=4)
    assert len(alternatives) == 4
    assert len({a.text for a in alternatives}) == 4
    assert [a.score for a in alternatives] == sorted((a.score for a in alternatives), reverse=True)


def test_a_blank_between_keeps_a_doubled_letter_apart() -> None:
    assert _best("a-a") == "aa"
    assert _best("aaa") == "a"


def test_spaces_are_stripped_and_single() -> None:
    assert _best(" -a - b ") == "a b"


def test_a_special_token_leaves_no_trace() -> None:
    assert _best("a*b") == "ab"


def test_silence_is_the_empty_text() -> None:
    assert _best("-----") == ""


def test_no_frames_are_the_empty_text() -> None:
    alternatives = prefix_beam_search(np.zeros((0, len(LABELS)), np.float32), LABELS, BLANK, beam_width=4, count=3)
    assert [(a.text, a.score) for a in alternatives] == [("", 0.0)]


def test_thousands_of_frames_do_not_underflow() -> None:
    best = prefix_beam_search(_random_frames(3_000), LABELS, BLANK, beam_width=4, count=1)[0]
    assert math.isfinite(best.score)
    assert len(best.text) > 100


def _best(heard: str) -> str:
    """`heard` has one character a frame: - is a blank, * a special token."""
    log_probs = np.full((len(heard), len(LABELS)), math.log(0.01), np.float32)
    for frame, character in enumerate(heard):
        log_probs[frame, {"-": 0, "*": 1, "a": 2, "b": 3, " ": 4}[character]] = math.log(0.96)
    return prefix_beam_search(log_probs, LABELS, BLANK, beam_width=8, count=3)[0].text


def _random_frames(frames: int) -> NDArray[np.float32]:
    logits = np.random.default_rng(7).normal(size=(frames, len(LABELS)))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)


def _by_enumeration(log_probs: NDArray[np.float32]) -> dict[str, float]:
    usable = [0, 2, 3, 4]
    masses: dict[str, float] = {}
    for path in itertools.product(usable, repeat=len(log_probs)):
        tokens = [token for token, _ in itertools.groupby(path) if token != BLANK]
        text = " ".join("".join(LABELS[token] for token in tokens).split())
        masses[text] = masses.get(text, 0.0) + math.exp(sum(log_probs[i, t] for i, t in enumerate(path)))
    return {text: math.log(mass) for text, mass in masses.items()}
