"""What counts as the same words, and how transcripts are written: the one place where text is changed.

`normalize` compares: scores, selection and agreement are built on it, and nothing is rewritten by it. `Policy` rewrites: it is
applied once, when transcripts enter the corpus, and models learn to write so.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from attune.errors import ParamsError

NORMALIZER = "attune-basic-1"
"""Name and version of `normalize`, written beside every score; another rule gets another name."""

_NOTE = re.compile(r"\[[^\]]*\]|<\w[^<>]*>|\{[^}]*\}|\([^)]*\)")
_FILLED_PAUSES = {
    "de": "äh ähm ähem hmm mhm öh öhm",
    "en": "uh uhh uhm um umm erm hmm mhm",
    "es": "eh ehm emm hmm mmm",
    "fr": "euh heu hmm mmm",
    "it": "ehm hmm mmm uhm",
    "nl": "eh ehm hmm mmm uhm",
    "pt": "ah ahn hmm hum hã",
}
"""Only what is no word, abbreviation or unit besides: er, em, hm and mm are."""
_POINTS = {
    "cs": "celá", "da": "komma", "de": "Komma", "en": "point", "es": "coma", "fi": "pilkku", "fr": "virgule", "hu": "egész",
    "it": "virgola", "nl": "komma", "no": "komma", "pl": "przecinek", "pt": "vírgula", "ro": "virgulă", "ru": "запятая",
    "sv": "komma", "tr": "virgül",
}  # fmt: skip
"""What stands before decimals, in the languages whose numbers num2words writes reliably; it loses the decimals of some."""
_DIGITS_AT_MOST = 12
_ISOLATED_FROM = 10
_SPOKEN_NUMBERS = frozenset({"de", "en", "es", "fr", "it", "nl", "pt"})
_DECIMAL_POINT = frozenset({"en", "he", "ja", "ko", "th", "zh"})
_FIGURE = re.compile(r"\d[\d.,]*\d|\d")
_NUMBER = re.compile(rf"{_FIGURE.pattern}|[零〇一二三四五六七八九十百千万两]+")
_TWO_LETTERS = {"deu": "de", "eng": "en", "fra": "fr", "ita": "it", "nld": "nl", "por": "pt", "spa": "es"}
_NEGATION = re.compile(
    r"not?|never|none|nothing|nobody|neither|nor|without|cannot|\w+n't|un(?:able|likely|well|safe|stable)|"
    r"nicht|nichts|kein(?:e[mnrs]?)?|nie(?:mals|mand)?|ohne|nunca|jamás|sin|nada|nadie|ning[uú]n[oa]?|pas|jamais|sans|rien|"
    r"non|mai|senza|não|nem|sem|niet|geen|nooit|zonder|не|нет|ни|без|никогда|没|沒|不|无|無|非|未|ない|ません|ไม่|لا|لم|ليس|नहीं"
)
_SUFFIXED = re.compile(r"\b(\d{1,9})(?:st|nd|rd|th)\b", re.IGNORECASE)
_EAST_ASIAN = frozenset({"cjk", "hiragana", "katakana", "hangul", "bopomofo", "ideographic"})
_SPACELESS = frozenset({"cjk", "thai", "lao", "khmer", "myanmar"})
_REPEATING, _WORD_RUNS, _PHRASE_RUNS, _PHRASE_WORDS = 2.4, 6, 3, 5
_SOUNDS_LIKE = tuple(
    (re.compile(pattern), key)
    for pattern, key in (
        (r"\b[kg](?=n)|\bw(?=r)|\bp(?=[st])|h(?=[lmn])", ""), (r"x", "ks"), (r"ght", "t"), (r"gh", ""), (r"ph|v", "f"),
        (r"sch|tch|ch|sh", "x"), (r"ck|c(?![eiy])|q", "k"), (r"c|z", "s"), (r"dg", "j"), (r"h", ""),
        (r"(?<=[^aeiouy\W])e(?=s?\b)", ""), (r"[aeiouyw]+", "a"), (r"(\w)\1+", r"\1"),
    )
)  # fmt: skip
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
        if self.numbers == "words" and self.language not in _POINTS:
            _refuse_language(self.language, "words", _POINTS)

    def write(self, text: str) -> str:
        """`text` in this form, with single spaces; empty where nothing is left of it.

        Numbers are read by text2num and written by num2words; years and times are no special case for either. One that is below
        ten and stands alone stays a word, as many of those are other words too (un, sei, second).

        >>> Policy("normalised", "digits", "lower", "remove", "en").write("Um, take twenty-three [coughs] pills!")
        'take 23 pills'
        >>> Policy(numbers="words", language="en").write("Room 3.5, on the 2nd of 1,200.")
        'Room three point five, on the second of one thousand, two hundred.'
        """
        if self.style == "normalised":
            text = _without_pauses(_NOTE.sub(" ", text), self.language)
        if self.language and self.numbers == "digits":
            from text_to_num import alpha2digit

            text = alpha2digit(text, self.language, threshold=_ISOLATED_FROM)
        if self.language and self.numbers == "words":
            text = _in_words(text, self.language)
        if self.case == "lower":
            text = text.lower()
        if self.punctuation == "remove":
            tokens = "".join(map(_place, text)).split()
            text = " ".join(token.strip(_APOSTROPHE) for token in tokens)
        return " ".join(text.split())


def units(text: str) -> list[str]:
    """The normalised words of `text`, and its characters one by one in scripts that write no spaces.

    >>> units("Hi, 病人没有"), units("no pain")
    (['hi', '病', '人', '没', '有'], ['no', 'pain'])
    """
    return "".join(f" {c} " if is_spaceless(c) else c for c in normalize(text)).split()


def negations(text: str) -> int:
    """How many words of `text` turn its sense round, in the languages most spoken.

    >>> negations("She can't sleep and has no pain"), negations("er hat keine Schmerzen"), negations("病人没有发烧")
    (2, 1, 1)
    """
    return sum(bool(_NEGATION.fullmatch(unit)) for unit in units(text))


def numbers(text: str, language: str | None) -> tuple[str, ...]:
    """The numbers of `text` in their order, in figures, whether they are written so or in words.

    Words are read in the languages that text2num knows; without a language they are read as English. Chinese numerals stand
    as they are.

    >>> numbers("Give twenty-three units, room 4 oh five", "en"), numbers("dos pastillas", "es")
    (('23', '4', '5'), ('2',))
    """
    code = _TWO_LETTERS.get(language or "en", language or "en")
    if code in _SPOKEN_NUMBERS:
        from text_to_num import alpha2digit

        text = alpha2digit(text, code, threshold=0)
    return tuple(_NUMBER.findall(text))


def scripts(text: str) -> frozenset[str]:
    """The scripts of all letters of `text`, named as in `main_script`."""
    return frozenset(_script(c) for c in unicodedata.normalize("NFKC", text) if c.isalpha())


def language_of(text: str) -> tuple[str, float]:
    """The language that `text` seems to be in (ISO 639-1), and how sure that is, 0 to 1, by py3langid.

    >>> language_of("el paciente no puede dormir por la noche")[0]
    'es'
    """
    code, probability = _identifier().classify(text)
    return str(code), float(probability)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def sounding(text: str) -> str:
    """`text` with letters that often sound alike made one, for comparing by edits: a rough key for Latin script, after
    Metaphone (Philips, 1990); other scripts keep their letters.

    >>> sounding("Knight's phone"), sounding("nites fone")
    ('nats fan', 'nats fan')
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", normalize(text).replace(_APOSTROPHE, "")) if not _is_mark(c))
    for pattern, key in _SOUNDS_LIKE:
        plain = pattern.sub(key, plain)
    return plain


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def compression_ratio(text: str) -> float | None:
    """How many times smaller zlib makes it; above 2.4 it says the same again and again (Radford et al., 2022). None if empty."""
    content = text.encode()
    return len(content) / len(zlib.compress(content)) if content else None


