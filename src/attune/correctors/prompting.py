"""What a language model is asked about an utterance, and how its answer is read. Pure: whoever answers makes no difference.

The instructions are a file that users may edit. The utterance itself is one JSON object, so that nothing somebody said can be
taken for an instruction: a transcript is data.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz import fuzz, process

from attune.correctors.protocol import Item
from attune.records import Hypothesis
from attune.text import is_writable, normalize, sounding, words
from attune.workcache import digest_of

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "unchanged": {"type": "boolean"},
        "unsure": {"type": "boolean"},
        "text": {"type": "string"},
    },
    "required": ["id"],
    "additionalProperties": False,
}
"""JSON schema of an answer, for servers that can hold a model to one."""
_OPEN, _CLOSE = "⟦", "⟧"
_MOST_TERMS = 40
_NEAR_PERCENT = 70.0


class Malformed(Exception):
    """An answer that is not what was asked for; the message says in what."""


@dataclass(frozen=True)
class Prompt:
    """What stays the same for every utterance."""

    instructions: str
    language: str | None
    domain: str | None
    glossary: tuple[str, ...]
    doubtful_below: float
    """Words of less confidence are marked."""

    @property
    def digest(self) -> str:
        """Changes whenever a question about the same utterance may."""
        return digest_of("prompt 1", self.instructions, self.language, self.domain, self.glossary, self.doubtful_below)

    def question(self, item: Item) -> str:
        """The message about one utterance: a line of JSON."""
        heard = item.hypothesis
        given = {
            "id": item.utterance.id,
            "language": self.language or heard.language,
            "domain": self.domain,
            "terms": near_terms(heard, self.glossary),
            "transcript": marked(heard, self.doubtful_below),
            "alternatives": confidences(heard),
        }
        return json.dumps({key: value for key, value in given.items() if value}, ensure_ascii=False)


def marked(heard: Hypothesis, doubtful_below: float) -> str:
    """The text with doubtful stretches in brackets; as it is where its words have no confidence of their own.

    >>> from attune.records import Word
    >>> marked(Hypothesis("x", "No feeder, today.", 0.6, (Word("No", 0.9), Word("feeder,", 0.2), Word("today.", 0.9))), 0.5)
    'No ⟦feeder,⟧ today.'
    """
    said = [word.text.strip() for word in heard.words]
    if " ".join(said) != " ".join(heard.text.split()):
        return heard.text
    doubted = [word.confidence < doubtful_below for word in heard.words]
    pieces = []
    for at, text in enumerate(said):
        begins, ends = at == 0 or not doubted[at - 1], at + 1 == len(said) or not doubted[at + 1]
        pieces.append(f"{_OPEN if doubted[at] and begins else ''}{text}{_CLOSE if doubted[at] and ends else ''}")
    return " ".join(pieces)


def confidences(heard: Hypothesis) -> list[dict[str, Any]]:
    """The alternatives that have other words, each with its share of the n-best list's probability."""
    best = max((a.score for a in heard.alternatives), default=0.0)
    total = sum(math.exp(a.score - best) for a in heard.alternatives)
    seen, found = {normalize(heard.text)}, []
    for alternative in heard.alternatives:
        if (said := normalize(alternative.text)) not in seen:
            seen.add(said)
            found.append({"text": alternative.text, "confidence": round(math.exp(alternative.score - best) / total, 2)})
    return found


def near_terms(heard: Hypothesis, glossary: Sequence[str]) -> list[str]:
    """The terms of a glossary to tell about: all of a short one, of a long one those that sound most like what was heard."""
    if len(glossary) <= _MOST_TERMS:
        return list(glossary)
    texts = [heard.text, *(alternative.text for alternative in heard.alternatives)]
    sounds = [sounding(text).replace(" ", "") for text in texts]
    keys = [sounding(term).replace(" ", "") for term in glossary]
    nearness = [0.0] * len(keys)
    for each in sounds:
        for _, percent, at in process.extract(
            each, keys, scorer=fuzz.partial_ratio, limit=_MOST_TERMS, score_cutoff=_NEAR_PERCENT
        ):
            nearness[at] = max(nearness[at], percent)
    order = sorted((at for at in range(len(keys)) if nearness[at]), key=lambda at: (-nearness[at], at))
    return [glossary[at] for at in order[:_MOST_TERMS]]


def read_answer(answer: str, item: Item) -> str | None:
    """The text that the answer gives for the item, what was heard where it changes nothing, None where it is unsure. Raises
    Malformed.

    The first JSON object counts, whatever stands around it: models like to talk.
    """
    content = _first_object(answer)
    told = content.get("id")
    if told is not None and str(told) != item.utterance.id:
        raise Malformed(f"it is about {str(told)[:40]!r}")
    if content.get("unsure") is True:
        return None
    if content.get("unchanged") is True:
        return item.hypothesis.text
    text = content.get("text")
    if not isinstance(text, str):
        raise Malformed("it has neither text nor unchanged: true")
    plain = " ".join(text.replace(_OPEN, "").replace(_CLOSE, "").split())
    if strange := next((c for c in plain if not is_writable(c)), None):
        raise Malformed(f"its text has the character {strange!r}")
    return item.hypothesis.text if words(plain) == words(item.hypothesis.text) else plain


def _first_object(answer: str) -> dict[str, Any]:
    decoder, start = json.JSONDecoder(), answer.find("{")
    while start >= 0:
        try:
            content, _ = decoder.raw_decode(answer, start)
        except RecursionError:
            raise Malformed("its JSON is nested too deeply") from None
        except ValueError:
            start = answer.find("{", start + 1)
            continue
        return content if isinstance(content, dict) else {}
    raise Malformed("it holds no whole JSON object")
