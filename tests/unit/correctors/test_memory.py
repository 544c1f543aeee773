"""What a corrector said once is not asked again, and a fault in the middle loses what was on its way at most."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from attune.correctors.memory import RememberedCorrector
from attune.correctors.protocol import Item, Proposal
from attune.errors import GoldError
from attune.records import GoldSource
from attune.workcache import WorkCache, digest_of

MakeItem = Callable[..., Item]


class Echo:
    """Repeats what was heard in capitals, until it has answered `patience` utterances; has nothing to say to `mute`, and
    nothing that lasts to `busy`."""

    name = "echo"
    model: str | None = "parrot"
    source: GoldSource = "llm"

    def __init__(self, digest: str = "echo-1", patience: int = 1000) -> None:
        self.digest, self.patience, self.asked = digest, patience, list[str]()

    def question(self, item: Item) -> str:
        return digest_of(item.hypothesis.text, item.hypothesis.alternatives)

    def propose(self, items: Sequence[Item]) -> Iterator[Proposal]:
        for item in items:
            self.asked.append(item.utterance.id)
            if len(self.asked) > self.patience:
                raise GoldError("the server went away")
            if item.utterance.id != "mute":
                yield Proposal(item.utterance.id, item.hypothesis.text.upper(), "echo", lasting=item.utterance.id != "busy")


def test_what_was_asked_once_is_not_asked_again(tmp_path: Path, make_item: MakeItem) -> None:
    items = [make_item(name, name) for name in ("c", "a", "b")]
    cache, echo = WorkCache(tmp_path), Echo()
    first = sorted((p.id, p.text) for p in RememberedCorrector(echo, cache).propose(items))
    assert first == [("a", "A"), ("b", "B"), ("c", "C")]
    again = RememberedCorrector(echo, WorkCache(tmp_path))
    assert sorted((p.id, p.text) for p in again.propose(items)) == first
    assert (sorted(echo.asked), again.remembered) == (["a", "b", "c"], 3)


def test_another_corrector_or_another_hypothesis_is_asked_anew(tmp_path: Path, make_item: MakeItem) -> None:
    cache = WorkCache(tmp_path)
    for echo, item, text in (
        (Echo(), make_item("a", "one"), "ONE"),
        (Echo(), make_item("a", "two"), "TWO"),
        (Echo(), make_item("a", "two", also=("too",)), "TWO"),
        (Echo("echo-2"), make_item("a", "two"), "TWO"),
    ):
        assert [p.text for p in RememberedCorrector(echo, cache).propose([item])] == [text]
        assert echo.asked == ["a"]


def test_what_was_answered_before_a_fault_is_kept(tmp_path: Path, make_item: MakeItem) -> None:
    items = [make_item(name, name) for name in "abcd"]
    cache = WorkCache(tmp_path)
    with pytest.raises(GoldError, match="went away"):
        list(RememberedCorrector(Echo(patience=2), cache).propose(items))
    again = Echo()
    assert len(list(RememberedCorrector(again, cache).propose(items))) == 4
    assert again.asked == ["c", "d"]


def test_an_utterance_without_an_answer_stays_without_and_is_asked_again(tmp_path: Path, make_item: MakeItem) -> None:
    cache, echo = WorkCache(tmp_path), Echo()
    for _ in range(2):
        assert list(RememberedCorrector(echo, cache).propose([make_item("mute", "x")])) == []
    assert echo.asked == ["mute", "mute"]


def test_an_answer_that_may_be_another_one_tomorrow_is_not_kept(tmp_path: Path, make_item: MakeItem) -> None:
    cache, echo = WorkCache(tmp_path), Echo()
    for _ in range(2):
        assert [p.id for p in RememberedCorrector(echo, cache).propose([make_item("busy", "x")])] == ["busy"]
    assert echo.asked == ["busy", "busy"]


def test_a_value_of_another_shape_in_the_cache_is_no_answer(tmp_path: Path, make_item: MakeItem) -> None:
    class Odd(WorkCache):
        def get_or_none(self, key: str) -> object:
            return {"text": "from an older version"}

    answers = RememberedCorrector(Echo(), Odd(tmp_path)).propose([make_item("a", "one")])
    assert [p.text for p in answers] == ["ONE"]
