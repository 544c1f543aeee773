"""A corrector's answers, kept in the work cache: an utterance is paid for once, and a kill loses what is on its way at most."""

from collections.abc import Iterator, Sequence
from typing import Any

from attune.correctors.protocol import Corrector, Item, Proposal
from attune.progress import track
from attune.records import GoldSource
from attune.workcache import WorkCache, digest_of


class RememberedCorrector:
    """`corrector`, asked only what the cache does not know: equal questions, by their digests, have one answer."""

    def __init__(self, corrector: Corrector, cache: WorkCache) -> None:
        self.name: str = corrector.name
        self.model: str | None = corrector.model
        self.source: GoldSource = corrector.source
        self.digest: str = corrector.digest
        self.remembered = 0
        """How many answers came from the cache so far."""
        self._corrector, self._cache = corrector, cache

    def question(self, item: Item) -> str:
        """See `Corrector.question`."""
        return self._corrector.question(item)

    def propose(self, items: Sequence[Item]) -> Iterator[Proposal]:
        """See `Corrector.propose`; each answer is kept before it is given. The longest clips come first, so that what does not
        fit into memory shows at once."""
        keys = {item.utterance.id: digest_of("proposal 2", self.digest, self.question(item)) for item in items}
        found = {name: proposal for name in keys if (proposal := _revived(name, self._cache.get_or_none(keys[name])))}
        self.remembered += len(found)
        yield from found.values()
        missing = sorted(
            (i for i in items if i.utterance.id not in found), key=lambda i: (-i.utterance.duration_s, i.utterance.id)
        )
        if missing:
            for proposal in track(self._corrector.propose(missing), f"asking {self.model or self.name}", len(missing)):
                if proposal.lasting:
                    self._cache.put({keys[proposal.id]: [proposal.text, proposal.why, proposal.doubted]})
                yield proposal


def _revived(utterance_id: str, value: Any) -> Proposal | None:
    """A cached proposal; None for anything that does not look like one."""
    match value:
        case [str() | None as text, str() as why, str() | None as doubted]:
            return Proposal(utterance_id, text, why, doubted)
    return None
