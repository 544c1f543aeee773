"""Two correctors, or one asked twice: what both say is believed, the rest is for a person."""

from collections.abc import Iterator, Sequence

from attune.correctors.protocol import Corrector, Item, Proposal
from attune.records import GoldSource
from attune.text import words
from attune.workcache import digest_of


class Agreement:
    """Believes the first corrector where the second has the same words."""

    def __init__(self, first: Corrector, second: Corrector) -> None:
        self.name = first.name
        self.model: str | None = f"{first.model or first.name}, agreed to by {second.model or second.name}"
        self.source: GoldSource = first.source
        self.digest = digest_of("agreement 1", first.digest, second.digest)
        self._first, self._second = first, second

    def question(self, item: Item) -> str:
        """What both depend on."""
        return digest_of(self._first.question(item), self._second.question(item))

    def propose(self, items: Sequence[Item]) -> Iterator[Proposal]:
        """See `Corrector.propose`; the second is asked only about what the first has a belief about."""
        told = {proposal.id: proposal for proposal in self._first.propose(items)}
        believed = [item for item in items if (p := told.get(item.utterance.id)) and p.text is not None]
        yield from (proposal for proposal in told.values() if proposal.text is None)
        for other in self._second.propose(believed):
            yield _agreed(told[other.id], other)


def _agreed(first: Proposal, second: Proposal) -> Proposal:
    if second.text is None:
        return Proposal(first.id, None, second.why, doubted=first.text, lasting=second.lasting)
    if words(first.text or "") != words(second.text):
        return Proposal(first.id, None, "correctors_disagree", doubted=first.text)
    return first
