"""What is believed of a proposal: style, guards, and the sound itself."""

from collections.abc import Callable, Sequence

import pytest
from guard_bounds import bounds

from attune.correctors.agreement import Agreement
from attune.correctors.judging import Judge, unit_confidences, versions
from attune.correctors.protocol import Item, Proposal
from attune.correctors.references import References
from attune.records import Gold, Hypothesis, Word
from attune.scoring import edits
from attune.text import Policy

MakeItem = Callable[..., Item]


def judged(item: Item, text: str | None, judge: Judge) -> Gold:
    proposal = {} if text is None else {item.utterance.id: Proposal(item.utterance.id, text, "told")}
    return judge.judge([item], proposal, References())[item.utterance.id]


def listening(scores: Sequence[float | None], asked: list[tuple[str, ...]]) -> Judge:
    def listen(texts: Sequence[tuple[Item, tuple[str, ...]]]) -> list[list[float | None]]:
        asked.extend(versions for _, versions in texts)
        return [list(scores)]

    return Judge(bounds(max_acoustic_loss=8.0), Policy(), listen=listen)


def test_gold_is_written_as_transcripts_are(make_item: MakeItem) -> None:
    judge = Judge(bounds(), Policy(case="lower", punctuation="remove"))
    assert judged(make_item("x", "No feeder"), "No fever, today!", judge).text is None
    assert judged(make_item("x", "No feeder"), "No fever!", judge).text == "no fever"


def test_a_change_that_the_sound_bears_out_passes_that_guard_too(make_item: MakeItem) -> None:
    asked: list[tuple[str, ...]] = []
    gold = judged(make_item("x", "no feeder today"), "No fever today.", listening([-1.0, -8.9], asked))
    assert (gold.text, gold.guards[-1]) == ("No fever today.", "acoustic_loss")
    assert asked == [("no feeder today", "no fever today")]


@pytest.mark.parametrize(("score", "said"), [(-9.1, "8.1 nats for a change, bound 8"), (None, "the model cannot tell")])
def test_a_change_that_the_sound_does_not_bear_out_is_quarantined(make_item: MakeItem, score: float | None, said: str) -> None:
    gold = judged(make_item("x", "no feeder"), "no fever", listening([-1.0, score], []))
    assert (gold.text, gold.proposal, gold.why) == (None, "no fever", f"acoustic_loss: {said}")


def test_each_change_must_be_borne_out_by_itself(make_item: MakeItem) -> None:
    item, asked = make_item("x", "no feeder and no coff at all"), list[tuple[str, ...]]()
    text = "no fever and no cough at all"
    first, second = "no fever and no coff at all", "no feeder and no cough at all"
    assert judged(item, text, listening([-1.0, -8.0, -8.0, -15.0, -8.0, -8.0], asked)).text == text
    assert asked == [("no feeder and no coff at all", first, second, text, second, first)]
    assert judged(item, text, listening([-20.0, -10.0, -29.0, -19.0, -29.0, -10.0], asked)).why.startswith("acoustic_loss: 9.0")


def test_changes_that_make_sense_only_together_are_weighed_beside_each_other(make_item: MakeItem) -> None:
    item, text = make_item("x", "no feeder and no coff at all"), "no fever and no cough at all"
    assert judged(item, text, listening([-1.0, -12.0, -12.0, -3.0, -12.0, -12.0], [])).text == text
    assert judged(item, text, listening([-1.0, -12.0, -12.0, -18.0, -12.0, -12.0], [])).why.startswith("acoustic_loss: 8.5")


def test_versions_of_texts_without_spaces_have_none() -> None:
    assert versions("病人没有发烧", edits("病人没有发烧", "病人有发烧了")) == (
        "病人没有发烧", "病人有发烧", "病人没有发烧了", "病人有发烧了", "病人没有发烧了", "病人有发烧",
    )  # fmt: skip
    drug = "A WELL-KNOWN DRUG"
    assert versions(drug, edits(drug, "a well known rug")) == ("a well known drug", "a well known rug")
    assert versions("NO FEEDER", edits("NO FEEDER", "no fever")) == ("NO FEEDER", "NO FEVER")


def test_what_is_unchanged_or_refused_is_not_listened_to(make_item: MakeItem) -> None:
    asked: list[tuple[str, ...]] = []
    judge = listening([], asked)
    assert judged(make_item("x", "no feeder"), "No feeder.", judge).source == "unchanged"
    assert judged(make_item("x", "no feeder"), "the curtains are blue", judge).text is None
    assert judged(make_item("x", "no feeder"), None, judge).why == "no_answer"
    assert asked == []


def test_confidences_are_those_of_the_words_or_of_the_whole() -> None:
    words = (Word("Well-known,", 0.3), Word("it's", 0.9))
    assert unit_confidences(Hypothesis("x", "Well-known, it's", 0.5, words)) == (0.3, 0.3, 0.9)
    assert unit_confidences(Hypothesis("x", "other text", 0.5, words)) == (0.5, 0.5)


def test_only_who_does_not_hear_is_held_to_what_was_heard_surely(make_item: MakeItem) -> None:
    judge, item = Judge(bounds(), Policy()), make_item("x", "no feeder today")
    proposal = {"x": Proposal("x", "no feeder today", "told")}
    reader, listener = Says(), References()
    assert judge.judge([item], proposal, reader)["x"].why.startswith("unchanged_probability")  # type: ignore[arg-type]
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
