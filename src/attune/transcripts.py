"""Do these words belong to this sound? Transcripts in the form that params ask for, and those that cannot be true set aside.

What only a recogniser can tell (a fluent text of another recording) is left to the gold stage.
"""

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from attune.params import TranscriptParams
from attune.text import Policy, main_script, normalize

_RARE_SCRIPT = 0.05


@dataclass(frozen=True)
class Doubt:
    """Why a transcript is set aside."""

    reason: str
    """A short fixed word to count by."""
    detail: str
    """A sentence with the value seen."""


class Transcripts:
    """Rewrites and checks the transcripts of one corpus."""

    def __init__(self, given: Iterable[str], params: TranscriptParams) -> None:
        """`given` are all of them, as they show which scripts are in use. Raises ParamsError for a policy that cannot be had."""
        self._params = params
        self._policy = Policy(params.style, params.numbers, params.case, params.punctuation, params.language)
        self._scripts = frozenset(s.lower() for s in params.scripts) or _in_use(given)

    def judge(self, text: str, duration_s: float) -> str | Doubt:
        """`text` as it is to be written, or why it is not believed of a sound that lasts `duration_s` seconds."""
        written, script = self._policy.write(text), main_script(text)
        plain = normalize(written)
        if not plain:
            return Doubt("transcript_without_words", f"{_short(text)} has no words")
        if script is not None and script not in self._scripts:
            return Doubt("wrong_script", f"{_short(text)} is mostly {script}; transcripts here are {_listed(self._scripts)}")
        rate, bounds = len(plain) / max(duration_s, 1.0), self._params
        if not bounds.min_chars_per_s <= rate <= bounds.max_chars_per_s:
            much = "much" if rate > bounds.max_chars_per_s else "little"
            believed = f"{bounds.min_chars_per_s:g} to {bounds.max_chars_per_s:g} a second are believed"
            return Doubt(f"too_{much}_text", f"{len(plain)} characters in {duration_s:.2f} s; {believed}")
        repetition = len(plain.encode()) / len(zlib.compress(plain.encode()))
        if repetition > bounds.max_repetition:
            return Doubt("repetitive_text", f"{_short(text)} repeats itself: zlib makes it {repetition:.1f} times smaller")
        return written


def _in_use(given: Iterable[str]) -> frozenset[str]:
    counts = Counter(script for text in given if (script := main_script(text)))
    return frozenset(script for script, count in counts.items() if count >= _RARE_SCRIPT * counts.total())


def _listed(scripts: Iterable[str]) -> str:
    return ", ".join(sorted(scripts))


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
