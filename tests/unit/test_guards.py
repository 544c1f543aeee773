"""Each guard refuses what lies outside its bound, and nothing else."""

import pytest
from guard_bounds import bounds

from attune.guards import GUARDS, Claim, asked, doubt_reference, edit_ratio, empty, length_ratio, refuse

BOUNDS = bounds(max_edit_ratio=0.5)


def refused(heard: str, proposal: str, **given: object) -> str | None:
    """The name of the guard that refuses the proposal, or None."""
    refusal = refuse(Claim(heard, proposal, **given), BOUNDS)  # type: ignore[arg-type]
    return refusal.guard if refusal else None


def test_every_guard_lets_the_baseline_itself_pass() -> None:
    assert len(GUARDS) >= 10
    for guard in GUARDS.values():
        assert guard(Claim("two tablets a day", "two tablets a day"), BOUNDS) is None


@pytest.mark.parametrize(
    ("heard", "proposal"),
    [
        ("the patient has a feeder", "The patient has a fever."),
        ("she takes met forming every day", "she takes metformin every day"),
        ("take too tablets", "take two tablets"),
        ("room for one one", "room four one one"),
        ("he has ask ma", "he has asthma"),
        ("no sign of new moania", "no sign of pneumonia"),
        ("toma dos pastiyas al dia", "toma dos pastillas al día"),
        ("два таблетки в день", "две таблетки в день"),
    ],
)
def test_good_corrections_pass_all_of_them(heard: str, proposal: str) -> None:
    assert refused(heard, proposal) is None


@pytest.mark.parametrize(
    ("guard", "heard", "proposal"),
    [
        ("empty", "two tablets", "?!"),
        ("chatter", "the patient has a feeder", "Here is the corrected text: the patient has a fever"),
        ("chatter", "the patient has a feeder", "I'm sorry, but I can't help with that."),
        ("chatter", "the patient has a feeder", "Sure! The patient has a fever."),
        ("chatter", "the patient has a feeder", "the patient has a **fever**"),
        ("script", "two tablets", "twо tablets"),
        ("script", "guten morgen", "доброе утро"),
        ("repetition", "the patient has a feeder", "the fever the fever the fever the fever the fever"),
        ("length_ratio", "it hurts", "it hurts when she bends her knee in the morning"),
        ("edit_ratio", "the patient has a feeder", "this person suffers from fever"),
        ("language", "i have pain in my knee when i walk", "tengo dolor en la rodilla"),
        ("numbers", "give fifty units of insulin", "give fifteen units of insulin"),
        ("numbers", "room 204 on monday", "room 240 on monday"),
        ("glossary", "she takes warfarin at night", "she takes four fins at night"),
        ("sound_distance", "the knee is tender", "the knee is fractured"),
        ("negation", "he can not walk", "he can walk"),
        ("negation", "she can sleep", "she can't sleep"),
        ("negation", "sie ist ein kind", "sie ist kein kind"),
        ("negation", "病人没有发烧", "病人有发烧"),
        ("numbers", "每天吃三片药", "每天吃八片药"),
        ("numbers", "give 2 mg now", "give 2.5 mg now"),
        ("numbers", "give 10 units now", "give 10,000 units now"),
        ("numbers", "take tablets now", "take 8 tablets now"),
        ("sound_distance", "the knee is swollen", "knee is swollen"),
        ("numbers", "five five three one", "five three one"),
        ("sound_distance", "a knee is swollen", "the knee is swollen"),
        ("sound_distance", "patient has fever", "patient has a fever"),
        ("sound_distance", "病人没有发烧今天很好", "病人没有发烧今天不是很好"),
        ("chatter", "no feeder today", "no fever today 😊"),
        ("chatter", "no feeder today", "no [[fever]] today"),
        ("sound_distance", "the knee is swollen", "the left knee is swollen"),
    ],
)
def test_each_way_of_going_wrong_has_a_guard(guard: str, heard: str, proposal: str) -> None:
    found = refuse(Claim(heard, proposal, glossary=("warfarin",)), bounds(max_edit_ratio=0.6, max_length_ratio=2.5))
    assert found is not None
    assert found.guard in GUARDS
    alone = GUARDS[guard](Claim(heard, proposal, glossary=("warfarin",)), bounds(max_edit_ratio=0.6, max_length_ratio=2.5))
    assert alone is not None


@pytest.mark.parametrize("guard", sorted(GUARDS))
def test_each_guard_but_for_empty_can_be_switched_off(guard: str) -> None:
    if guard == "empty":
        return
    key = next(key for key in (guard, f"max_{guard}", f"min_{guard}") if key in type(BOUNDS).model_fields)
    off = BOUNDS.model_copy(update={key: False if key == guard else None})
    assert guard in asked(BOUNDS)
    assert guard not in asked(off)
    wrong = Claim(
        "give fifty units of warfarin", "Sure, here is the text: даю даю даю даю даю даю даю fifteen", (), ("warfarin",)
    )
    assert GUARDS[guard](wrong, off) is None


