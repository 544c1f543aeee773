"""What a corrector said once is not asked again, and a fault in the middle loses one portion at most."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from attune.correctors.memory import RememberedCorrector
from attune.correctors.protocol import Item, Proposal
from attune.errors import GoldError
from attune.records import GoldSource
from attune.workcache import WorkCache

MakeItem = Callable[..., Item]


class Echo:
    """Repeats what was heard in capitals, until it has answered `patience` utterances; has nothing to say to `mute`."""

    name = "echo"
    source: GoldSource = "llm"

    def __init__(self, digest: str = "echo-1", patience: int = 1000) -> None:
        self.digest, self.patience, self.portions = digest, patience, list[list[str]]()

    def propose(self, items: Sequence[Item]) -> list[Proposal]:
        self.portions.append([item.utterance.id for item in items])
        if sum(map(len, self.portions)) > self.patience:
            raise GoldError("the server went away")
        return [Proposal(i.utterance.id, i.hypothesis.text.upper(), "echo") for i in items if i.utterance.id != "mute"]


def test_answers_come_in_the_order_of_the_items_and_are_asked_for_once(tmp_path: Path, make_item: MakeItem) -> None:
    items = [make_item(name, name) for name in ("c", "a", "b")]
    cache, echo = WorkCache(tmp_path), Echo()
    remembered = RememberedCorrector(echo, cache, portion=2)
    first = remembered.propose(items)
    assert [(p.id, p.text) for p in first] == [("c", "C"), ("a", "A"), ("b", "B")]
    assert [len(portion) for portion in echo.portions] == [2, 1]
    assert RememberedCorrector(echo, WorkCache(tmp_path), portion=2).propose(items) == first
    assert len(echo.portions) == 2


def test_another_corrector_or_another_hypothesis_is_asked_anew(tmp_path: Path, make_item: MakeItem) -> None:
    cache = WorkCache(tmp_path)
    for echo, item, text in (
        (Echo(), make_item("a", "one"), "ONE"),
        (Echo(), make_item("a", "two"), "TWO"),
        (Echo(), make_item("a", "two", also=("too",)), "TWO"),
        (Echo("echo-2"), make_item("a", "two"), "TWO"),
    ):
        assert [p.text for p in RememberedCorrector(echo, cache, portion=8).propose([item])] == [text]
        assert echo.portions == [["a"]]


def test_what_was_answered_before_a_fault_is_kept(tmp_path: Path, make_item: MakeItem) -> None:
    items = [make_item(name, name) for name in "abcd"]
    cache = WorkCache(tmp_path)
    with pytest.raises(GoldError, match="went away"):
        RememberedCorrector(Echo(patience=2), cache, portion=2).propose(items)
    again = Echo()
    assert len(RememberedCorrector(again, cache, portion=2).propose(items)) == 4
    assert again.portions == [["c", "d"]]


def test_an_utterance_without_an_answer_stays_without_and_is_asked_again(tmp_path: Path, make_item: MakeItem) -> None:
    cache, echo = WorkCache(tmp_path), Echo()
    for _ in range(2):
        assert RememberedCorrector(echo, cache, portion=8).propose([make_item("mute", "x")]) == []
    assert echo.portions == [["mute"], ["mute"]]


def test_a_value_of_another_shape_in_the_cache_is_no_answer(tmp_path: Path, make_item: MakeItem) -> None:
    class Odd(WorkCache):
        def get_or_none(self, key: str) -> object:
            return {"text": "from an older version"}

    answers = RememberedCorrector(Echo(), Odd(tmp_path), portion=8).propose([make_item("a", "one")])
    assert [p.text for p in answers] == ["ONE"]
