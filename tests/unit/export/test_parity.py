from collections.abc import Sequence

import pytest

from attune.errors import ParityError
from attune.export.parity import breach, compare, parity_set
from attune.params import ParityParams
from attune.records import Hypothesis, Split, Utterance


def _utterance(name: str, reference: str | None, split: Split = "validation") -> Utterance:
    return Utterance(name, name * 4, f"{name}.wav", "ann", "clean", split, 1.0, None, reference)


def _limits(**changed: float) -> ParityParams:
    names = ("float32", "float16", "bfloat16", "int8", "int8_float16", "int8_float32")
    return ParityParams(**{**dict.fromkeys(names, 0.0), **changed})


def _heard(texts: Sequence[str]) -> list[Hypothesis]:
    return [Hypothesis(str(n), text, 0.9) for n, text in enumerate(texts)]


def test_the_increase_is_the_difference_of_pooled_rates_in_points() -> None:
    utterances = [_utterance("a", "one two three four"), _utterance("b", "five six seven eight nine ten")]
    tuned = _heard(["one two three four", "five six seven eight nine nine"])
    exported = _heard(["one two three tour", "five six seven eight nine nine"])
    parity = compare(utterances, tuned, exported)
    assert (parity.tuned_wer, parity.exported_wer) == pytest.approx((0.1, 0.2))
    assert parity.wer_increase_points == pytest.approx(10.0)
    assert parity.identical_share == 0.5
    told = breach(parity, _limits(int8=0.5), "int8")
    assert told is not None
    assert "the exported int8 model makes 10.00 points more WER than the tuned one" in told
    assert "0.5 allowed in convert_ct2.max_wer_increase_points.int8" in told
    assert breach(parity, _limits(int8=10.5), "int8") is None
    assert breach(parity, _limits(int8=10.5), "float32") is not None


def test_an_export_that_does_better_passes() -> None:
    parity = compare([_utterance("a", "one two")], _heard(["one"]), _heard(["one two"]))
    assert parity.wer_increase_points == pytest.approx(-50.0)
    assert breach(parity, _limits(), "int8") is None


def test_without_references_the_tuned_texts_stand_for_the_truth() -> None:
    parity = compare([_utterance("a", None), _utterance("b", None)], _heard(["one two", "three"]), _heard(["one two", "tree"]))
    assert parity.measured_against == "tuned"
    assert parity.tuned_wer == 0.0
    assert parity.exported_wer == pytest.approx(1 / 3)


def test_case_and_punctuation_are_no_difference() -> None:
    assert compare([_utterance("a", "one")], _heard(["One."]), _heard(["one"])).identical_share == 1.0


def test_words_where_the_tuned_model_hears_none_are_no_parity() -> None:
    parity = compare([_utterance("a", None)], _heard([""]), _heard(["one two"]))
    assert breach(parity, _limits(int8=0.5), "int8") is not None


def test_nothing_to_compare_is_no_parity() -> None:
    with pytest.raises(ParityError, match="no utterance"):
        compare([], [], [])


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "validation", "test"), ["validation", "train"]),
        (("train", "test"), ["train"]),
        (("test",), ["test"]),
    ],
)
def test_parity_is_measured_on_validation_then_train_and_never_on_test_beside_others(
    splits: tuple[Split, ...], expected: list[Split]
) -> None:
    utterances = [_utterance(split, "text", split) for split in splits]
    assert [u.split for u in parity_set(utterances, 10)] == expected
    assert [u.split for u in parity_set(utterances, 1)] == expected[:1]


def test_utterances_without_reference_are_left_out_where_others_have_one() -> None:
    utterances = [_utterance("a", None), _utterance("b", "text")]
    assert [u.id for u in parity_set(utterances, 10)] == ["b"]
    assert [u.id for u in parity_set(utterances[:1], 10)] == ["a"]
