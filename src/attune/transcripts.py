"""Do these words belong to this sound? Transcripts in the form that params ask for, and those that cannot be true set aside.

What only a recogniser can tell (a fluent text of another recording) is left to the gold stage.
"""

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from attune.errors import ParamsError
from attune.params import TranscriptParams
from attune.text import Policy, is_script, main_script, normalize

_RARE_SCRIPT = 0.05
_FEW_WORDS = 3


@dataclass(frozen=True)
class Doubt:
    """Why a transcript is set aside."""

    reason: str
    """A short fixed word to count by."""
    detail: str
    """A sentence with the value seen."""


def policy_of(params: TranscriptParams) -> Policy:
    """How params want transcripts written. Raises ParamsError for a policy that cannot be had."""
    return Policy(params.style, params.numbers, params.case, params.punctuation, params.language)


class Transcripts:
    """Rewrites and checks the transcripts of one corpus."""

    def __init__(self, given: Iterable[str], params: TranscriptParams) -> None:
        """`given` are all of them, as they show which scripts are in use. Raises ParamsError for a policy that cannot be had."""
        self._params = params
        self._policy = policy_of(params)
        self._scripts = frozenset(s.lower() for s in params.scripts) or _in_use(given)
        unknown = sorted(script for script in map(str.lower, params.scripts) if not is_script(script))
        if unknown:
            raise ParamsError(
                f"split_clean_noisy.transcripts.scripts: {', '.join(unknown)}: no letter's Unicode name begins so; "
                "write latin, cyrillic, greek, arabic, hebrew, devanagari, thai, cjk, ..."
            )

    def judge(self, text: str, duration_s: float, speech_share: float | None = None) -> str | Doubt:
        """`text` as it is to be written, or why it is not believed of a sound that lasts so long and is speech to that share."""
        written, script = self._policy.write(text), main_script(text)
        plain = normalize(written)
        if not plain:
            return Doubt("transcript_without_words", f"{_short(text)} has no words")
        borrowed = not self._params.scripts and script == "latin" and len(plain.split()) <= _FEW_WORDS
        if script is not None and script not in self._scripts and not borrowed:
            return Doubt("wrong_script", f"{_short(text)} is mostly {script}; transcripts here are {_listed(self._scripts)}")
        bounds, spoken_s = self._params, duration_s * (1.0 if speech_share is None else speech_share)
        if len(plain) > bounds.max_chars_per_s * max(duration_s, 1.0):
            said = f"{len(plain)} characters in {duration_s:.2f} s"
            return Doubt("too_much_text", f"{said}; at most {bounds.max_chars_per_s:g} a second are believed")
        if len(plain) < bounds.min_chars_per_s * max(spoken_s, 1.0):
            said = f"{len(plain)} characters in {spoken_s:.2f} s of speech"
            return Doubt("too_little_text", f"{said}; at least {bounds.min_chars_per_s:g} a second are believed")
        repetition = _repetition(plain)
        if repetition > bounds.max_repetition:
            return Doubt("repetitive_text", f"{_short(text)} repeats itself: zlib makes it {repetition:.1f} times smaller")
        return written


def _repetition(plain: str) -> float:
    """How many times smaller zlib makes it, with a byte for each character, so that no script is at an advantage."""
    letters = {letter: place % 256 for place, letter in enumerate(dict.fromkeys(plain))}
    content = bytes(letters[letter] for letter in plain)
    return len(content) / len(zlib.compress(content))


def _in_use(given: Iterable[str]) -> frozenset[str]:
    counts = Counter(script for text in given if (script := main_script(text)))
    return frozenset(script for script, count in counts.items() if count >= _RARE_SCRIPT * counts.total())


def _listed(scripts: Iterable[str]) -> str:
    return ", ".join(sorted(scripts))


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
