"""Nobody is on two sides, nobody changes sides, and what few speakers cost is said."""

from typing import Any

import pytest
from shipped import split_params

from attune.errors import DataError, LeakageError
from attune.records import Split, Utterance
from attune.splitting import check_leakage, deal, position

MANY = [f"person {n}" for n in range(400)]


def sides(speakers: list[str], **changes: Any) -> dict[str, set[Split]]:
    """The sides of every speaker, each having ten utterances."""
    dealt = deal({f"{s}/{n}": s for s in speakers for n in range(10)}, split_params(**changes))
    return {s: {dealt.split_of[f"{s}/{n}"] for n in range(10)} for s in speakers}


def utterance(name: str, speaker: str, split: Split) -> Utterance:
    return Utterance(name, f"digest of {name}", f"{name}.wav", speaker, "clean", split, 1.0, 20.0, None)


def warnings(speakers: list[str], **changes: Any) -> str:
    return "\n".join(deal({s: s for s in speakers}, split_params(**changes)).warnings)


def test_shares_are_kept_and_every_speaker_has_one_side() -> None:
    found = sides(MANY)
    assert all(len(where) == 1 for where in found.values())
    counts = {split: sum(where == {split} for where in found.values()) for split in ("train", "validation", "test")}
    assert counts["test"] == pytest.approx(40, abs=15)
    assert counts["validation"] == pytest.approx(40, abs=15)


def test_more_speakers_move_nobody() -> None:
    before, after = sides(MANY[:200]), sides(MANY)
    assert len(before) == 200
    assert all(after[name] == side for name, side in before.items())


def test_the_hash_is_the_published_one() -> None:
    assert position("42", "anna") == pytest.approx(0.19005750558, abs=1e-10)
    assert position("42", "anna") != position("43", "anna")


def test_another_salt_deals_anew() -> None:
    assert sides(MANY) != sides(MANY, salt="43")


def test_named_test_speakers_are_tested_and_nobody_else() -> None:
    found = sides(MANY, test_speakers=("person 7", "person 8"))
    assert [name for name, where in found.items() if where == {"test"}] == ["person 7", "person 8"]
    assert not any("test" in where for name, where in found.items() if name not in ("person 7", "person 8"))


def test_naming_test_speakers_moves_nobody_else_to_validation() -> None:
    before, after = sides(MANY), sides(MANY, test_speakers=("person 7",))
    assert {n for n, s in after.items() if s == {"validation"}} <= {n for n, s in before.items() if s == {"validation"}}


def test_named_validation_speakers_validate_whatever_the_unit() -> None:
    found = sides(MANY, validation_speakers=("person 3",), validation_unit="utterance")
    assert [name for name, where in found.items() if "validation" in where] == ["person 3"]


@pytest.mark.parametrize("key", ["test_speakers", "validation_speakers"])
def test_unknown_names_are_answered_with_the_known(key: str) -> None:
    with pytest.raises(DataError, match=rf"{key} names \['zoe'\].*anna, ben"):
        sides(["anna", "ben"], **{key: ("zoe",)})


def test_pinning_everybody_leaves_nobody_to_train_on() -> None:
    with pytest.raises(DataError, match="leave at least one"):
        sides(["anna", "ben"], test_speakers=("anna", "ben"))


def test_one_speaker_is_refused_with_the_way_out() -> None:
    with pytest.raises(DataError, match=r"at least two.*anna.*folder.*manifest\.jsonl"):
        sides(["anna"])


@pytest.mark.parametrize("count", range(2, 12))
@pytest.mark.parametrize("salt", ["1", "2", "3", "4"])
def test_few_speakers_leave_no_side_empty_that_could_be_filled(count: int, salt: str) -> None:
    found = sides(MANY[:count], salt=salt)
    assert all(len(where) == 1 for where in found.values())
    filled = {next(iter(where)) for where in found.values()}
    assert filled == ({"train", "test"} if count == 2 else {"train", "test", "validation"})


def test_a_promotion_is_announced_with_the_pin_that_keeps_it() -> None:
    (tested,) = [name for name, where in sides(["anna", "ben", "cleo"]).items() if where == {"test"}]
    assert f"test_speakers: [{tested}]" in warnings(["anna", "ben", "cleo"])


def test_two_speakers_are_told_how_to_validate() -> None:
    assert "validation_unit: utterance" in warnings(["anna", "ben"])
    assert "validation_unit: utterance" not in warnings(["anna", "ben"], validation_unit="utterance")


def test_few_test_speakers_limit_what_the_numbers_tell() -> None:
    assert "people unlike them" in warnings(["anna", "ben", "cleo"])
    assert warnings(MANY) == ""


def test_validation_by_utterance_takes_its_share_of_training_speakers_only() -> None:
    found = sides(MANY, validation_unit="utterance")
    assert all(where == {"test"} for where in found.values() if "test" in where)
    dealt = deal({f"{s}/{n}": s for s in MANY for n in range(10)}, split_params(validation_unit="utterance")).split_of
    known = [side for side in dealt.values() if side != "test"]
    assert known.count("validation") / len(known) == pytest.approx(1 / 9, abs=0.02)


def test_validation_by_utterance_finds_one_in_the_smallest_corpus() -> None:
    dealt = deal({"a1": "anna", "a2": "anna", "b1": "ben"}, split_params(validation_unit="utterance", test_speakers=("ben",)))
    assert sorted(dealt.split_of.values()) == ["test", "train", "validation"]


def test_a_share_of_nothing_stays_empty() -> None:
    found = sides(MANY, shares={"train": 0.9, "validation": 0.0, "test": 0.1})
    assert not any("validation" in where for where in found.values())


def test_a_test_speaker_elsewhere_is_leakage() -> None:
    with pytest.raises(LeakageError, match="'anna' is in test and train"):
        check_leakage([utterance("1", "anna", "test"), utterance("2", "anna", "train")], "utterance")


def test_the_same_sound_on_two_sides_is_leakage() -> None:
    with pytest.raises(LeakageError, match="sound digest of 1"):
        check_leakage([utterance("1", "anna", "test"), utterance("1", "ben", "validation")], "speaker")


def test_a_validation_speaker_in_training_is_leakage_unless_the_unit_is_the_utterance() -> None:
    both = [utterance("1", "anna", "validation"), utterance("2", "anna", "train")]
    check_leakage(both, "utterance")
    with pytest.raises(LeakageError, match="anna"):
        check_leakage(both, "speaker")


def test_pieces_that_share_seconds_on_two_sides_are_a_leak() -> None:
    def piece(name: str, start_s: float, split: Split) -> Utterance:
        return Utterance(name, name * 9, "day.wav", name, "clean", split, 2.0, None, None, start_s=start_s, end_s=start_s + 2)

    check_leakage([piece("a", 0.0, "test"), piece("b", 1.95, "train")], "speaker")
    with pytest.raises(LeakageError, match=r"day.wav from 0 s \(test\) and from 1.5 s \(train\) share seconds"):
        check_leakage([piece("a", 0.0, "test"), piece("b", 1.5, "train")], "speaker")
