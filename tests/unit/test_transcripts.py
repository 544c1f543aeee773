"""Which transcripts are believed, and why the others are not."""

from typing import Any

import pytest
from shipped import split_params

from attune.errors import ParamsError
from attune.text import Policy
from attune.transcripts import Doubt, Transcripts

EVERYDAY = ("good morning", "the kettle is on", "bring two cups", "see you later")


def judge(text: str, duration_s: float, given: tuple[str, ...] = EVERYDAY, **changes: Any) -> str:
    params = split_params().transcripts.model_copy(update=changes)
    judged = Transcripts((*given, text), params).judge(text, duration_s)
    return judged.reason if isinstance(judged, Doubt) else judged


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("Good morning!", 1.2),
        ("six", 0.14),
        ("yes", 14.9),
        ("one one one one", 2.0),
        ("no, no, no, no, no!", 2.0),
        ("Dr. Nowak said: it's 120 over 80, come back in 2 weeks.", 5.0),
    ],
)
def test_what_people_say_is_kept_as_it_was_given(text: str, duration_s: float) -> None:
    assert judge(text, duration_s) == text


@pytest.mark.parametrize(
    ("text", "duration_s", "reason"),
    [
        ("...", 1.0, "transcript_without_words"),
        ("a sentence that nobody can say so quickly", 1.0, "too_much_text"),
        ("yes", 29.0, "too_little_text"),
        ("thank you for watching " * 12, 20.0, "repetitive_text"),
    ],
)
def test_what_cannot_be_true_is_set_aside(text: str, duration_s: float, reason: str) -> None:
    assert judge(text, duration_s) == reason


def test_a_script_that_hardly_anybody_writes_is_wrong() -> None:
    assert judge("доброе утро", 1.0, EVERYDAY * 10) == "wrong_script"
    assert judge("доброе утро", 1.0, EVERYDAY) == "доброе утро"
    assert judge("доброе утро", 1.0, EVERYDAY, scripts=("latin",)) == "wrong_script"
    assert judge("доброе утро", 1.0, EVERYDAY * 10, scripts=("Latin", "Cyrillic")) == "доброе утро"
    assert judge("42", 1.0, EVERYDAY * 10) == "42"


def test_the_doubt_says_what_was_seen_and_what_is_believed() -> None:
    judged = Transcripts(["x"], split_params().transcripts).judge("x" * 40, 0.5)
    assert isinstance(judged, Doubt)
    assert judged.detail == "40 characters in 0.50 s; 0.2 to 30 a second are believed"


@pytest.mark.parametrize(
    ("policy", "text", "written"),
    [
        (Policy(), " As  given,\tUm [sic]. ", "As given, Um [sic]."),
        (Policy("normalised"), "um [sic] so <noise> (unclear) yes", "um so yes"),
        (Policy("normalised", language="en"), "Um, so, uh... yes mm-hmm", "so, yes -"),
        (Policy("normalised", language="pt"), "um dois, ah, três", "um dois, três"),
        (Policy(numbers="digits", language="es"), "tengo veintitrés años", "tengo 23 años"),
        (Policy(numbers="words", language="es"), "son 1.200,5 euros", "son mil doscientos punto cinco euros"),
        (Policy(numbers="words", language="en"), "call 0171", "call zero one seven one"),
        (Policy(case="lower"), "ÄRZTE in Ulm", "ärzte in ulm"),
        (Policy(punctuation="remove"), "It's the dogs' X-ray!", "It's the dogs X ray"),
    ],
)
def test_a_policy_rewrites_what_it_names_and_nothing_else(policy: Policy, text: str, written: str) -> None:
    assert policy.write(text) == written


@pytest.mark.parametrize(("numbers", "language"), [("digits", None), ("digits", "fi"), ("words", None), ("words", "xx")])
def test_numbers_need_a_language_that_is_known(numbers: Any, language: str | None) -> None:
    with pytest.raises(ParamsError, match=f"numbers: {numbers} needs language, one of .*seen: {language!r}"):
        Policy(numbers=numbers, language=language)