def test_edits_up_to_the_bound_pass_and_above_it_are_refused_with_the_value() -> None:
    assert edit_ratio(Claim("one two three four", "one two five six"), BOUNDS) is None
    reason = edit_ratio(Claim("one two three four", "seven two five six"), BOUNDS)
    assert reason is not None
    assert "0.75" in reason
    assert "0.5" in reason


def test_case_and_punctuation_are_no_edits() -> None:
    assert edit_ratio(Claim("two tablets", "Two tablets."), bounds(max_edit_ratio=0.0)) is None


def test_a_word_of_one_may_be_mended() -> None:
    assert edit_ratio(Claim("feeder", "fever"), BOUNDS) is None


def test_text_where_nothing_was_heard_is_refused() -> None:
    assert edit_ratio(Claim("", "good morning everybody"), BOUNDS) is not None
    assert length_ratio(Claim("", "good morning everybody"), BOUNDS) is not None


@pytest.mark.parametrize(("heard", "proposal"), [("ab", "abcde"), ("abcde", "ab")])
def test_much_longer_and_much_shorter_texts_are_refused(heard: str, proposal: str) -> None:
    reason = length_ratio(Claim(heard, proposal), BOUNDS)
    assert reason is not None
    assert "2.50" in reason


def test_what_the_recogniser_had_among_its_alternatives_need_not_sound_alike() -> None:
    assert refused("the knee is tender", "the knee is fractured") == "sound_distance"
    assert refused("the knee is tender", "the knee is fractured", alternatives=("the knee is fractured now",)) is None


def test_another_number_needs_an_alternative_that_is_likely() -> None:
    witness = ("give fifteen unit",)
    assert refused("give fifty units", "give fifteen units", alternatives=witness, likely=witness) is None
    assert refused("give fifty units", "give fifteen units", alternatives=witness) == "numbers"


def test_words_of_an_alternative_in_another_place_are_no_witness() -> None:
    heard, other = "the left knee is sore", "the left knee is left"
    assert refused("the knee is sore", "the left knee is sore", alternatives=("the knee is left",)) == "sound_distance"
    assert refused(heard, other, alternatives=(heard,)) == "sound_distance"


def test_what_people_really_say_is_no_chatter() -> None:
    heard = "sorry i can't help with the transcription"
    assert refused(heard, "sorry i can't help with the transcriptions") is None


def test_letters_of_the_glossary_are_allowed() -> None:
    assert empty(Claim("alfa blocker", "α blocker"), BOUNDS) is None
    assert GUARDS["script"](Claim("alfa blocker", "α blocker", glossary=("α blocker",)), BOUNDS) is None
    assert GUARDS["script"](Claim("alfa blocker", "α blocker"), BOUNDS) is not None


def test_what_a_reader_leaves_as_it_is_must_have_been_heard_surely() -> None:
    sure, unsure = (0.9, 0.2, 0.9), (0.9, 0.2, 0.3)
    assert refused("no feeder today", "no fever today", confidences=sure) is None
    assert refused("no feeder today", "no fever today", confidences=unsure) == "unchanged_confidence"
    assert refused("no feeder today", "no feeder today") is None
    assert refused("no feeder today", "no feeder today", confidences=sure, probability=0.6) == "unchanged_probability"
    assert refused("no feeder today", "no feeder today", confidences=unsure, probability=0.8) is None
    assert refused("feeder", "fever", confidences=(0.0,)) is None


def test_what_was_heard_surely_is_left_by_who_only_reads() -> None:
    sure = (0.9, 0.98, 0.9)
    assert refused("no feeder today", "no fever today", confidences=sure) == "changed_confidence"
    assert refused("no feeder today", "no fever today", confidences=sure, likely=("no fever day",)) is None
    assert refused("no feeder today", "no fever today") is None


def test_a_remark_that_was_heard_is_none_whatever_its_punctuation() -> None:
    assert refused("okay here is the text you wanted", "Okay, here is the text you wanted.") is None
    assert refused("the corrected text", "The *corrected* text") == "chatter"


def test_the_language_that_was_said_counts_more_than_the_one_that_seems_heard() -> None:
    claim = Claim("el paciente no puede dormir", "the patient can not sleep at night because of pain", language="en")
    assert GUARDS["language"](claim, BOUNDS) is None


def test_a_transcript_of_another_recording_is_doubted_with_the_distance() -> None:
    assert doubt_reference("the door is open", "the door is shut", BOUNDS) is None
    assert "0.8" in (doubt_reference("abcdefghij klmno", "xxxxxxxxx yyyy zz", BOUNDS) or "")
