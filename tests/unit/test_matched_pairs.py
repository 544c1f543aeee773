"""MAPSSWE: segments as NIST draws them, and the test over them."""

import math

import numpy as np
import pytest
from scipy import stats

from attune.matched_pairs import matched_pairs, segments

_REFERENCE = "it was the best of times it was the worst of times it was"


def test_segments_are_those_of_nist_s_own_example() -> None:
    """NIST, "Matched Pairs Sentence-Segment Word Error (MAPSSWE) Test", the page of sc_stats."""
    base = "its the best of times it is the worst of times or it was"
    tuned = "it was the best times it won the test of times it was"
    assert segments(_REFERENCE, base, tuned) == [(2, 0), (0, 1), (1, 2), (1, 0)]


@pytest.mark.parametrize(
    ("base", "tuned", "expected"),
    [
        ("a b c d e", "a b c d e", []),
        ("x b c d y", "a b c d e", [(1, 0), (1, 0)]),
        ("x b y d e", "a b c d e", [(2, 0)]),
        ("", "a b c d e", [(5, 0)]),
        ("z a b c d e", "a b c d e z", [(1, 0), (0, 1)]),
    ],
)
def test_two_words_that_both_have_right_part_segments_and_one_does_not(
    base: str, tuned: str, expected: list[tuple[int, int]]
) -> None:
    assert segments("a b c d e", base, tuned) == expected


def test_without_a_reference_word_all_is_one_segment() -> None:
    assert segments("", "thank you", "") == [(2, 0)]


def test_the_statistic_is_that_of_the_matched_pairs() -> None:
    draw = np.random.default_rng(1)
    words = [f"w{n}" for n in range(12)]
    texts = []
    for _ in range(80):
        spoil = lambda share: " ".join("x" if draw.random() < share else word for word in words)  # noqa: E731
        texts.append((" ".join(words), spoil(0.25), spoil(0.15)))
    found = matched_pairs(texts)
    differences = [base - tuned for triple in texts for base, tuned in segments(*triple)]
    peer = stats.ttest_1samp(differences, 0)
    assert found.segments == len(differences) > 80
    assert found.z == pytest.approx(peer.statistic)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(peer.statistic)))
    total = sum(len(text.split()) and sum(word == "x" for word in text.split()) for _, text, _ in texts)
    assert sum(base for triple in texts for base, _ in segments(*triple)) == total


def test_equal_systems_are_called_different_at_most_as_often_as_promised() -> None:
    called, trials = 0, 200
    words = [f"w{n}" for n in range(8)]
    for trial in range(trials):
        draw = np.random.default_rng(trial)
        wrong = draw.random((60, 2, 8)) < 0.2
        texts = [
            tuple(" ".join("x" if bad else word for bad, word in zip(row, words, strict=True)) for row in pair) for pair in wrong
        ]
        called += matched_pairs((" ".join(words), base, tuned) for base, tuned in texts).p_value < 0.05
    assert 0 < called / trials <= 0.09


def test_too_few_segments_and_no_variance_are_no_proof() -> None:
    assert math.isnan(matched_pairs([("a", "b", "a")]).p_value)
    assert matched_pairs([]).segments == 0
    assert matched_pairs([("a", "b", "a")] * 3).p_value == 0.25
    assert matched_pairs([("a", "b", "c")] * 3).p_value == 1
