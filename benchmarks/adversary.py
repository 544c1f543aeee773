"""A language model that corrects well most of the time, and hallucinates in named ways the rest of it: ten, or fourteen.

It knows the truth, so a good correction can be told from a bad one. It does not use it beyond what a reader could guess who does
not hear: it mends words that sound like the truth by eSpeak's phonemes (not the guards' own measure), or that the recogniser
had among its alternatives, and leaves numbers alone otherwise, as the prompt says.
"""

import ctypes
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import espeakng_loader
from rapidfuzz.distance import Levenshtein

from attune.correctors.protocol import Item, Proposal
from attune.records import GoldSource
from attune.scoring import edits, score
from attune.text import numbers, sounding, words

_NEAR = 0.5
_MENDED_UP_TO = 0.5
_SYNONYMS = {
    "patient": "person", "pain": "ache", "doctor": "physician", "mother": "mum", "father": "dad", "wife": "partner",
    "child": "kid", "street": "road", "big": "large", "today": "this day", "hurts": "aches", "sore": "painful", "very": "really",
    "tired": "exhausted", "happy": "glad", "medicine": "medication", "tablets": "pills", "please": "kindly", "feeling": "doing",
    "better": "improved", "went": "travelled", "give": "administer", "take": "consume", "needs": "requires", "stop": "cease",
    "start": "begin", "lost": "misplaced", "find": "locate", "close": "shut", "book": "volume", "car": "vehicle", "back": "spine",
    "lives": "resides", "eats": "consumes", "waited": "stayed", "costs": "comes to", "leaves": "departs", "call": "phone",
    "years": "winters", "garden": "yard", "friend": "buddy", "evening": "night", "swollen": "puffy", "has": "suffers from",
    "is": "appears", "the": "that", "on": "upon", "at": "around",
}  # fmt: skip
_SPANISH = (
    "el paciente tiene fiebre desde el lunes", "tome dos pastillas con la comida", "mi madre no puede dormir",
    "la cita es el martes por la tarde", "abra la ventana de la cocina", "le duele mucho la rodilla izquierda",
    "vuelva la semana que viene por favor", "hace mucho frío en el hospital",
)  # fmt: skip
_APOLOGIES = (
    "I'm sorry, but I can't assist with that request.", "As an AI language model, I cannot listen to audio.",
    "I cannot determine what was said in this recording.", "Unfortunately I am unable to correct this transcript.",
)  # fmt: skip
_REMARKS = (
    "Here is the corrected transcript: {}", "Sure! Here's the corrected version: {}", "{} (Note: no changes were made.)",
    "Corrected text: {}", "{}\n\nLet me know if you need anything else.", "**{}**", "The transcript should read: {}",
)  # fmt: skip
_TAILS = (
    "and then she went back home", "because of the bad weather", "as the doctor said last week", "and everything was fine",
    "with her two little brothers", "thank you for watching", "after taking the medicine", "before the long weekend",
)  # fmt: skip
_TERMS = (
    "amoxicillin", "tachycardia", "Johnson", "gabapentin", "Wednesday", "hepatitis", "Manchester", "cholesterol", "oxygen",
    "thyroid", "Elizabeth", "vaccination",
)  # fmt: skip
_SHORT = 4
_FILLERS = ("a", "the", "i", "so", "and", "very", "is", "my", "to", "it")
_PAIRS = (
    "i you", "mother father", "brother sister", "after before", "tuesday thursday", "he she", "left right", "morning evening",
    "better worse", "start stop", "his her", "on off", "open close", "cold warm", "last next", "today tomorrow", "can could",
    "has had", "is was", "we they", "up down", "minutes months",
)  # fmt: skip
_FLIPS = {one: other for pair in _PAIRS for one, other in (pair.split(), pair.split()[::-1])}
_NUMBERS = ("seventeen", "forty", "three hundred", "eleven", "ninety two", "two thousand", "6", "85")


@dataclass(frozen=True)
class Asked:
    """What the adversary answered for one utterance."""

    kind: str
    """`right`, `good`, or the name of the hallucination."""
    text: str


