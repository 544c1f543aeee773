"""Prefix search against the sum over every alignment, and its edges."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from attune.ctc_decoding import CtcEmissions, prefix_beam_search, text_log_prob

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


@pytest.mark.parametrize("text", ["", "a", "ab", "aab", "a b", "abba ab"])
def test_the_log_probability_of_a_text_is_torchs_ctc_loss(text: str) -> None:
    rng = np.random.default_rng(0)
    log_probs = np.log(rng.dirichlet(np.ones(4), 12)).astype(np.float32)
    labels = ("", "a", "b", " ")
    target = torch.tensor([[labels.index(c) for c in text]], dtype=torch.long)
    frames = torch.from_numpy(log_probs)[:, None]
    expected = -torch.nn.functional.ctc_loss(frames, target, torch.tensor([12]), torch.tensor([len(text)]), reduction="sum")
    assert text_log_prob(CtcEmissions(log_probs, labels, 0, 0.02), text) == pytest.approx(float(expected), abs=1e-4)


def test_a_text_that_cannot_be_said_has_no_probability() -> None:
    heard = CtcEmissions(np.log(np.full((2, 3), 1 / 3, np.float32)), ("", "A", "b"), 0, 0.02)
    assert text_log_prob(heard, "aB") is not None
    assert text_log_prob(heard, "xb") is None
    assert text_log_prob(heard, "aa") is None


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
