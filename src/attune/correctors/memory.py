"""A corrector's answers, kept in the work cache: an utterance is worked on once, and a kill loses one portion at most."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attune.correctors.protocol import Corrector, Item, Proposal
from attune.progress import track
from attune.records import GoldSource
from attune.workcache import WorkCache, digest_of


class RememberedCorrector:
    """`corrector`, asked only about what the cache does not know: the same sound, heard the same way, by equal digests."""

    def __init__(self, corrector: Corrector, cache: WorkCache, portion: int) -> None:
        """`portion` is how many utterances of like length are asked about at once."""
        self.name: str = corrector.name
        self.source: GoldSource = corrector.source
        self.digest: str = corrector.digest
        self._corrector, self._cache, self._portion = corrector, cache, portion

    def propose(self, items: Sequence[Item]) -> list[Proposal]:
        """See `Corrector.propose`; an item that the corrector left without an answer has none here."""
        keys = {item.utterance.id: self._key(item) for item in items}
        found = {name: proposal for name in keys if (proposal := _revived(name, self._cache.get_or_none(keys[name])))}
        missing = sorted(
            (i for i in items if i.utterance.id not in found), key=lambda i: (i.utterance.duration_s, i.utterance.id)
        )
        answers = self._answers(missing, keys)
        found |= {proposal.id: proposal for proposal in track(answers, f"asking {self.name}", len(missing))}
        return [found[name] for name in keys if name in found]

    def _answers(self, items: Sequence[Item], keys: Mapping[str, str]) -> Iterator[Proposal]:
        for first in range(0, len(items), self._portion):
            proposals = self._corrector.propose(items[first : first + self._portion])
            self._cache.put({keys[p.id]: [p.text, p.why, p.doubted] for p in proposals})
            yield from proposals

    def _key(self, item: Item) -> str:
        return digest_of(
            "proposal 1", self.digest, item.utterance.audio_digest, item.hypothesis.text, item.hypothesis.alternatives
        )


def _revived(utterance_id: str, value: Any) -> Proposal | None:
    """A cached proposal; None for anything that does not look like one."""
    match value:
        case [str() | None as text, str() as why, str() | None as doubted]:
            return Proposal(utterance_id, text, why, doubted)
    return None
