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
        ("a sentence that nobody at all can say so quickly", 1.0, "too_much_text"),
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
    judged = Transcripts(["x"], split_params().transcripts).judge("x" * 50, 0.5)
    assert isinstance(judged, Doubt)
    assert judged.detail == "50 characters in 0.50 s; at most 40 a second are believed"


@pytest.mark.parametrize(
    ("policy", "text", "written"),
    [
        (Policy(), " As  given,\tUm [sic]. ", "As given, Um [sic]."),
        (Policy("normalised"), "um [sic] so <noise> (unclear) yes", "um so yes"),
        (Policy("normalised", language="en"), "Um, so, uh... yes mm-hmm", "so, yes mm-hmm"),
        (Policy("normalised", language="pt"), "um dois, ah, três", "um dois, três"),
        (Policy("normalised", language="en"), "to the ER, 5 mm, x < 5 and y > 3", "to the ER, 5 mm, x < 5 and y > 3"),
        (Policy(numbers="digits", language="es"), "tengo veintitrés años", "tengo 23 años"),
        (Policy(numbers="digits", language="es"), "un hombre y una mujer", "un hombre y una mujer"),
        (
            Policy(numbers="digits", language="en"),
            "no one knows, wait a second: two three seven",
            "no one knows, wait a second: 2 3 7",
        ),
        (Policy(numbers="words", language="it"), "costa 1.234,5 euro", "costa milleduecentotrentaquattro virgola cinque euro"),
        (Policy(numbers="words", language="en"), "the 3rd of " + "7" * 40, "the third of " + " ".join(["seven"] * 40)),
        (Policy(numbers="words", language="es"), "son 1.200,5 euros", "son mil doscientos coma cinco euros"),
        (Policy(numbers="words", language="en"), "call 0171", "call zero one seven one"),
        (Policy(case="lower"), "ÄRZTE in Ulm", "ärzte in ulm"),
        (Policy(punctuation="remove"), "It's the dogs' X-ray!", "It's the dogs X ray"),
    ],
)
def test_a_policy_rewrites_what_it_names_and_nothing_else(policy: Policy, text: str, written: str) -> None:
    assert policy.write(text) == written


LANGUAGES = ["cs", "da", "de", "en", "es", "fi", "fr", "hu", "it", "nl", "no", "pl", "pt", "ro", "ru", "sv", "tr"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("figure", ["5", "23", "1200", "3,5", "3.5", "1.234.567,89", "999999999999", "0171", "1.2.3", "1e9"])
def test_any_figure_can_be_written_in_words(language: str, figure: str) -> None:
    written = Policy(numbers="words", language=language).write(f"a {figure} b")
    assert written.startswith("a ")
    assert not any(c.isdigit() for c in written)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("コンピューター", ("今日は良い天気です", "ありがとう") * 20),
        ("OK", ("今日は良い天気です",) * 40),
        ("iPhone", ("доброе утро",) * 40),
        ("ＡＢＣ", EVERYDAY * 10),
        ("是", ("今天天气很好",) * 40),
    ],
)
def test_scripts_that_go_together_are_no_fault(text: str, given: tuple[str, ...]) -> None:
    assert judge(text, 2.0, given) == text


def test_prose_in_any_script_does_not_repeat_itself() -> None:
    thai = "วันนี้อากาศดีมาก เราจะไปเดินเล่นที่สวนสาธารณะใกล้บ้าน แล้วกลับมากินข้าวเย็นด้วยกัน พรุ่งนี้ต้องไปทำงานแต่เช้า อย่าลืมซื้อนมกับไข่ด้วยนะ"
    assert judge(thai, 20.0, (thai,) * 3) == thai
    assert judge("ขอบคุณครับ " * 20, 20.0, (thai,) * 3) == "repetitive_text"


def test_a_script_that_is_none_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"scripts: han: no letter's Unicode name begins so"):
        judge("x", 1.0, scripts=("han",))


def test_a_long_pause_around_one_word_is_no_fault() -> None:
    params = split_params().transcripts
    assert Transcripts(["yes"], params).judge("yes", 29.0, 0.02) == "yes"


@pytest.mark.parametrize(("numbers", "language"), [("digits", None), ("digits", "fi"), ("words", None), ("words", "xx")])
def test_numbers_need_a_language_that_is_known(numbers: Any, language: str | None) -> None:
    with pytest.raises(ParamsError, match=f"numbers: {numbers} needs language, one of .*seen: {language!r}"):
        Policy(numbers=numbers, language=language)