def repeats(text: str) -> bool:
    """Whether it says the same again and again, as models do where they hear nothing: by zlib, six times the same word in a
    row, or three times the same few words.

    >>> repeats("thank you thank you thank you"), repeats("three three nine three three")
    (True, False)
    """
    said = words(text)
    runs = (_longest_run(said, size) >= (_WORD_RUNS if size == 1 else _PHRASE_RUNS) for size in range(1, _PHRASE_WORDS + 1))
    return (compression_ratio(text) or 0.0) > _REPEATING or any(runs)


def _longest_run(said: list[str], size: int) -> int:
    """How often at most the same `size` words stand one after the other; words that are all one count as one word."""
    longest = 0
    for begin in range(len(said)):
        phrase, count = said[begin : begin + size], 0
        while len(phrase) == size and said[begin + count * size : begin + (count + 1) * size] == phrase:
            count += 1
        if size == 1 or len(set(phrase)) > 1:
            longest = max(longest, count)
    return longest


def main_script(text: str) -> str | None:
    """The script of most letters of `text`, as the first word of their Unicode names in lower case; None without letters.

    What is written together in East Asia counts as one: Han characters, kana and hangul are all `cjk`.

    >>> main_script("Привет, Bob!"), main_script("ラーメン"), main_script("12")
    ('cyrillic', 'cjk', None)
    """
    scripts = [_script(c) for c in unicodedata.normalize("NFKC", text) if c.isalpha()]
    return max(sorted(set(scripts)), key=scripts.count) if scripts else None


