"""A small word language model made of somebody's own texts: how likely is a word after the two before it?

Words come normalised; the model has no opinion on spelling, and none on words that its texts do not hold.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property

END = "</s>"
"""The end of a text, predicted like a word."""
_ORDER = 3
_BEFORE = ("<s>",) * (_ORDER - 1)


class TrigramModel:
    """Interpolated Witten-Bell trigrams over a closed vocabulary; equal texts in any order give equal probabilities."""

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        """`texts` are sequences of normalised words; empty ones count for nothing."""
        self._counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text in texts:
            if text:
                self._count([*_BEFORE, *text, END])
        self._totals = {history: counts.total() for history, counts in self._counts.items()}
        self._known: dict[tuple[str, ...], float] = {}

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every word of the texts, sorted."""
        return tuple(sorted(word for word in self._counts.get((), ()) if word != END))

    def log_prob(self, word: str, history: Sequence[str] | None = None) -> float:
        """Natural logarithm of the probability of `word`, or of END, after `history`, all the words of the text so far;
        anywhere, where no history is given.

        Minus infinity for a word that no text holds. Witten-Bell smoothing in the interpolated form of Chen and
        Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling" (1998), 2.5; below the unigrams
        lies an even share for each word.
        """
        if word not in self._counts.get((), ()):
            return -math.inf
        context = () if history is None else (*_BEFORE, *history[1 - _ORDER :])[1 - _ORDER :]
        key = (*context, word)
        if key not in self._known:
            self._known[key] = math.log(self._prob(word, context))
        return self._known[key]

    def text_log_prob(self, text: Sequence[str]) -> float:
        """Natural logarithm of the probability of all the words and of the text ending there."""
        return sum(self.log_prob(word, text[:place]) for place, word in enumerate(text)) + self.log_prob(END, text)

    def _prob(self, word: str, history: tuple[str, ...]) -> float:
        shorter = self._prob(word, history[1:]) if history else 1 / len(self._counts[()])
        if history not in self._totals:
            return shorter
        counts = self._counts[history]
        return (counts[word] + len(counts) * shorter) / (self._totals[history] + len(counts))

    def _count(self, padded: list[str]) -> None:
        for place in range(_ORDER - 1, len(padded)):
            for length in range(_ORDER):
                self._counts[tuple(padded[place - length : place])][padded[place]] += 1
