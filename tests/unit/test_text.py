"""`text.normalize` decides what counts as the same words; these are its promises."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune.text import normalize, repeats, words


@pytest.mark.parametrize(
    ("given_text", "same_as"),
    [
        ("Take the tablets, twice a day.", "take the tablets twice a day"),
        ("  one\ttwo\n\nthree\u00a0four ", "one two three four"),
        ("x-ray", "X ray"),
        ("yes…no", "yes no"),
        ("under_score", "under score"),
        ("ﬁne", "fine"),
        ("１２ ②", "12 2"),
    ],
)
def test_spelling_that_is_not_heard_makes_no_difference(given_text: str, same_as: str) -> None:
    assert normalize(given_text) == normalize(same_as) != ""


@pytest.mark.parametrize("apostrophe", ["'", "’", "ʼ", "\uff07"])
def test_apostrophes_inside_words_stay_and_are_all_the_same(apostrophe: str) -> None:
    assert normalize(f"Don{apostrophe}t") == "don't"


@pytest.mark.parametrize(
    ("quoted", "bare"), [("'twas", "twas"), ("the dogs'", "the dogs"), ("‘yes’", "yes"), ("rock 'n' roll", "rock n roll")]
)
def test_apostrophes_around_words_are_punctuation(quoted: str, bare: str) -> None:
    assert normalize(quoted) == bare


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("¿Cómo ESTÁS, niño?", "cómo estás niño"),
        ("नमस्ते, दुनिया।", "नमस्ते दुनिया"),
        ("Привет, МИР!", "привет мир"),
        ("你好，世界。", "你好 世界"),
        ("مرحبا، بالعالم؟", "مرحبا بالعالم"),
        ("สวัสดีครับ!", unicodedata.normalize("NFKC", "สวัสดีครับ")),
        ("٣ كتب", "٣ كتب"),
    ],
)
def test_letters_marks_and_digits_of_every_script_stay(given_text: str, expected: str) -> None:
    assert normalize(given_text) == expected


def test_composed_and_decomposed_accents_are_the_same_word() -> None:
    assert normalize("cafe\u0301") == normalize("café") == "café"


def test_invisible_format_characters_do_not_split_a_word() -> None:
    assert normalize("co\u00adoperate \ufeffword\u200djoin") == "cooperate wordjoin"


@pytest.mark.parametrize("nothing", ["", "   ", "...", "—", "''", "\u200b", "🙂 !"])
def test_text_without_words_is_empty(nothing: str) -> None:
    assert normalize(nothing) == ""
    assert words(nothing) == []


def test_words_are_the_normalised_text_split() -> None:
    assert words("It’s  TEN o'clock.") == ["it's", "ten", "o'clock"]


@given(st.text())
def test_normalising_twice_changes_nothing(anything: str) -> None:
    once = normalize(anything)
    assert normalize(once) == once
    assert " ".join(words(anything)) == once


@given(st.text(alphabet=st.characters(codec="utf-8", max_codepoint=0x2FFF)))
def test_only_letters_marks_digits_apostrophes_and_single_spaces_are_left(anything: str) -> None:
    out = normalize(anything)
    assert all(unicodedata.category(c)[0] in "LMN" or c in "' " for c in out)
    assert "  " not in out
    assert out == out.strip(" '")


@pytest.mark.parametrize("text", ["the " * 7, "thank you " * 4, "thank you for watching " * 3, "no " * 10])
def test_what_models_say_again_and_again_repeats(text: str) -> None:
    assert repeats(text)


@pytest.mark.parametrize("text", ["", "no no no", "three three three nine", "knock knock who is there who is there", "a b a b c"])
def test_what_people_say_does_not_repeat(text: str) -> None:
    assert not repeats(text)