def is_writable(character: str) -> bool:
    """Whether it belongs into a transcript: no control, surrogate or invisible character, but for joiners."""
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn") or character in "\u200c\u200d"


def is_spaceless(letter: str) -> bool:
    """Whether words are not parted by spaces in the script of `letter`: Chinese, Japanese, Thai, Lao, Khmer and Burmese."""
    return letter.isalpha() and _script(letter) in _SPACELESS and not "\uac00" <= letter <= "\ud7a3"


def is_script(name: str) -> bool:
    """Whether the script of some letter, of those of two bytes, is called so."""
    return any(_script(letter) == name for letter in map(chr, range(0x10000)) if letter.isalpha())


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    script = re.split(r"[ -]", unicodedata.name(letter, "unknown"), maxsplit=1)[0].lower()
    return "cjk" if script in _EAST_ASIAN else script


def _without_pauses(text: str, language: str | None) -> str:
    pauses = "|".join(_FILLED_PAUSES.get(language or "", "").split())
    return re.sub(rf"(?<![\w'’-])(?:{pauses})(?![\w'’-])[,.…]*", " ", text, flags=re.IGNORECASE) if pauses else text


def _in_words(text: str, language: str) -> str:
    """Figures spelt out; decimals, and what looks like no number (0171, 1.2.3), digit by digit."""
    from num2words import num2words

    def figure(match: re.Match[str]) -> str:
        digits = match.group()
        thousands, point = (",", ".") if language in _DECIMAL_POINT else (".", ",")
        if re.fullmatch(rf"\d{{1,3}}(?:\{thousands}\d{{3}})+(?:\{point}\d+)?", digits):
            digits = digits.replace(thousands, "")
        whole, _, rest = digits.partition(point)
        if (
            re.fullmatch(r"0|[1-9]\d*", whole)
            and (rest.isdigit() or point not in digits)
            and len(whole + rest) <= _DIGITS_AT_MOST
        ):
            words = str(num2words(int(whole), lang=language))
            return f"{words} {_POINTS[language]} {spelt(rest)}" if rest else words
        return spelt(digits)

    def spelt(digits: str) -> str:
        return " ".join(str(num2words(int(c), lang=language)) for c in digits if c.isdigit())

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
