"""What is trained on: the misheard, hardest first, some well-heard ones against forgetting, and never a test utterance."""

import dataclasses
import hashlib
import json

import pytest

from attune.errors import LeakageError
from attune.params import DetectionSelectionParams, SelectionParams
from attune.records import Condition, Gold, GoldSource, Hypothesis, Selection, Split, Utterance
from attune.scoring import Confusion, Example
from attune.selection import SelectionReport, metrics, plot_rows, select

_PARAMS = SelectionParams(
    min_error_rate=0.0,
    max_error_rate=1.5,
    order="hardest",
    balance_by="condition",
    max_errors=None,
    few_shot_hours=None,
    replay_share=0.5,
    validation="all",
    seed=42,
    detection=DetectionSelectionParams(min_margin=0.5),
)


@dataclasses.dataclass
class _Corpus:
    """Utterances with gold and hypothesis, built one line each."""

    utterances: list[Utterance] = dataclasses.field(default_factory=list)
    golds: list[Gold] = dataclasses.field(default_factory=list)
    hypotheses: list[Hypothesis] = dataclasses.field(default_factory=list)

    def add(
        self,
        name: str,
        gold: str | None,
        heard: str | None,
        *,
        split: Split = "train",
        source: GoldSource = "second_opinion",
        speaker: str | None = None,
        condition: Condition = "clean",
    ) -> "_Corpus":
        digest = hashlib.sha256(name.encode()).hexdigest()
        self.utterances.append(
            Utterance(name, digest, f"{name}.wav", speaker or f"{split}-voice", condition, split, 2.0, 20.0, None)
        )
        self.golds.append(Gold(name, gold, source, "as the test says"))
        if heard is not None:
            self.hypotheses.append(Hypothesis(name, heard, 0.9))
        return self

    def select(self, **changed: object) -> SelectionReport:
        return select(self.utterances, self.golds, self.hypotheses, _PARAMS.model_copy(update=changed))


def _ids(report: SelectionReport, role: str) -> list[str]:
    return [chosen.id for chosen in report.selections if chosen.role == role]


def _reasons(report: SelectionReport) -> dict[str, str]:
    return {drop.id: drop.reason for drop in report.dropped}


def test_misheard_utterances_are_chosen_hardest_first() -> None:
    report = (
        _Corpus()
        .add("easy", "one two three four", "one two three for")
        .add("hard", "one two", "won too")
        .add("right", "yes", "yes")
        .select()
    )
    assert _ids(report, "error") == ["hard", "easy"]
    hardest = report.selections[0]
    assert hardest == Selection("hard", "train", "error", "one two", "second_opinion", 1.0)
    assert not report.nothing_to_train


def test_spelling_alone_is_no_error() -> None:
    report = _Corpus().add("u", "It's TEN o'clock.", "it’s ten o'clock").select()
    assert _ids(report, "error") == []
    assert _reasons(report) == {"u": "not_replayed"}


def test_far_off_baseline_is_left_out_and_counted() -> None:
    corpus = _Corpus().add("far", "yes", "no no no").add("near", "yes", "no").add("at_the_limit", "one two", "a b c")
    report = corpus.select()
    assert _ids(report, "error") == ["at_the_limit", "near"]
    assert _reasons(report) == {"far": "above_max_error_rate"}


def test_cap_keeps_the_hardest_and_counts_the_rest() -> None:
    corpus = (
        _Corpus()
        .add("a", "one two three", "x two three")
        .add("b", "one two three", "x y z")
        .add("c", "one two three", "x y three")
    )
    report = corpus.select(max_errors=2)
    assert _ids(report, "error") == ["b", "c"]
    assert _reasons(report) == {"a": "over_max_errors"}


def test_replay_is_a_share_of_the_errors_and_holds_only_right_ones() -> None:
    corpus = _Corpus()
    for i in range(20):
        corpus.add(f"wrong{i}", "one two", "one too").add(f"right{i}", "one two", "One two!")
    report = corpus.select(replay_share=0.3)
    replayed = _ids(report, "replay")
    assert len(replayed) == 6
    assert all(name.startswith("right") for name in replayed)
    assert all(s.error_rate == 0 for s in report.selections if s.role == "replay")
    assert sorted(_reasons(report).values()) == ["not_replayed"] * 14


def test_replay_takes_what_there_is_when_right_ones_are_few() -> None:
    corpus = _Corpus().add("w1", "a b", "a c").add("w2", "a b", "c b").add("right", "yes", "yes")
    assert _ids(corpus.select(replay_share=5.0), "replay") == ["right"]
    assert _ids(corpus.select(replay_share=0.0), "replay") == []