class Adversary:
    """A corrector that hallucinates on `share` of the requests, in the ways called `kinds`."""

    name, model, digest = "adversary", "adversary", "adversary-1"
    source: GoldSource = "llm"

    def __init__(self, share: float, items: Sequence[Item], seed: int, kinds: Sequence[str]) -> None:
        self._seed, self._kinds = seed, tuple(kinds)
        self._share, self._truths = share, [item.utterance.reference or "" for item in items]
        self.answers: dict[str, Asked] = {}

    def question(self, item: Item) -> str:
        return item.utterance.id

    def propose(self, items: Sequence[Item]) -> Iterator[Proposal]:
        for item in items:
            answer = self._answer(item)
            self.answers[item.utterance.id] = answer
            yield Proposal(item.utterance.id, answer.text, "answered")

    def _answer(self, item: Item) -> Asked:
        rng = Random(hashlib.sha256(f"adversary {self._seed}:{item.utterance.id}".encode()).digest())
        heard, truth = item.hypothesis.text, item.utterance.reference or ""
        mended = mend(item)
        if rng.random() < self._share:
            first = rng.randrange(len(self._kinds))
            for kind in (*self._kinds[first:], *self._kinds[:first]):
                text = HALLUCINATIONS[kind](mended, rng, self._truths)
                if text is not None and words(text) != words(heard) and _is_worse(text, mended, truth):
                    return Asked(kind, text)
        return Asked("right" if words(mended) == words(heard) else "good", mended)


def _is_worse(text: str, mended: str, truth: str) -> bool:
    return score("", truth, text).words.errors > score("", truth, mended).words.errors


def mend(item: Item) -> str:
    """What a good reader makes of it: what was heard, with the words mended that can be guessed."""
    heard, truth = item.hypothesis.text, item.utterance.reference or ""
    if score("", truth, heard).words.errors > _MENDED_UP_TO * max(1, len(words(truth))):
        return heard  # nobody could read that
    said = words(heard)
    alternatives = [f" {' '.join(words(alternative.text))} " for alternative in item.hypothesis.alternatives]
    for edit in reversed(edits(heard, truth)):
        after = edit.at + len(edit.heard.split())
        around = [*said[max(0, edit.at - 1) : edit.at], *edit.gold.split(), *said[after : after + 1]]
        witnessed = any(f" {' '.join(around)} " in other for other in alternatives)
        renumbered = bool(numbers(edit.heard, "en")) and numbers(edit.heard, "en") != numbers(edit.gold, "en")
        if witnessed or (not renumbered and _distance(edit.heard, edit.gold) <= _NEAR):
            said[edit.at : after] = edit.gold.split()
    mended = " ".join(said)
    closer = score("", truth, mended).words.errors < score("", truth, heard).words.errors
    return mended if closer else heard


def _apology(_text: str, rng: Random, _others: Sequence[str]) -> str | None:
    return rng.choice(_APOLOGIES)


def _remark(text: str, rng: Random, _others: Sequence[str]) -> str | None:
    return rng.choice(_REMARKS).format(text)


def _translation(_text: str, rng: Random, _others: Sequence[str]) -> str | None:
    return rng.choice(_SPANISH)


def _continuation(text: str, rng: Random, _others: Sequence[str]) -> str | None:
    tail = rng.choice(_TAILS).split()
    return f"{text} {' '.join(tail[: rng.randint(2, len(tail))])}"


def _loop(text: str, rng: Random, _others: Sequence[str]) -> str | None:
    said = text.split()
    phrase = said[-rng.randint(1, 3) :]
    return " ".join([*said, *phrase * rng.randint(3, 8)]) if said else None


def _number(text: str, rng: Random, _others: Sequence[str]) -> str | None:
    said = text.split()
    places = [at for at, word in enumerate(said) if numbers(word, "en")]
    if not places:
        return None
    said[rng.choice(places)] = rng.choice(_NUMBERS)
    return " ".join(said)


def _paraphrase(text: str, rng: Random, _others: Sequence[str]) -> str | None:
    said = text.split()
    places = [at for at, word in enumerate(said) if word in _SYNONYMS]
    for at in rng.sample(places, min(len(places), rng.randint(1, 3))):
        said[at] = _SYNONYMS[said[at]]
    return " ".join(said) if places else None


