"""The trigram model against hand-counted Witten-Bell values, and its edges."""

import math

import pytest

from attune.ngram import END, TrigramModel


def test_probabilities_after_any_history_add_up_to_one() -> None:
    model = TrigramModel([["a", "b", "c"], ["a", "b"], ["c"]])
    assert model.words == ("a", "b", "c")
    for history in ([], ["a"], ["a", "b"], ["c", "c"], ["never", "seen"]):
        total = sum(math.exp(model.log_prob(word, history)) for word in (*model.words, END))
        assert total == pytest.approx(1.0)


def test_a_hand_counted_text_has_witten_bell_probabilities() -> None:
    model = TrigramModel([["a", "b"], ["a", "a"]])
    anywhere = (3 + 3 * (1 / 3)) / (6 + 3)  # three a among six words and ends, three kinds
    after_a = (1 + 3 * anywhere) / (3 + 3)  # a a once; a was followed by b, a and the end
    after_start_a = (1 + 2 * after_a) / (2 + 2)
    assert math.exp(model.log_prob("a")) == pytest.approx(anywhere)
    assert math.exp(model.log_prob("a", ["a"])) == pytest.approx(after_start_a)


def test_only_the_last_two_words_count() -> None:
    model = TrigramModel([["a", "b", "c", "d"], ["d", "c", "b", "a"]])
    assert model.log_prob("d", ["x", "y", "b", "c"]) == model.log_prob("d", ["b", "c"])


def test_seen_word_orders_are_likelier() -> None:
    model = TrigramModel([["take", "two", "tablets"], ["take", "two", "drops"]])
    assert model.text_log_prob(["take", "two", "drops"]) > model.text_log_prob(["two", "take", "drops"])


def test_an_unknown_word_is_impossible() -> None:
    model = TrigramModel([["a"]])
    assert model.log_prob("b", []) == -math.inf
    assert model.text_log_prob(["a", "b"]) == -math.inf


def test_the_order_of_the_texts_makes_no_difference() -> None:
    texts = [["a", "b"], ["b", "c", "a"], ["c"]]
    there, back = TrigramModel(texts), TrigramModel(texts[::-1])
    assert there.words == back.words
    assert there.text_log_prob(["a", "b", "c"]) == back.text_log_prob(["a", "b", "c"])


@pytest.mark.parametrize("texts", [[], [[]], [[], []]])
def test_without_texts_there_are_no_words(texts: list[list[str]]) -> None:
    model = TrigramModel(texts)
    assert model.words == ()
    assert model.log_prob("a", []) == -math.inf
