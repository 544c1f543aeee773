"""What counts as the same words: the one normaliser that scores, selection and agreement are built on.

It compares, it does not rewrite: references and gold are kept as they were given. How transcripts are written for
training (verbatim, numbers, case) is a policy of its own and belongs here too, under another name.
"""

import unicodedata
from functools import lru_cache

NORMALIZER = "attune-basic-1"
"""Name and version of `normalize`, written beside every score; another rule gets another name."""

_APOSTROPHE = "'"
_APOSTROPHES = "\u2018\u2019\u02bc\u2032"
"""What keyboards and typesetters write for an apostrophe, besides the plain one."""


def normalize(text: str) -> str:
    """The words of `text` in lower case with single spaces: NFKC, letters, marks and digits of any script.

    Anything else separates words, save apostrophes inside them, which stay, and invisible format characters
    (soft hyphens, joiners), which vanish. Normalising twice changes nothing.

    >>> normalize("  It’s 3.5 °C — the ‘well-known’ Ｘ-ray, naïve DON'T! ")
    "it's 3 5 c the well known x ray naïve don't"
    """
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    lowered = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).lower())
    tokens = "".join(map(_place, lowered)).split()
    return " ".join(word for token in tokens if (word := token.strip(_APOSTROPHE)))


def words(text: str) -> list[str]:
    """The normalised words of `text`; empty where it holds none."""
    return normalize(text).split()


@lru_cache(maxsize=4096)
def _place(character: str) -> str:
    """What one character becomes: itself, an apostrophe or a gap."""
    if character == _APOSTROPHE or character in _APOSTROPHES:
        return _APOSTROPHE
    return character if unicodedata.category(character)[0] in "LMN" else " "