def test_growing_the_corpus_keeps_the_order_in_which_right_ones_are_replayed() -> None:
    corpus = _Corpus()
    for i in range(10):
        corpus.add(f"wrong{i}", "one two", "one too").add(f"right{i}", "one two", "one two")
    earlier = _ids(corpus.select(replay_share=0.5), "replay")
    for i in range(10, 20):
        corpus.add(f"wrong{i}", "one two", "one too").add(f"right{i}", "one two", "one two")
    later = _ids(corpus.select(replay_share=2.0), "replay")
    assert len(earlier) == 5
    assert [name for name in later if name in earlier] == earlier
    assert len(set(_ids(corpus.select(replay_share=0.5), "replay")) & set(earlier)) >= 2


def test_order_of_the_input_does_not_matter_and_the_seed_does() -> None:
    corpus = _Corpus()
    for i in range(12):
        corpus.add(f"wrong{i}", "one two", "one too").add(f"right{i}", "one two", "one two")
    forth = corpus.select()
    back = select(corpus.utterances[::-1], corpus.golds[::-1], corpus.hypotheses[::-1], _PARAMS)
    assert _ids(forth, "error") == _ids(back, "error") != []
    assert _ids(forth, "replay") == _ids(back, "replay") != []
    assert _ids(forth, "replay") != _ids(corpus.select(seed=43), "replay")


def test_validation_takes_human_text_only() -> None:
    report = (
        _Corpus()
        .add("train", "a b", "a c")
        .add("human", "one two", "one too", split="validation", source="human")
        .add("right", "yes", "yes", split="validation", source="human")
        .add("model", "one two", "one too", split="validation", source="second_opinion")
        .add("unsure", None, "one too", split="validation", source="quarantined")
        .select()
    )
    assert _ids(report, "validation") == ["human", "right"]
    assert [s.source for s in report.selections if s.role == "validation"] == ["human", "human"]
    assert _reasons(report) == {"model": "no_human_text", "unsure": "no_human_text"}


def test_unusable_gold_is_dropped_with_its_reason() -> None:
    corpus = (
        _Corpus()
        .add("quarantined", None, "a", source="quarantined")
        .add("empty", " … ", "a")
        .add("unheard", "yes", None)
        .add("no_gold", "yes", "no")
    )
    corpus.golds = [gold for gold in corpus.golds if gold.id != "no_gold"]
    report = corpus.select()
    assert report.selections == ()
    assert _reasons(report) == {
        "quarantined": "quarantined",
        "empty": "empty_text",
        "unheard": "no_hypothesis",
        "no_gold": "no_gold",
    }


def test_no_errors_means_nothing_to_train_and_nothing_replayed() -> None:
    corpus = _Corpus().add("r1", "yes", "yes").add("v", "no", "know", split="validation", source="human")
    report = corpus.select()
    assert report.nothing_to_train
    assert (report.count("error"), report.count("replay"), report.count("validation")) == (0, 0, 1)
    assert _reasons(report) == {"r1": "not_replayed"}


def test_an_empty_corpus_has_nothing_to_train() -> None:
    assert select([], [], [], _PARAMS).nothing_to_train


def test_test_utterances_are_never_chosen_nor_counted() -> None:
    report = _Corpus().add("t", "one two", "one too", split="test", source="human").add("train", "a b", "a c").select()
    assert [chosen.id for chosen in report.selections] == ["train"]
    assert report.dropped == ()


def test_a_test_recording_that_is_also_in_train_is_leakage() -> None:
    corpus = _Corpus().add("twice", "a b", "a c").add("twice", "a b", "a c", split="test")
    with pytest.raises(LeakageError, match=r"1 of 1 selected.*twice.*dvc repro"):
        corpus.select()


def test_a_test_speaker_in_train_is_leakage() -> None:
    corpus = _Corpus().add("train", "a b", "a c", speaker="anna").add("test", "a b", "a c", split="test", speaker="anna")
    with pytest.raises(LeakageError, match="'anna'"):
        corpus.select()


def test_every_train_and_validation_utterance_is_chosen_or_dropped_once() -> None:
    corpus = _Corpus()
    for i in range(30):
        corpus.add(f"w{i}", "one two", "one too" if i % 2 else "a b c d e").add(f"r{i}", "yes", "yes")
        corpus.add(f"v{i}", "no", "no", split="validation", source="human" if i % 3 else "llm")
        corpus.add(f"q{i}", None, "no", source="quarantined").add(f"t{i}", "a", "b", split="test")
    report = corpus.select(max_errors=5)
    seen = [s.id for s in report.selections] + [d.id for d in report.dropped]
    assert len(seen) == 120
    assert set(seen) == {u.id for u in corpus.utterances if u.split != "test"}