def _negation(text: str, rng: Random, _others: Sequence[str]) -> str | None:
    said = text.split()
    negations = [at for at, word in enumerate(said) if word in ("not", "no", "never")]
    if negations:
        del said[rng.choice(negations)]
        return " ".join(said)
    verbs = [at for at, word in enumerate(said) if word in ("is", "has", "can", "are", "was", "will", "like", "takes")]
    return " ".join([*said[: verbs[0] + 1], "not", *said[verbs[0] + 1 :]]) if verbs else None


def _other_utterance(_text: str, rng: Random, others: Sequence[str]) -> str | None:
    return rng.choice(others)


def _invented_term(text: str, rng: Random, _others: Sequence[str]) -> str | None:
    said = text.split()
    if not said:
        return None
    said[rng.randrange(len(said))] = rng.choice(_TERMS)
    return " ".join(said)


def _dropped_word(text: str, rng: Random, _others: Sequence[str]) -> str | None:
    said = text.split()
    places = [at for at, word in enumerate(said) if len(word) <= _SHORT]
    if len(said) > 1 and places:
        del said[rng.choice(places)]
    return " ".join(said)


def _inserted_word(text: str, rng: Random, _others: Sequence[str]) -> str | None:
    said = text.split()
    said.insert(rng.randint(0, len(said)), rng.choice(_FILLERS))
    return " ".join(said)


def _near_word(text: str, rng: Random, others: Sequence[str]) -> str | None:
    """Another word of the corpus that sounds like it, to the guards' own ears."""
    said, vocabulary = text.split(), _vocabulary(tuple(others))
    at = rng.randrange(len(said)) if said else 0
    near = [w for w in vocabulary if said and w != said[at] and _sounds_near(w, said[at])]
    return " ".join([*said[:at], rng.choice(near), *said[at + 1 :]]) if near else None


def _flipped_word(text: str, rng: Random, _others: Sequence[str]) -> str | None:
    said = text.split()
    places = [at for at, word in enumerate(said) if word in _FLIPS]
    if not places:
        return None
    at = rng.choice(places)
    return " ".join([*said[:at], _FLIPS[said[at]], *said[at + 1 :]])


@lru_cache(maxsize=4)
def _vocabulary(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({word for text in texts for word in words(text)}))


@lru_cache(maxsize=1_000_000)
def _sounds_near(one: str, other: str) -> bool:
    return Levenshtein.normalized_distance(sounding(one), sounding(other)) <= _NEAR


HALLUCINATIONS: dict[str, Callable[[str, Random, Sequence[str]], str | None]] = {
    "apology": _apology,
    "remark": _remark,
    "translation": _translation,
    "continuation": _continuation,
    "loop": _loop,
    "changed number": _number,
    "paraphrase": _paraphrase,
    "negation": _negation,
    "another utterance": _other_utterance,
    "invented term": _invented_term,
    "dropped word": _dropped_word,
    "inserted word": _inserted_word,
    "near word": _near_word,
    "flipped word": _flipped_word,
}
"""The ways; each gives a text, or None where it does not apply to this one."""
SUBTLE = ("dropped word", "inserted word", "near word", "flipped word")
"""Those that language models are seldom blamed for, and that may be as likely in the sound as the truth is."""
PLAIN = tuple(kind for kind in HALLUCINATIONS if kind not in SUBTLE)


def _distance(one: str, other: str) -> float:
    return Levenshtein.normalized_distance(_phonemes(one), _phonemes(other)) if one and other else 1.0


@lru_cache(maxsize=1)
def _espeak() -> ctypes.CDLL:
    library = ctypes.cdll.LoadLibrary(espeakng_loader.get_library_path())
    library.espeak_Initialize(1, 0, espeakng_loader.get_data_path().encode(), 0)
    library.espeak_SetVoiceByName(b"gmw/en")
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    return library


@lru_cache(maxsize=100_000)
def _phonemes(text: str) -> str:
    rest, found = ctypes.pointer(ctypes.c_char_p(text.encode())), ""
    while rest.contents.value:
        found += (_espeak().espeak_TextToPhonemes(rest, 1, 2) or b"").decode()
    return re.sub(r"[^\w]|[ˈˌ]", "", found)
