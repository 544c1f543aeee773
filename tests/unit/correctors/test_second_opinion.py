"""What the second opinion believes, what it doubts, and which texts it may know."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from attune.correctors.blind_check import blind_sample
from attune.correctors.protocol import Item
from attune.correctors.second_opinion import SecondOpinion, agree, baseline_alternatives, own_texts
from attune.ctc_decoding import CtcEmissions
from attune.dataset import Samples
from attune.errors import GoldError
from attune.params import SecondOpinionParams
from attune.records import Alternative

MakeItem = Callable[..., Item]

PARAMS = SecondOpinionParams(ctc_model="a", witness_model="b", beam_width=24, lm_weight=0.8, word_bonus=0.5)
TEXTS = [["two", "tablets"], ["two", "drops"]]
LABELS = ("", *"abcdefghijklmnopqrstuvwxyz", " ")


def test_a_reading_that_the_witness_heard_too_is_believed_in_the_witness_own_writing(make_item: MakeItem) -> None:
    item = make_item("x", "too tablets", also=("Two tablets.",))
    proposal = agree(item, "two tablets", item.hypothesis.alternatives)
    assert (proposal.text, proposal.why) == ("Two tablets.", "methods_agree")


def test_a_reading_equal_to_the_baseline_keeps_the_baselines_writing(make_item: MakeItem) -> None:
    item = make_item("x", "Two Tablets", also=("two tablets",))
    assert agree(item, "two tablets", item.hypothesis.alternatives).text == "Two Tablets"


def test_a_reading_that_nobody_else_heard_is_doubted_and_kept_for_review(make_item: MakeItem) -> None:
    item = make_item("x", "too tablet", also=("to tablets",))
    proposal = agree(item, "two tablets", item.hypothesis.alternatives)
    assert (proposal.text, proposal.why, proposal.doubted) == (None, "methods_disagree", "two tablets")


def test_agreement_with_the_baseline_alone_is_not_enough_when_another_witness_is_called(make_item: MakeItem) -> None:
    item = make_item("x", "two tablets")
    assert agree(item, "two tablets", (Alternative("blue tablets", -1.0),)).text is None


@pytest.mark.parametrize(("reading", "why"), [(None, "unreadable"), ("", "nothing_heard")])
def test_no_reading_is_no_belief(make_item: MakeItem, reading: str | None, why: str) -> None:
    item = make_item("x", "")
    assert (agree(item, reading, item.hypothesis.alternatives).text, agree(item, reading, ()).why) == (None, why)


def test_sounds_are_read_with_the_users_words_in_the_order_of_the_items(make_item: MakeItem) -> None:
    opinion = _opinion({"x": "tuo tablits", "y": "two drops"})
    items = [make_item("y", "two drops"), make_item("x", "too tablets", also=("two tablets",))]
    proposals = list(opinion.propose(items))
    assert [(p.id, p.text) for p in proposals] == [("y", "two drops"), ("x", "two tablets")]


def test_nothing_asked_is_nothing_answered() -> None:
    assert list(_opinion({}).propose([])) == []


def test_without_words_there_is_no_second_opinion_and_the_error_says_what_to_do(make_item: MakeItem) -> None:
    tested = make_item("t", "", "only the test split is transcribed", "test").utterance
    with pytest.raises(GoldError, match=r"llm_gold\.glossary"):
        own_texts([tested], ["", " - "])


def test_the_digest_follows_ears_texts_and_settings() -> None:
    digests = {
        _opinion({}).digest,
        _opinion({}, ears="other").digest,
        _opinion({}, texts=TEXTS[:1]).digest,
        _opinion({}, params=PARAMS.model_copy(update={"lm_weight": 0.1})).digest,
    }
    assert len(digests) == 4
    assert _opinion({}).digest in digests


def test_texts_are_train_references_and_glossary_and_nothing_else(make_item: MakeItem) -> None:
    spoken = [make_item(f"train-{number}", "", f"Train {number}") for number in range(100)]
    hidden = [make_item("v", "", "secret one", "validation"), make_item("t", "", "secret two", "test"), make_item("n", "")]
    utterances = [item.utterance for item in (*spoken, *hidden)]
    blind = {u.id for u in blind_sample(utterances)}
    texts = own_texts(utterances, ["Amoxicillin\n", "\n"])
    assert 3 <= len(blind) <= 25
    assert ["amoxicillin"] in texts
    assert len(texts) == 1 + 100 - len(blind)
    assert not any("secret" in text for text in texts)
    assert not any(["train", name.split("-")[1]] in texts for name in blind)


def test_a_baseline_without_n_best_witnesses_with_its_text(make_item: MakeItem) -> None:
    item = make_item("x", "two tablets")
    bare = Item(item.utterance, type(item.hypothesis)("x", "two tablets", 0.5))
    assert [a.text for a in baseline_alternatives([bare])[0]] == ["two tablets"]


def _opinion(
    sounds: dict[str, str], texts: Sequence[Sequence[str]] = TEXTS, params: SecondOpinionParams = PARAMS, ears: str = "ears"
) -> SecondOpinion:
    """Its ears hear, instead of sound, the letters of `sounds`, each a bit like e and w."""

    def listen(clips: Sequence[Samples]) -> list[CtcEmissions]:
        return [_emissions("".join(chr(int(code)) for code in clip)) for clip in clips]

    def sound(utterance_id: str) -> Samples:
        return np.array([ord(letter) for letter in sounds[utterance_id]], np.float32)

    return SecondOpinion(listen, sound, baseline_alternatives, texts, params, ears, "reader")


def _emissions(letters: str) -> CtcEmissions:
    probs = np.full((len(letters), len(LABELS)), 0.002, np.float32)
    for frame, letter in enumerate(letters):
        for likely, share in (("e", 0.15), ("w", 0.15), (letter, 0.6)):
            probs[frame, LABELS.index(likely)] = share
    return CtcEmissions(np.log(probs / probs.sum(axis=1, keepdims=True)), LABELS, 0, 1 / math.pi)
