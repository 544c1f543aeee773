"""Who wins, who is believed, and who waits for a person."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from guard_bounds import bounds

from attune.corrections import Correction
from attune.correctors.blind_check import blind_sample
from attune.correctors.gold import Gate, GoldReport, make_gold, metrics
from attune.correctors.judging import Judge
from attune.correctors.protocol import Corrector, Item, Proposal
from attune.correctors.references import References
from attune.errors import DataError, GoldError
from attune.records import Edit, Gold, GoldSource
from attune.text import Policy

MakeItem = Callable[..., Item]

GUARDS = bounds(max_edit_ratio=0.6, min_unchanged_confidence=None, min_unchanged_probability=None)


class Says:
    """A corrector that answers from a list and remembers what it was asked."""

    name = "says"
    digest = "says-1"
    model: str | None = "parrot"

    def __init__(self, answers: dict[str, str | None], source: GoldSource = "llm") -> None:
        self.source: GoldSource = source
        self.answers, self.asked = answers, list[str]()

    def question(self, item: Item) -> str:
        return item.utterance.id

    def propose(self, items: Sequence[Item]) -> Iterator[Proposal]:
        self.asked += [item.utterance.id for item in items]
        known = [item.utterance.id for item in items if item.utterance.id in self.answers]
        for name in known:
            yield Proposal(name, self.answers[name], "told" if self.answers[name] else "no_idea", "maybe")


def test_a_human_reference_wins_over_what_was_heard_and_proposed(make_item: MakeItem) -> None:
    report = _make([make_item("x", "too tablets", "Two tablets!")], Says({"x": "blue tablets"}))
    assert report.golds == (Gold("x", "Two tablets!", "human", "reference"),)


def test_a_change_inside_the_bounds_is_gold_of_the_correctors_kind(make_item: MakeItem) -> None:
    gold = _make([make_item("x", "too tablets")], Says({"x": "two tablets"})).golds[0]
    assert (gold.text, gold.source, gold.why, gold.model) == ("two tablets", "llm", "told", "parrot")
    assert gold.edits == (Edit(0, "too", "two"),)
    assert {"edit_ratio", "sound_distance"} <= set(gold.guards)


def test_the_same_words_are_unchanged(make_item: MakeItem) -> None:
    gold = _make([make_item("x", "Two tablets.")], Says({"x": "two tablets"})).golds[0]
    assert (gold.text, gold.source) == ("two tablets", "unchanged")


def test_a_proposal_that_a_guard_refuses_is_quarantined_under_its_name_and_kept(make_item: MakeItem) -> None:
    report = _make([make_item("x", "two tablets")], Says({"x": "blue curtains"}))
    gold = report.golds[0]
    assert (gold.text, gold.source, gold.proposal) == (None, "quarantined", "blue curtains")
    assert metrics(report)["quarantined"] == {"edit_ratio": 1}


def test_an_empty_text_is_never_gold(make_item: MakeItem) -> None:
    report = _make([make_item("x", "")], Says({"x": "..."}))
    assert (report.golds[0].text, metrics(report)["quarantined"]) == (None, {"empty": 1})


def test_no_belief_and_no_answer_are_quarantined_apart(make_item: MakeItem) -> None:
    report = _make([make_item("x", "a"), make_item("y", "b")], Says({"x": None}))
    assert metrics(report)["quarantined"] == {"no_answer": 1, "no_idea": 1}
    assert report.golds[0].proposal == "maybe"


def test_a_test_utterance_is_never_shown_to_the_corrector(make_item: MakeItem) -> None:
    corrector = Says({"r": "x", "n": "x", "t": "two"})
    items = [make_item("r", "x", "truth", "test"), make_item("n", "x", None, "test"), make_item("t", "two")]
    report = _make(items, corrector)
    assert corrector.asked == ["t"]
    assert [(g.source, g.why) for g in report.golds[:2]] == [("human", "reference"), ("quarantined", "test_without_reference")]


def test_test_utterances_without_a_transcript_tell_agreement_and_never_accuracy(make_item: MakeItem) -> None:
    corrector = Says({"n": "too tablets", "m": "two tablets", "t": "two"})
    items = [make_item("r", "x", "truth", "test"), make_item("t", "two")]
    items += [make_item(name, "too tablets", None, "test") for name in ("n", "m", "o")]
    report = _make(items, corrector, test_agreement=True)
    assert corrector.asked == ["t", "n", "m", "o"]
    assert [gold.source for gold in report.golds] == ["human", "unchanged", "unchanged", "llm", "quarantined"]
    assert metrics(report)["test_agreement"] == {
        "utterances": 3, "with_gold": 2, "same_text_share": 0.5, "word_disagreement": 0.25,
    }  # fmt: skip
    assert (report.wanted, report.believed, report.blind_check) == (1, 1, None)


def test_where_everything_is_transcribed_the_corrector_is_not_asked(make_item: MakeItem) -> None:
    corrector = Says({})
    report = _make([make_item(f"{n}", "a", "b") for n in range(50)], corrector)
    assert corrector.asked == []
    assert report.blind_check is None
    assert metrics(report)["share_with_gold"] == 1.0


def test_the_blind_check_scores_the_corrector_where_a_person_knows_better(make_item: MakeItem) -> None:
    items = [make_item(f"known-{n}", "one tow three four", "one two three four") for n in range(60)]
    blind = [u.id for u in blind_sample([item.utterance for item in items])]
    assert len(blind) >= 3
    corrector = Says(dict.fromkeys(blind, "one two three four") | {"x": "a", blind[0]: None})
    report = _make([*items, make_item("x", "a")], corrector)
    assert sorted(corrector.asked) == sorted(["x", *blind])
    check = report.blind_check
    assert check is not None
    assert (check.utterances, check.accepted, check.changed) == (len(blind), len(blind) - 1, len(blind) - 1)
    assert (check.stt_wer, check.gold_wer, check.stt_wer_all) == (0.25, 0.0, 0.25)
    assert {gold.source for gold in report.golds[:-1]} == {"human"}


def test_review_puts_confident_disagreement_first_and_the_test_split_last(make_item: MakeItem) -> None:
    sure, unsure = make_item("sure", "two tablets"), make_item("unsure", "too tablets")
    sure = Item(sure.utterance, type(sure.hypothesis)("sure", "two tablets", 0.9))
    silent, test = make_item("silent", "x"), make_item("test", "x", None, "test")
    report = _make([test, silent, unsure, sure], Says({"sure": "quite different words", "unsure": "also other words"}))
    assert [waiting.id for waiting in report.review] == ["sure", "unsure", "silent", "test"]
    assert report.review[0].source == "clean/sure.wav"


def test_a_transcript_far_from_what_was_heard_is_believed_and_listed_for_review(make_item: MakeItem) -> None:
    near, far = make_item("near", "two tabs", "Two tablets."), make_item("far", "the door is open", "Two tablets.")
    report = _make([near, far], Says({}))
    assert [gold.source for gold in report.golds] == ["human", "human"]
    (waiting,) = report.review
    assert (waiting.id, waiting.heard, waiting.proposal) == ("far", "the door is open", "Two tablets.")
    assert waiting.why.startswith("far_from_heard: 0.8")
    assert metrics(report)["doubted_references"] == 1


def test_what_the_gate_settles_is_believed_without_asking_and_its_cost_is_measured(make_item: MakeItem) -> None:
    known = [make_item(f"known-{n}", "one tow three", "one two three") for n in range(60)]
    blind = [u.id for u in blind_sample([item.utterance for item in known])]
    sure, unsure = make_item("sure", "two tablets"), make_item("unsure", "too tablets")
    corrector = Says(dict.fromkeys(blind, "one two three") | {"unsure": "two tablets"})
    settled = {"sure", *blind[:2]}
    report = _make([*known, sure, unsure], corrector, gate=lambda items: settled & {i.utterance.id for i in items})
    golds = {gold.id: gold for gold in report.golds}
    assert (golds["sure"].text, golds["sure"].source, golds["sure"].why) == ("two tablets", "unchanged", "recognizers_agree")
    assert sorted(corrector.asked) == sorted(["unsure", *blind])
    assert report.settled == 1
    assert report.gate_check is not None
    assert (report.gate_check.utterances, report.gate_check.settled) == (len(blind), 2)
    assert (report.gate_check.stt_wer, report.gate_check.gold_wer_if_asked) == (pytest.approx(1 / 3), 0.0)
    assert metrics(report)["settled_without_asking"] == 1


def test_what_a_person_decided_wins_over_references_and_correctors(make_item: MakeItem) -> None:
    corrections = {
        "open": Correction("open", "edited", "No fever.", "x:1"),
        "known": Correction("known", "confirmed", "two tablets", "x:2"),
        "bad": Correction("bad", "discarded", None, "x:3"),
        "gone": Correction("gone", "edited", "nobody", "x:4"),
        "test": Correction("test", "edited", "a test", "x:5"),
    }
    items = [make_item("open", "no feeder"), make_item("known", "too tablets", "blue tablets"), make_item("bad", "a", "A b c")]
    corrector = Says({})
    report = _make([*items, make_item("test", "attest", None, "test")], corrector, corrections)
    assert [(gold.text, gold.source, gold.why) for gold in report.golds] == [
        ("No fever.", "human", "edited"),
        ("two tablets", "human", "confirmed"),
        (None, "quarantined", "discarded"),
        ("a test", "human", "edited"),
    ]
    assert corrector.asked == []
    assert [each.id for each in report.void_corrections] == ["gone"]
    assert report.review == ()
    assert (metrics(report)["corrected_by_people"], metrics(report)["void_corrections"]) == (4, 1)


def test_the_blind_check_tells_changes_that_helped_from_those_that_harmed(make_item: MakeItem) -> None:
    items = [make_item(f"known-{n}", "one tow three four", "one two three four") for n in range(60)]
    blind = [u.id for u in blind_sample([item.utterance for item in items])]
    harmed = {blind[0]: "one tow three for"}
    report = _make([*items, make_item("x", "a")], Says(dict.fromkeys(blind, "one two three four") | harmed | {"x": "a"}))
    check = report.blind_check
    assert check is not None
    assert check.precision_of_changes == pytest.approx((len(blind) - 1) / len(blind))
    assert check.harm_rate == pytest.approx(1 / (3 * len(blind)))
    assert check.coverage == 1.0


def test_references_alone_leave_the_rest_for_review(make_item: MakeItem) -> None:
    report = _make([make_item("x", "a", "A"), make_item("y", "b")], References())
    assert metrics(report)["sources"] == {"human": 1, "quarantined": 1}
    assert metrics(report)["quarantined"] == {"no_reference": 1}
    assert metrics(report)["share_with_gold"] == 0.5


def test_references_without_any_transcript_stop_the_stage(make_item: MakeItem) -> None:
    with pytest.raises(GoldError, match="none of 1 recordings"):
        _make([make_item("x", "a")], References())


def test_an_utterance_without_a_hypothesis_is_a_data_error(make_item: MakeItem) -> None:
    item = make_item("x", "a")
    with pytest.raises(DataError, match="1 of 1"):
        make_gold([item.utterance], [], Says({}), Judge(GUARDS, Policy()), GUARDS, {})


def test_nothing_in_is_nothing_out() -> None:
    report = _make([], Says({}))
    assert (report.golds, report.blind_check, metrics(report)["share_with_gold"]) == ((), None, None)


def _make(
    items: Sequence[Item],
    corrector: Corrector,
    corrections: Mapping[str, Correction] | None = None,
    gate: Gate | None = None,
    *,
    test_agreement: bool = False,
) -> GoldReport:
    utterances, heard, judge = [i.utterance for i in items], [i.hypothesis for i in items], Judge(GUARDS, Policy())
    return make_gold(utterances, heard, corrector, judge, GUARDS, corrections or {}, gate, test_agreement=test_agreement)
