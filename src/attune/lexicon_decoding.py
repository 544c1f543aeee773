"""Reads a CTC model's sounds with somebody's own words: only words of a lexicon, weighed by a language model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from attune.ctc_decoding import CtcEmissions, likely_labels
from attune.ngram import END, TrigramModel
from attune.records import Alternative

_DOUBTFUL = 1e-6
"""A label less likely than this share of the frame's best one is not followed; the lexicon limits what is followed anyway."""

_Beam = dict[tuple[int, int], tuple[float, float]]
"""(text, spelling) -> probability of ending in a blank, of ending in the last label; relative to the best of the frame."""


@dataclass
class _Spelling:
    """The start of a word: its last label, what may follow, the word if it is one, and how likely its likeliest word is."""

    label: int
    likeliest: float
    following: dict[int, int] = field(default_factory=dict)
    word: str | None = None


@dataclass(frozen=True)
class Lexicon:
    """The words of a language model as a tree of one CTC vocabulary's labels, node 0 being a word not begun."""

    model: TrigramModel
    labels: tuple[str, ...]
    """Case-folded."""
    spellings: tuple[_Spelling, ...]


def spell(model: TrigramModel, labels: Sequence[str]) -> Lexicon:
    """The lexicon of all of `model`'s words that can be written with `labels`, whatever their case."""
    folded = tuple(label.casefold() for label in labels)
    first = {label: folded.index(label) for label in folded if label and not label.isspace()}
    spellings = [_Spelling(label=-1, likeliest=0.0)]
    for word in model.words:
        if all(character in first for character in word):
            _add_word(spellings, word, [first[character] for character in word], model.log_prob(word))
    return Lexicon(model, folded, tuple(spellings))


def _add_word(spellings: list[_Spelling], word: str, labels: list[int], log_prob: float) -> None:
    node = 0
    for label in labels:
        if label not in spellings[node].following:
            spellings[node].following[label] = len(spellings)
            spellings.append(_Spelling(label, log_prob))
        node = spellings[node].following[label]
        spellings[node].likeliest = max(spellings[node].likeliest, log_prob)
    spellings[node].word = word


def lexicon_beam_search(
    emissions: CtcEmissions, lexicon: Lexicon, beam_width: int, lm_weight: float, word_bonus: float
) -> Alternative | None:
    """The likeliest text made of the lexicon's words, or None where the beam ends in no such text; silence is the empty text.

    The score is the log-probability of the sounds, plus `lm_weight` times the language model's natural logarithm of the
    text, plus `word_bonus` a word (Hannun et al., arXiv:1408.2873, eq. 1, with the lexicon as in Graves and Jaitly,
    ICML 2014). Unfinished words are ranked by the likeliest word that they may become, and are never part of the result.
    """
    if not lexicon.spellings[0].following:
        return None
    search = _Search(lexicon, lm_weight, word_bonus)
    space = lexicon.labels.index(" ") if " " in lexicon.labels else -1
    beam: _Beam = {(0, 0): (1.0, 0.0)}
    log_scale = 0.0
    for blank_prob, followed in likely_labels(_fold(emissions, lexicon), lexicon.labels, emissions.blank, _DOUBTFUL):
        grown = search.grow(beam, blank_prob, dict(followed), space)
        kept = sorted(grown.items(), key=search.rank, reverse=True)[:beam_width]
        scale = max(sum(probs) for _, probs in kept)
        log_scale += math.log(scale)
        beam = {state: (ended / scale, open_ / scale) for state, (ended, open_) in kept if ended + open_ > 0}
    best = search.best_text(beam)
    return Alternative(best.text, best.score + log_scale) if best else None


@dataclass
class _Search:
    """What one search knows: the texts begun so far, as paths from the empty text 0."""

    lexicon: Lexicon
    lm_weight: float
    word_bonus: float
    texts: list[tuple[str, ...]] = field(default_factory=lambda: [()])
    longer: dict[tuple[int, str], tuple[int, float]] = field(default_factory=dict)

    def grow(self, beam: _Beam, blank_prob: float, followed: dict[int, float], space: int) -> _Beam:
        """One frame on: the blank, the last label still sounding, a further letter, or a word's end."""
        grown: _Beam = {}
        for (text, node), (ended, open_) in beam.items():
            spelling, total = self.lexicon.spellings[node], ended + open_
            _add(grown, (text, node), total * blank_prob, open_ * followed.get(spelling.label, 0.0))
            if space in followed:
                self._end_word(grown, (text, node), total * followed[space])
            for label, child in spelling.following.items():
                if label in followed:
                    entering = ended if label == spelling.label else total
                    _add(grown, (text, child), 0.0, entering * followed[label])
        return grown

    def rank(self, entry: tuple[tuple[int, int], tuple[float, float]]) -> float:
        """How good this state may become: its probability times the likeliest end of the word begun."""
        (_, node), (ended, open_) = entry
        expected = self.lm_weight * self.lexicon.spellings[node].likeliest + (self.word_bonus if node else 0.0)
        return (ended + open_) * math.exp(expected)

    def best_text(self, beam: _Beam) -> Alternative | None:
        """The best of the beam when it must end here; unfinished words fall out."""
        finished: _Beam = {}
        for (text, node), (ended, open_) in beam.items():
            if node:
                self._end_word(finished, (text, node), ended + open_)
            else:
                _add(finished, (text, 0), ended, open_)
        scores = {
            self.texts[text]: math.log(sum(probs)) + self.lm_weight * self.lexicon.model.log_prob(END, self.texts[text])
            for (text, _), probs in finished.items()
            if sum(probs) > 0
        }
        best = max(scores, key=lambda words: (scores[words], words), default=None)
        return None if best is None else Alternative(" ".join(best), scores[best])

    def _end_word(self, grown: _Beam, state: tuple[int, int], prob: float) -> None:
        text, node = state
        if not node:
            _add(grown, state, 0.0, prob)
        elif (word := self.lexicon.spellings[node].word) is not None:
            longer, factor = self._with_word(text, word)
            _add(grown, (longer, 0), 0.0, prob * factor)

    def _with_word(self, text: int, word: str) -> tuple[int, float]:
        if (text, word) not in self.longer:
            log_prob = self.lexicon.model.log_prob(word, self.texts[text])
            self.longer[text, word] = len(self.texts), math.exp(self.lm_weight * log_prob + self.word_bonus)
            self.texts.append((*self.texts[text], word))
        return self.longer[text, word]


def _fold(emissions: CtcEmissions, lexicon: Lexicon) -> NDArray[np.float32]:
    """The log-probabilities with those of a letter's other case added to its first label."""
    assert len(emissions.labels) == len(lexicon.labels), "the lexicon was spelled for another vocabulary"
    twins = [(index, lexicon.labels.index(label)) for index, label in enumerate(lexicon.labels) if label]
    folded = emissions.log_probs
    for index, first in twins:
        if index != first:
            folded = folded.copy() if folded is emissions.log_probs else folded
            folded[:, first] = np.logaddexp(folded[:, first], folded[:, index])
            folded[:, index] = -np.inf
    return folded


def _add(beam: _Beam, state: tuple[int, int], ended: float, open_: float) -> None:
    was_ended, was_open = beam.get(state, (0.0, 0.0))
    beam[state] = (was_ended + ended, was_open + open_)