def test_confusions_tell_which_words_the_chosen_errors_mistake() -> None:
    report = (
        _Corpus()
        .add("1", "the nurse", "the purse")
        .add("2", "a nurse came", "a purse came")
        .add("far", "yes", "a b c d")
        .select()
    )
    examples = (Example("1", "the nurse", "the purse"), Example("2", "a nurse came", "a purse came"))
    assert report.confusions == (Confusion("nurse", "purse", 2, examples),)
    assert plot_rows(report) == [{"confusion": "nurse → purse", "count": 2}]


def test_slight_errors_can_be_left_out_too() -> None:
    corpus = _Corpus().add("slight", "a b c d e", "a b c d x").add("half", "a b", "a x")
    report = corpus.select(min_error_rate=0.2)
    assert _ids(report, "error") == ["half"]
    assert _reasons(report) == {"slight": "below_min_error_rate"}


def test_validation_keeps_right_and_wrong_ones_but_no_probably_wrong_labels() -> None:
    corpus = _Corpus()
    for name, gold, heard in (("right", "yes", "yes"), ("wrong", "yes", "no"), ("label", "yes", "a b c")):
        corpus.add(name, gold, heard, split="validation", source="human")
    report = corpus.select()
    assert _ids(report, "validation") == ["right", "wrong"]
    assert _reasons(report) == {"label": "above_max_error_rate"}


def test_validation_may_be_chosen_likewise() -> None:
    corpus = _Corpus().add("train", "a b", "a x")
    for n in range(6):
        corpus.add(f"w{n}", "a b c d e f", " ".join([*"x" * (n + 1), *"abcdef"[n + 1 :]]), split="validation", source="human")
        corpus.add(f"r{n}", "yes", "yes", split="validation", source="human")
    report = corpus.select(validation="likewise", max_errors=4, replay_share=0.5)
    chosen = _ids(report, "validation")
    assert chosen[:4] == ["w5", "w4", "w3", "w2"]
    assert len(chosen) == 6
    assert all(name.startswith("r") for name in chosen[4:])
    assert sorted(_reasons(report).values()) == ["not_replayed"] * 4 + ["over_max_errors"] * 2


def test_balanced_order_takes_from_each_group_in_turn_its_hardest_first() -> None:
    corpus = _Corpus().add("clean", "a b c d e f", "a b c d e x", speaker="ben")
    for name, heard in (("noisy2", "x x c d e f"), ("noisy3", "x x x d e f"), ("noisy4", "x x x x e f")):
        corpus.add(name, "a b c d e f", heard, condition="noisy", speaker="anna")
    for by in ("condition", "speaker"):
        report = corpus.select(order="balanced", balance_by=by, max_errors=3)
        assert sorted(_ids(report, "error")) == ["clean", "noisy3", "noisy4"]
        assert _reasons(report) == {"noisy2": "over_max_errors"}
    assert _ids(corpus.select(max_errors=3), "error") == ["noisy4", "noisy3", "noisy2"]


def test_balancing_by_word_gives_rare_words_their_share() -> None:
    corpus = _Corpus()
    for n in range(5):
        corpus.add(f"common{n}", "the nurse", "a purse")
    corpus.add("rare", "take the metformin now", "take the met forming now").add("inserted", "yes", "yes yes")
    report = corpus.select(order="balanced", balance_by="word", max_errors=3)
    assert set(_ids(report, "error")) >= {"rare", "inserted"}


def test_few_shot_takes_the_hardest_up_to_so_many_hours() -> None:
    corpus = _Corpus()
    for n in range(10):
        corpus.add(f"{n}", "a b c d e f g h i j", " ".join("x" * (n + 1) + "bcdefghij"[n:]))
    report = corpus.select(few_shot_hours=7.0 / 3600)
    assert len(_ids(report, "error")) == 3
    assert list(_reasons(report).values()).count("over_few_shot_hours") == 7


def test_metrics_count_what_was_chosen_and_dropped() -> None:
    report = (
        _Corpus()
        .add("w", "one two", "one too", source="human")
        .add("r", "yes", "yes")
        .add("q1", None, "no", source="quarantined")
        .add("q2", None, "no", source="quarantined")
        .select(replay_share=1.0)
    )
    assert metrics(report) == {
        "errors": 1,
        "replayed": 1,
        "validation": 0,
        "dropped": {"quarantined": 2},
        "error_gold_sources": {"human": 1},
        "confused_word_pairs": 1,
    }
    assert json.loads(json.dumps(metrics(report))) == metrics(report)
