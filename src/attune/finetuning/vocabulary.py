"""What becomes of letters that a CTC model cannot write: its texts are left out, written with near letters, or it learns them.

Vocabularies of Whisper-class models hold every byte, so nothing is outside them.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from attune.checkpoints import Checkpoint
from attune.ctc_heads import grow_head
from attune.finetuning.families import CtcFamily, Example, Family

Policy = Literal["extend", "map", "drop"]


@dataclass(frozen=True)
class Outside:
    """What was found outside the vocabulary, before anything was done about it."""

    policy: Policy
    utterances: int = 0
    """With such a letter in them."""
    letters: Mapping[str, int] = field(default_factory=dict)
    """How often each occurs."""
    learnt: str = ""
    """Letters that the model got."""

    def metrics(self) -> dict[str, Any]:
        """For `metrics/train.json`."""
        return {
            "policy": self.policy,
            "utterances": self.utterances,
            "characters": sum(self.letters.values()),
            "letters": dict(sorted(self.letters.items())),
            "learnt": self.learnt,
        }


def fitted(
    examples: Sequence[Example], family: Family, checkpoint: Checkpoint, policy: Policy
) -> tuple[list[Example], Outside | None]:
    """The examples as the model may learn them, and what was outside its vocabulary; `extend` changes the checkpoint.

    What cannot be mapped stays as it is, and `family.refusal` names it.
    """
    if not isinstance(family, CtcFamily):
        return list(examples), None
    strange = [_strange(family.written(example.text), family.writes) for example in examples]
    letters = Counter[str](letter for some in strange for letter in some)
    if not letters:
        return list(examples), None
    found = Outside(policy, sum(bool(some) for some in strange), letters)
    if policy == "extend":
        learnt = "".join(sorted(letters))
        extend(checkpoint, learnt)
        return list(examples), replace(found, learnt=learnt)
    if policy == "map":
        return [replace(e, text=mapped(family.written(e.text), family.writes)) for e in examples], found
    return list(examples), found


def mapped(text: str, writes: Callable[[str], bool]) -> str:
    """The text with each letter outside the vocabulary as those that come next to it; one without any stays.

    >>> mapped("mañana, größe, łódź 日本", "abcdefghijklmnopqrstuvwxyz, ".__contains__)
    'manana, grosse, lodz 日本'
    """
    return "".join(letter if writes(letter) else _near(letter, writes) for letter in text)


def extend(checkpoint: Checkpoint, letters: Iterable[str]) -> None:
    """Adds letters to the end of the vocabulary, and to the head an output for each that begins as its near letter's."""
    tokenizer, model = checkpoint.processor.tokenizer, checkpoint.model
    known: dict[str, int] = tokenizer.get_vocab()
    first = max(int(model.config.vocab_size), max(known.values()) + 1)
    near = dict[int, int]()
    for number, letter in enumerate(letters, start=first):
        like = _near(letter, known.__contains__)
        if like[:1] in known:
            near[number] = known[like[:1]]
        tokenizer.encoder[letter], tokenizer.decoder[number] = number, letter
    grow_head(model, max(tokenizer.decoder) + 1, near)


def _near(letter: str, writes: Callable[[str], bool]) -> str:
    """The letters that `letter` is made of or drawn like, else itself."""
    if unicodedata.combining(letter):
        return ""  # an accent of its own: the letter that it stands on is written without
    for candidate in _candidates(letter):
        if candidate and all(writes(part) for part in candidate):
            return candidate
    return letter


def _candidates(letter: str) -> Iterable[str]:
    apart = unicodedata.normalize("NFKD", letter)
    yield "".join(part for part in apart if not unicodedata.category(part).startswith("M"))
    yield letter.casefold()
    yield letter.casefold().upper()
    plain = unicodedata.name(letter, "").partition(" WITH ")[0]  # ø and ł have names, but no decomposition
    try:
        yield unicodedata.lookup(plain)
    except KeyError:
        return


def _strange(text: str, writes: Callable[[str], bool]) -> list[str]:
    return [letter for letter in text if letter != " " and not writes(letter)]
