import pytest

from attune.operations.baseline import COLUMNS, metrics, sentence, slices
from attune.records import Condition, Hypothesis, Split, Utterance


def _utterance(name: str, reference: str | None, condition: Condition = "clean", split: Split = "test") -> Utterance:
    return Utterance(name, name * 4, f"{name}.wav", "ann", condition, split, 1.0, None, reference)


def test_rates_are_pooled_over_words_in_every_slice() -> None:
    utterances = [
        _utterance("a", "one two three four"),
        _utterance("b", "five", condition="noisy"),
        _utterance("c", None, condition="noisy", split="train"),
    ]
    hypotheses = [Hypothesis("a", "one two three four", 0.9), Hypothesis("b", "nine", 0.5), Hypothesis("c", "", 0.1)]
    figures = metrics(utterances, hypotheses)
    assert (figures["utterances"], figures["with_reference"], figures["empty_texts"]) == (3, 2, 1)
    assert figures["wer"] == pytest.approx(1 / 5)
    assert figures["mean_confidence"] == pytest.approx(0.5)
    assert (figures["clean_wer"], figures["noisy_wer"]) == (0.0, 1.0)
    rows = {row["value"]: row for row in slices(utterances, hypotheses)}
    assert rows["train"]["wer"] is None
    assert rows["test"]["utterances"] == 2
    assert all(tuple(row) == COLUMNS for row in rows.values())
    assert "WER 20.00%" in sentence(figures)


def test_without_references_there_is_no_rate() -> None:
    figures = metrics([_utterance("a", None)], [Hypothesis("a", "one", 0.9)])
    assert figures["wer"] is None
    assert "no WER" in sentence(figures)


def test_an_empty_corpus_has_figures() -> None:
    assert metrics([], [])["mean_confidence"] is None
