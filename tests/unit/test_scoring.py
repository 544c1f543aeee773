"""Scores are pooled counts, and they are the ones that jiwer itself gives."""

import math
import random
from dataclasses import replace

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune.records import ErrorCounts, Score
from attune.scoring import Confusion, by, confusions, pool, score
from attune.text import normalize

_VOCABULARY = ("the", "a", "nurse", "doctor", "has", "it's", "pain", "no", "niño", "don't", "seven", "heating")


def _random_pairs(count: int, seed: int) -> list[tuple[str, str]]:
    """References of 1 to 12 words, each with a hypothesis that loses, changes and gains words."""
    draw = random.Random(seed)
    pairs = []
    for _ in range(count):
        spoken = draw.choices(_VOCABULARY, k=draw.randint(1, 12))
        heard = [draw.choice(_VOCABULARY) if draw.random() < 0.3 else word for word in spoken if draw.random() > 0.15]
        heard += draw.choices(_VOCABULARY, k=draw.choice((0, 0, 0, 1, 3)))
        pairs.append((" ".join(spoken), " ".join(heard)))
    return pairs


def test_each_kind_of_word_error_is_counted() -> None:
    counted = score("u", "the nurse has a cold today", "the doctor has cold today now")
    assert counted.words == ErrorCounts(substitutions=1, deletions=1, insertions=1, reference_length=6)
    assert counted.words.rate == 0.5


def test_spaces_count_as_characters() -> None:
    assert score("u", "a b", "ab").characters == ErrorCounts(deletions=1, reference_length=3)


def test_texts_are_compared_normalised_and_kept_as_given() -> None:
    scored = score("u", "It’s 3 P.M., NURSE!", "it's 3 p m nurse")
    assert scored.words.errors == scored.characters.errors == 0
    assert (scored.reference, scored.hypothesis) == ("It’s 3 P.M., NURSE!", "it's 3 p m nurse")


def test_pooled_rates_are_those_of_jiwer_over_all_texts() -> None:
    pairs = _random_pairs(400, seed=1)
    words, characters = pool(score(str(i), *pair) for i, pair in enumerate(pairs))
    references, hypotheses = (list(texts) for texts in zip(*pairs, strict=True))
    assert words.rate == jiwer.wer(references, hypotheses) > 0.2
    assert characters.rate == jiwer.cer(references, hypotheses) > 0.1


def test_single_rates_are_those_of_jiwer() -> None:
    pairs = _random_pairs(300, seed=2)
    for spoken, heard in pairs:
        scored = score("u", spoken, heard)
        assert scored.words.rate == jiwer.wer(spoken, heard)
        assert scored.characters.rate == jiwer.cer(spoken, heard)


def test_pooled_rate_is_not_the_mean_of_rates() -> None:
    long, short = (
        score("long", "one two three four five six seven eight nine ten", "one two three four five six seven eight nine ten"),
        score("short", "yes", "no"),
    )
    words, _ = pool([long, short])
    assert words.rate == pytest.approx(1 / 11)
    assert words.rate != (long.words.rate + short.words.rate) / 2


@given(st.lists(st.builds(ErrorCounts, *[st.integers(0, 50)] * 3, st.integers(1, 50)), min_size=1, max_size=8))
def test_adding_counts_weighs_rates_by_length(counts: list[ErrorCounts]) -> None:
    total = sum(counts, ErrorCounts())
    weighted = sum(c.rate * c.reference_length for c in counts) / sum(c.reference_length for c in counts)
    assert math.isclose(total.rate, weighted, abs_tol=1e-12)


def test_pool_does_not_depend_on_order() -> None:
    scores = [score(str(i), *pair) for i, pair in enumerate(_random_pairs(50, seed=3))]
    assert pool(scores) == pool(reversed(scores))
    assert pool(scores)[0].errors > 0


def test_slices_hold_every_score_once_under_its_key() -> None:
    scores = [score("n1", "a", "b"), score("c1", "a", "a"), score("n2", "a b", "a")]
    slices = by(scores, key=_condition)
    assert list(slices) == ["c", "n"]
    assert [s.id for s in slices["n"]] == ["n1", "n2"]
    assert pool(slices["n"])[0] + pool(slices["c"])[0] == pool(scores)[0]


def test_confusions_pair_the_words_commonest_first() -> None:
    scores = [
        score("1", "The nurse has pain", "the purse has pain"),
        score("2", "nurse, doctor", "purse tractor"),
        score("3", "no change here", "no here"),
    ]
    found = confusions(scores)
    assert [replace(each, examples=()) for each in found] == [Confusion("nurse", "purse", 2), Confusion("doctor", "tractor", 1)]
    assert found[0].examples[0].reference


def test_right_texts_have_no_confusions() -> None:
    assert confusions([score("1", "Yes.", "yes")]) == []


def _condition(scored: Score) -> str:
    return scored.id[0]


def test_scoring_normalises_with_the_project_rule() -> None:
    assert score("u", "x-ray", "X RAY").words.reference_length == len(normalize("x-ray").split()) == 2
