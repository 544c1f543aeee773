"""Reading synthetic CTC frames with a handful of words."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from attune.ctc_decoding import CtcEmissions, prefix_beam_search
from attune.lexicon_decoding import lexicon_beam_search, spell
from attune.ngram import TrigramModel

LABELS = ("", "", *"abcdefghijklmnopqrstuvwxyz'", " ")
MODEL = TrigramModel([text.split() for text in ("take two tablets", "take two drops", "take too many", "call me", "add it")])


def test_misspelled_sounds_become_words_of_the_lexicon() -> None:
    emissions = _heard("taik-tuo tablits", doubt={"i": "e", "u": "w"})
    assert prefix_beam_search(emissions.log_probs, LABELS, 0, 8, 1)[0].text == "taiktuo tablits"
    emissions = _heard("take tuo tablits", doubt={"i": "e", "u": "w"})
    assert _read(emissions) == "take two tablets"


def test_the_language_model_decides_between_words_that_sound_alike() -> None:
    emissions = _heard("take tuo drops", doubt={"u": "wo"})
    assert _read(emissions, lm_weight=1.0) == "take two drops"


def test_a_doubled_letter_needs_a_blank_between() -> None:
    assert _read(_heard("ad-d it")) == "add it"


def test_an_unfinished_last_word_is_not_read() -> None:
    found = _read(_heard("cal-l me tak"))
    assert found is None or "tak" not in found.split()


def test_upper_case_labels_spell_lower_case_words() -> None:
    upper = tuple(label.upper() for label in LABELS)
    emissions = _heard("cal-l me")
    spoken = CtcEmissions(emissions.log_probs, upper, 0, 0.02)
    found = lexicon_beam_search(spoken, spell(MODEL, upper), 24, 0.8, 0.5)
    assert found is not None
    assert found.text == "call me"


def test_both_cases_of_a_letter_count_together() -> None:
    labels = (*LABELS, "C")
    frames = _heard("cal-l me").log_probs
    both = np.concatenate([frames, frames[:, [LABELS.index("c")]]], axis=1)
    found = lexicon_beam_search(CtcEmissions(both, labels, 0, 0.02), spell(MODEL, labels), 24, 0.8, 0.5)
    assert found is not None
    assert found.text == "call me"
    assert both.shape[1] == len(labels)


def test_the_score_is_sound_plus_weighted_language_model_plus_bonus() -> None:
    model = TrigramModel([["a"]])
    labels = ("", "a", " ")
    log_probs = np.log(np.array([[0.2, 0.7, 0.1], [0.5, 0.4, 0.1]], np.float32))
    found = lexicon_beam_search(CtcEmissions(log_probs, labels, 0, 0.02), spell(model, labels), 100, 0.5, 0.25)
    aligned = 0.7 * 0.5 + 0.7 * 0.4 + 0.2 * 0.4 + 0.7 * 0.1 + 0.1 * 0.4
    assert found is not None
    assert found.text == "a"
    assert found.score == pytest.approx(math.log(aligned) + 0.5 * model.text_log_prob(["a"]) + 0.25, rel=1e-5)


def test_words_that_the_labels_cannot_write_are_left_out() -> None:
    model = TrigramModel([["naïve", "me"]])
    assert lexicon_beam_search(_heard("me"), spell(model, LABELS), 24, 0.8, 0.5).text == "me"  # type: ignore[union-attr]


def test_silence_is_the_empty_text() -> None:
    assert _read(_heard("------")) == ""


def test_no_frames_are_the_empty_text() -> None:
    assert _read(CtcEmissions(np.zeros((0, len(LABELS)), np.float32), LABELS, 0, 0.02)) == ""


def test_an_empty_lexicon_reads_nothing() -> None:
    assert lexicon_beam_search(_heard("cal-l me"), spell(TrigramModel([]), LABELS), 24, 0.8, 0.5) is None


def test_a_long_clip_does_not_underflow() -> None:
    found = _read(_heard("take two tablets " * 60))
    assert found == ("take two tablets " * 60).strip()


def _read(emissions: CtcEmissions, lm_weight: float = 0.8) -> str | None:
    found = lexicon_beam_search(emissions, spell(MODEL, LABELS), 24, lm_weight, 0.5)
    return found.text if found else None


def _heard(text: str, doubt: dict[str, str] | None = None) -> CtcEmissions:
    """One frame a character, - for a blank; `doubt` names the characters that each might also have been."""
    probs: NDArray[np.float32] = np.full((len(text), len(LABELS)), 0.001, np.float32)
    for frame, character in enumerate(text):
        probs[frame, 0 if character == "-" else LABELS.index(character)] = 0.6
        for other in (doubt or {}).get(character, ""):
            probs[frame, LABELS.index(other)] = 0.3
    return CtcEmissions(np.log(probs / probs.sum(axis=1, keepdims=True)), LABELS, 0, 0.02)
