"""Where nothing was said, nothing was heard, or both."""

import math

import jiwer
import pytest

from attune.records import ErrorCounts
from attune.scoring import confusions, pool, score


@pytest.mark.parametrize("silence", ["", "   ", "...", "—"])
def test_empty_reference_counts_insertions(silence: str) -> None:
    scored = score("u", silence, "thank you")
    assert scored.words == ErrorCounts(insertions=2)
    assert scored.characters == ErrorCounts(insertions=len("thank you"))


@pytest.mark.parametrize("silence", ["", "   ", "?!"])
def test_empty_hypothesis_counts_deletions(silence: str) -> None:
    scored = score("u", "thank you", silence)
    assert scored.words == ErrorCounts(deletions=2, reference_length=2)
    assert scored.characters == ErrorCounts(deletions=9, reference_length=9)
    assert scored.words.rate == 1.0


def test_both_empty_is_no_error() -> None:
    scored = score("u", "", "...")
    assert scored.words == scored.characters == ErrorCounts()
    assert math.isnan(scored.words.rate)


def test_words_heard_in_silence_raise_the_pooled_rate() -> None:
    words, _ = pool([score("said", "one two three four", "one two three four"), score("silence", "", "thank you")])
    assert words == ErrorCounts(insertions=2, reference_length=4)
    assert words.rate == 0.5 == jiwer.wer(["one two three four", ""], ["one two three four", "thank you"])


def test_an_empty_pool_has_no_rate() -> None:
    words, characters = pool([])
    assert words == characters == ErrorCounts()
    assert math.isnan(words.rate)


def test_empty_texts_confuse_nothing() -> None:
    assert confusions([score("1", "", "thank you"), score("2", "thank you", ""), score("3", "", "")]) == []
