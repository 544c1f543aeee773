"""Each guard refuses what lies outside its bound, and nothing else."""

import pytest

from attune.guards import GUARDS, edit_ratio, empty, length_ratio, refuse
from attune.params import GuardParams

BOUNDS = GuardParams(max_edit_ratio=0.5, max_length_ratio=2.0, max_reference_distance=0.8)


def test_every_guard_lets_the_baseline_itself_pass() -> None:
    assert len(GUARDS) >= 3
    for guard in GUARDS.values():
        assert guard("two tablets a day", "two tablets a day", BOUNDS) is None


@pytest.mark.parametrize("nothing", ["", "   ", "?!"])
def test_a_text_without_words_is_refused_as_empty(nothing: str) -> None:
    assert empty("two tablets", nothing, BOUNDS) is not None
    refusal = refuse("two tablets", nothing, BOUNDS)
    assert refusal is not None
    assert refusal.guard == "empty"


def test_edits_up_to_the_bound_pass_and_above_it_are_refused_with_the_value() -> None:
    assert edit_ratio("one two three four", "one two five six", BOUNDS) is None
    reason = edit_ratio("one two three four", "seven two five six", BOUNDS)
    assert reason is not None
    assert "0.75" in reason
    assert "0.5" in reason


def test_case_and_punctuation_are_no_edits() -> None:
    assert edit_ratio("two tablets", "Two tablets.", BOUNDS.model_copy(update={"max_edit_ratio": 0.0})) is None


def test_text_where_nothing_was_heard_is_refused() -> None:
    assert edit_ratio("", "thank you for watching", BOUNDS) is not None
    assert length_ratio("", "thank you for watching", BOUNDS) is not None


@pytest.mark.parametrize(("heard", "proposal"), [("ab", "abcde"), ("abcde", "ab")])
def test_much_longer_and_much_shorter_texts_are_refused(heard: str, proposal: str) -> None:
    reason = length_ratio(heard, proposal, BOUNDS)
    assert reason is not None
    assert "2.50" in reason


def test_twice_the_length_is_within_a_bound_of_two() -> None:
    assert length_ratio("ab", "abcd", BOUNDS) is None
