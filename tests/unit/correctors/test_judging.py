"""What is believed of a proposal: style, guards, and the sound itself."""

from collections.abc import Callable, Sequence

import pytest
from guard_bounds import bounds

from attune.correctors.agreement import Agreement
from attune.correctors.judging import Judge, word_confidences
from attune.correctors.protocol import Item, Proposal
from attune.correctors.references import References
from attune.records import Gold, Hypothesis, Word
from attune.text import Policy

MakeItem = Callable[..., Item]


def judged(item: Item, text: str | None, judge: Judge) -> Gold:
    proposal = {} if text is None else {item.utterance.id: Proposal(item.utterance.id, text, "told")}
    return judge.judge([item], proposal, References())[item.utterance.id]


def listening(losses: Sequence[float | None], asked: list[tuple[str, str]]) -> Judge:
    def listen(texts: Sequence[tuple[Item, str, str]]) -> list[float | None]:
        asked.extend((heard, proposed) for _, heard, proposed in texts)
        return list(losses)

    return Judge(bounds(max_acoustic_loss=8.0), Policy(), listen=listen)


def test_gold_is_written_as_transcripts_are(make_item: MakeItem) -> None:
    judge = Judge(bounds(), Policy(case="lower", punctuation="remove"))
    assert judged(make_item("x", "No feeder"), "No fever, today!", judge).text is None
    assert judged(make_item("x", "No feeder"), "No fever!", judge).text == "no fever"


def test_a_change_that_the_sound_bears_out_passes_that_guard_too(make_item: MakeItem) -> None:
    asked: list[tuple[str, str]] = []
    gold = judged(make_item("x", "no feeder today"), "No fever today.", listening([7.9], asked))
    assert (gold.text, gold.guards[-1]) == ("No fever today.", "acoustic_loss")
    assert asked == [("no feeder today", "no fever today")]


@pytest.mark.parametrize(("loss", "said"), [(8.1, "8.1 nats for each change, bound 8"), (None, "the model cannot tell")])
def test_a_change_that_the_sound_does_not_bear_out_is_quarantined(make_item: MakeItem, loss: float | None, said: str) -> None:
    gold = judged(make_item("x", "no feeder"), "no fever", listening([loss], []))
    assert (gold.text, gold.proposal, gold.why) == (None, "no fever", f"acoustic_loss: {said}")


def test_the_loss_counts_by_change(make_item: MakeItem) -> None:
    item = make_item("x", "no feeder and no coff at all")
    assert judged(item, "no fever and no cough at all", listening([15.0], [])).text is not None


def test_what_is_unchanged_or_refused_is_not_listened_to(make_item: MakeItem) -> None:
    asked: list[tuple[str, str]] = []
    judge = listening([], asked)
    assert judged(make_item("x", "no feeder"), "No feeder.", judge).source == "unchanged"
    assert judged(make_item("x", "no feeder"), "the curtains are blue", judge).text is None
    assert judged(make_item("x", "no feeder"), None, judge).why == "no_answer"
    assert asked == []


def test_confidences_are_those_of_the_words_or_of_the_whole() -> None:
    words = (Word("Well-known,", 0.3), Word("it's", 0.9))
    assert word_confidences(Hypothesis("x", "Well-known, it's", 0.5, words)) == (0.3, 0.3, 0.9)
    assert word_confidences(Hypothesis("x", "other text", 0.5, words)) == (0.5, 0.5)


def test_only_who_does_not_hear_is_held_to_what_was_heard_surely(make_item: MakeItem) -> None:
    judge, item = Judge(bounds(), Policy()), make_item("x", "no feeder today")
    proposal = {"x": Proposal("x", "no feeder today", "told")}
    reader, listener = Says(), References()
    assert judge.judge([item], proposal, reader)["x"].why.startswith("unchanged_confidence")  # type: ignore[arg-type]
    assert judge.judge([item], proposal, listener)["x"].source == "unchanged"


class Says:
    """Answers from a list."""

    name, model, source, digest = "says", "parrot", "llm", "1"

    def __init__(self, **answers: str | None) -> None:
        self._answers, self.asked = answers, list[str]()

    def question(self, item: Item) -> str:
        return item.utterance.id

    def propose(self, items: Sequence[Item]) -> list[Proposal]:
        self.asked = [item.utterance.id for item in items]
        return [Proposal(name, self._answers[name], "told", "a doubt") for name in self.asked]


def test_two_correctors_must_have_the_same_words(make_item: MakeItem) -> None:
    second = Says(same="No fever.", other="a fever", silent=None)
    first = Says(same="no fever", other="no fever", silent="no fever", unsure=None)
    agreement = Agreement(first, second)  # type: ignore[arg-type]
    items = [make_item(name, "no feeder") for name in ("same", "other", "silent", "unsure")]
    found = {p.id: (p.text, p.why, p.doubted) for p in agreement.propose(items)}
    assert found == {
        "same": ("no fever", "told", "a doubt"),
        "other": (None, "correctors_disagree", "no fever"),
        "silent": (None, "told", "no fever"),
        "unsure": (None, "told", "a doubt"),
    }
    assert second.asked == ["same", "other", "silent"]
