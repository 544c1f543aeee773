"""What every corrector can do, whatever is underneath: propose a text for what a recogniser heard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from attune.records import GoldSource, Hypothesis, Utterance


@dataclass(frozen=True)
class Item:
    """One utterance to correct, with what the baseline recogniser heard in it."""

    utterance: Utterance
    hypothesis: Hypothesis


@dataclass(frozen=True)
class Proposal:
    """A corrector's answer for one utterance."""

    id: str
    text: str | None
    """What was said, as the corrector believes; None where it has no belief."""
    why: str
    """A short fixed word to count by, such as `methods_disagree`."""
    doubted: str | None = None
    """Without a belief: the text a person should look at first."""
    lasting: bool = True
    """Whether asking again would bring the same; False where a server gave no answer. Only lasting ones are remembered."""


class Corrector(Protocol):
    """Anything that proposes texts. What it proposes goes through the guards before training may believe it."""

    name: str
    """As in `llm_gold.corrector`."""
    model: str | None
    """What is underneath, for the record in gold; None where it is nothing."""
    source: GoldSource
    """What its accepted changes are called in gold."""
    digest: str
    """Changes whenever its answers to the same question may: model, prompt, texts, settings."""

    def question(self, item: Item) -> str:
        """All of `item` that the answer depends on; with `digest` it keys the work cache."""
        ...

    def propose(self, items: Sequence[Item]) -> Iterator[Proposal]:
        """One answer for each item, as they are found, in any order. Raises GoldError when it cannot go on."""
        ...
