"""The corrector that corrects nothing: only what a person wrote becomes gold."""

from collections.abc import Iterator, Sequence

from attune.correctors.protocol import Item, Proposal
from attune.records import GoldSource


class References:
    """Has no belief about any utterance; those with a human transcript never reach a corrector."""

    name = "references"
    model: str | None = None
    source: GoldSource = "human"
    digest = "references-1"

    def question(self, item: Item) -> str:
        """Nothing is asked."""
        return item.utterance.id

    def propose(self, items: Sequence[Item]) -> Iterator[Proposal]:
        """`no_reference` for every item."""
        yield from (Proposal(item.utterance.id, None, "no_reference") for item in items)
