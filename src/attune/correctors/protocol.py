"""What every corrector can do, whatever is underneath: propose a text for what a recogniser heard."""

from collections.abc import Sequence
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


class Corrector(Protocol):
    """Anything that proposes texts. What it proposes goes through the guards before training may believe it."""

    name: str
    source: GoldSource
    """What its accepted changes are called in gold."""
    digest: str
    """Changes whenever its answers may: model, prompt, texts, settings; keys the work cache."""

    def propose(self, items: Sequence[Item]) -> list[Proposal]:
        """One answer for each item, in their order. Raises GoldError when it cannot work at all."""
        ...
