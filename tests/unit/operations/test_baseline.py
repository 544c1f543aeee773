from dataclasses import replace

import pytest

from attune.operations.baseline import COLUMNS, calibrated, metrics, sentence, slices
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
    figures = metrics(slices(utterances, hypotheses))
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
    figures = metrics(slices([_utterance("a", None)], [Hypothesis("a", "one", 0.9)]))
    assert figures["wer"] is None
    assert "no WER" in sentence(figures)


def test_an_empty_corpus_has_figures() -> None:
    assert metrics(slices([], []))["mean_confidence"] is None


def test_slices_are_told_in_order_of_noise_length_and_name() -> None:
    noises, lengths = [None, -3.0, 7.0, 30.0], [0.5, 3.0, 3.0, 60.0]
    utterances = [
        replace(_utterance(n, "one"), snr_db=snr_db, duration_s=length_s, speaker=n)
        for n, snr_db, length_s in zip("dcba", noises, lengths, strict=True)
    ]
    rows = slices(utterances, [Hypothesis(u.id, "one", 0.9) for u in utterances])
    named = {name: [row["value"] for row in rows if row["slice"] == name] for name in ("snr", "duration", "speaker")}
    assert named == {
        "snr": ["below 0 dB", "5 to 10 dB", "20 dB and more", "unknown"],
        "duration": ["below 1 s", "2 to 5 s", "20 s and more"],
        "speaker": ["a", "b", "c", "d"],
    }


def test_texts_where_nobody_speaks_and_texts_that_repeat_are_counted() -> None:
    shares = (0.0, 0.0, 0.9, None)
    utterances = [replace(_utterance(n, None), speech_share=share) for n, share in zip("abcd", shares, strict=True)]
    texts = ["thank you", "", "and then " * 30, "no no no no"]
    figures = metrics(slices(utterances, [Hypothesis(u.id, text, 0.9) for u, text in zip(utterances, texts, strict=True)]))
    assert (figures["texts_without_speech"], figures["repeating_texts"], figures["decoded_again"]) == (1, 1, 0)
    assert figures["hallucination_share"] == 0.5


def test_texts_that_were_sampled_are_counted() -> None:
    heard = [Hypothesis(n, "one", 0.9, temperature=temperature) for n, temperature in (("a", 0.0), ("b", 0.4))]
    assert metrics(slices([_utterance(n, None) for n in "ab"], heard))["decoded_again"] == 1


def test_confidence_is_calibrated_on_validation_references_alone() -> None:
    split: dict[int, Split] = {0: "validation", 1: "train", 2: "test"}
    utterances = [_utterance(str(n), "one", split=split[n % 3]) for n in range(300)]
    heard = [Hypothesis(u.id, "one" if n % 3 or n % 2 else "two", 0.99 if n % 2 else 0.9) for n, u in enumerate(utterances)]
    surer, doubt = calibrated(utterances, heard, "platt")
    assert doubt.figures["calibrated_on"] == 100
    assert doubt.figures["calibration_error_after"] < 0.05 < doubt.figures["calibration_error_before"]
    assert {round(h.probability or 0, 1) for h in surer if h.confidence > 0.95} == {1.0}
    assert {round(h.probability or 0, 1) for h in surer if h.confidence < 0.95} == {0.0}
    same, nothing = calibrated(utterances, heard, "none")
    assert (same, nothing.rows, nothing.figures["calibrated_on"]) == (heard, [], 0)
