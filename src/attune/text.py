"""What counts as the same words, and how transcripts are written: the one place where text is changed.

`normalize` compares: scores, selection and agreement are built on it, and nothing is rewritten by it. `Policy` rewrites: it is
applied once, when transcripts enter the corpus, and models learn to write so.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from attune.errors import ParamsError

NORMALIZER = "attune-basic-1"
"""Name and version of `normalize`, written beside every score; another rule gets another name."""

_NOTE = re.compile(r"\[[^\]]*\]|<[^>]*>|\{[^}]*\}|\([^)]*\)")
_FILLED_PAUSES = {
    "de": "äh ähm ähem hm hmm mhm öh öhm",
    "en": "ah eh er erm hm hmm mhm mm mmm uh uhh uhm um umm",
    "es": "ah eh em emm hm hmm mm mmm",
    "fr": "euh heu hm hmm mm mmm",
    "it": "eh ehm hm hmm mm mmm uhm",
    "nl": "eh ehm hm hmm mm uh uhm",
    "pt": "ah eh hm hmm mm hã",
}
_SPOKEN_NUMBERS = frozenset({"de", "en", "es", "fr", "it", "nl", "pt"})
_DECIMAL_POINT = frozenset({"en", "he", "ja", "ko", "th", "zh"})
_FIGURE = re.compile(r"\d[\d.,]*\d|\d")
_SUFFIXED = re.compile(r"(\d+)(?:st|nd|rd|th)\b", re.IGNORECASE)
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


@dataclass(frozen=True)
class Policy:
    """How transcripts are written."""

    style: Literal["verbatim", "normalised"] = "verbatim"
    """normalised: without notes in brackets and, where `language` is one whose they are known, without filled pauses."""
    numbers: Literal["keep", "digits", "words"] = "keep"
    case: Literal["keep", "lower"] = "keep"
    punctuation: Literal["keep", "remove"] = "keep"
    language: str | None = None
    """Code of ISO 639-1; needed where numbers are rewritten."""

    def __post_init__(self) -> None:
        """Raises ParamsError for a language whose numbers nobody here can rewrite."""
        if self.numbers == "digits" and self.language not in _SPOKEN_NUMBERS:
            _refuse_language(self.language, "digits", _SPOKEN_NUMBERS)
        if self.numbers == "words":
            from num2words import CONVERTER_CLASSES

            if self.language not in CONVERTER_CLASSES:
                _refuse_language(self.language, "words", CONVERTER_CLASSES)

    def write(self, text: str) -> str:
        """`text` in this form, with single spaces; empty where nothing is left of it.

        Numbers are read by text2num and written by num2words; years and times are no special case for either.

        >>> Policy("normalised", "digits", "lower", "remove", "en").write("Um, take twenty-three [coughs] pills!")
        'take 23 pills'
        >>> Policy(numbers="words", language="en").write("Room 3.5, on the 2nd of 1,200.")
        'Room three point five, on the second of one thousand, two hundred.'
        """
        if self.style == "normalised":
            text = _without_pauses(_NOTE.sub(" ", text), self.language)
        if self.language and self.numbers == "digits":
            from text_to_num import alpha2digit

            text = alpha2digit(text, self.language, threshold=0)
        if self.language and self.numbers == "words":
            text = _in_words(text, self.language)
        if self.case == "lower":
            text = text.lower()
        if self.punctuation == "remove":
            tokens = "".join(map(_place, text)).split()
            text = " ".join(token.strip(_APOSTROPHE) for token in tokens)
        return " ".join(text.split())


def main_script(text: str) -> str | None:
    """The script of most letters of `text`, as the first word of their Unicode names in lower case; None without letters.

    >>> main_script("Привет, Bob!"), main_script("12")
    ('cyrillic', None)
    """
    scripts = [_script(c) for c in text if c.isalpha()]
    return max(sorted(set(scripts)), key=scripts.count) if scripts else None


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "unknown").partition(" ")[0].lower()


def _without_pauses(text: str, language: str | None) -> str:
    pauses = _FILLED_PAUSES.get(language or "")
    return re.sub(rf"\b(?:{'|'.join(pauses.split())})\b[,.…]*", " ", text, flags=re.IGNORECASE) if pauses else text


def _in_words(text: str, language: str) -> str:
    from num2words import num2words

    def figure(match: re.Match[str]) -> str:
        digits = match.group()
        thousands, point = (",", ".") if language in _DECIMAL_POINT else (".", ",")
        if re.fullmatch(rf"\d{{1,3}}(?:\{thousands}\d{{3}})+(?:\{point}\d+)?", digits):
            digits = digits.replace(thousands, "")
        if re.fullmatch(rf"(?:0|[1-9]\d*)(?:\{point}\d+)?", digits) and len(digits) <= 15:
            return str(num2words(digits.replace(point, "."), lang=language))
        return " ".join(str(num2words(int(c), lang=language)) if c.isdigit() else " " for c in digits)

    if language == "en":
        text = _SUFFIXED.sub(lambda m: str(num2words(int(m.group(1)), to="ordinal")), text)
    return _FIGURE.sub(figure, text)


def _refuse_language(language: str | None, numbers: str, known: Iterable[str]) -> None:
    allowed = ", ".join(sorted(known))
    raise ParamsError(f"split_clean_noisy.transcripts.numbers: {numbers} needs language, one of {allowed} (seen: {language!r})")


@lru_cache(maxsize=4096)
def _place(character: str) -> str:
    """What one character becomes: itself, an apostrophe or a gap."""
    if character == _APOSTROPHE or character in _APOSTROPHES:
        return _APOSTROPHE
    return character if unicodedata.category(character)[0] in "LMN" else " "
