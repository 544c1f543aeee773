"""The corrector that corrects nothing: only what a person wrote becomes gold."""

from collections.abc import Sequence

from attune.correctors.protocol import Item, Proposal
from attune.records import GoldSource


class References:
    """Has no belief about any utterance; those with a human transcript never reach a corrector."""

    name = "references"
    source: GoldSource = "human"
    digest = "references-1"

    def propose(self, items: Sequence[Item]) -> list[Proposal]:
        """`no_reference` for every item."""
        return [Proposal(item.utterance.id, None, "no_reference") for item in items]
