"""What becomes of a proposal: gold where every guard and the sound itself let it pass, else quarantined under a guard's name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from attune import guards
from attune.correctors.protocol import Corrector, Item, Proposal
from attune.guards import Claim
from attune.params import GuardParams
from attune.records import Gold
from attune.scoring import edits, score
from attune.text import Policy, normalize

AcousticCheck = Callable[[Sequence[tuple[Item, str, str]]], list[float | None]]
"""(item, what was heard, what is proposed), in one style → by how many nats the proposal is less likely in the sound; None
where that cannot be told."""
ACOUSTIC = "acoustic_loss"


class Judge:
    """Believes or quarantines what is proposed."""

    def __init__(
        self,
        params: GuardParams,
        policy: Policy,
        glossary: Sequence[str] = (),
        language: str | None = None,
        listen: AcousticCheck | None = None,
    ) -> None:
        """`listen` is needed where `params.max_acoustic_loss` is set and something is proposed."""
        self._params, self._policy, self._glossary, self._language = params, policy, tuple(glossary), language
        self._listen = listen
        self._passed = guards.asked(params)

    def judge(self, items: Sequence[Item], proposals: Mapping[str, Proposal], corrector: Corrector) -> dict[str, Gold]:
        """A verdict on each item, by its id; an item without a proposal has no answer."""
        unanswered = Proposal("", None, "no_answer")
        golds = {i.utterance.id: self._guarded(i, proposals.get(i.utterance.id, unanswered), corrector) for i in items}
        return golds | self._unlikely([item for item in items if golds[item.utterance.id].edits], golds)

    def _guarded(self, item: Item, proposal: Proposal, corrector: Corrector) -> Gold:
        name, heard = item.utterance.id, item.hypothesis
        if proposal.text is None:
            return Gold(name, None, "quarantined", proposal.why, proposal.doubted, corrector.model)
        text = self._policy.write(proposal.text) if normalize(proposal.text) else proposal.text
        alternatives = tuple(alternative.text for alternative in heard.alternatives)
        claim = Claim(heard.text, text, alternatives, self._glossary, self._language)
        if refusal := guards.refuse(claim, self._params):
            return Gold(name, None, "quarantined", f"{refusal.guard}: {refusal.reason}", text, corrector.model)
        same = normalize(heard.text) == normalize(text)
        source = "unchanged" if same else corrector.source
        changes = () if same else edits(heard.text, text)
        return Gold(name, text, source, proposal.why, model=corrector.model, guards=self._passed, edits=changes)

    def _unlikely(self, changed: Sequence[Item], golds: Mapping[str, Gold]) -> dict[str, Gold]:
        """The golds of changed items after their sound was asked, too."""
        bound = self._params.max_acoustic_loss
        if bound is None or not changed:
            return {}
        assert self._listen is not None
        texts = [golds[item.utterance.id].text or "" for item in changed]
        asked = [(item, *in_one_style(item.hypothesis.text, text)) for item, text in zip(changed, texts, strict=True)]
        found = {}
        for item, text, loss in zip(changed, texts, self._listen(asked), strict=True):
            gold = golds[item.utterance.id]
            words = max(1, score("", item.hypothesis.text, text).words.errors)
            if loss is not None and loss / words <= bound:
                found[gold.id] = replace(gold, guards=(*gold.guards, ACOUSTIC))
                continue
            why = "the model cannot tell" if loss is None else f"{loss / words:.1f} nats for each changed word, bound {bound:g}"
            found[gold.id] = Gold(gold.id, None, "quarantined", f"{ACOUSTIC}: {why}", text, gold.model)
        return found


def in_one_style(heard: str, proposal: str) -> tuple[str, str]:
    """Both texts such that they differ in the changed words alone, and are written as the recogniser writes.

    Each word of `heard` is one normalised word, and what was changed takes its case; else both are normalised.

    >>> in_one_style("no feeder today", "No fever today!"), in_one_style("A well-known drug.", "a well known rug")
    (('no feeder today', 'no fever today'), ('a well known drug', 'a well known rug'))
    """
    said = heard.split()
    if any(len(normalize(token).split()) != 1 for token in said):
        return normalize(heard), normalize(proposal)
    for edit in reversed(edits(heard, proposal)):
        new = edit.gold.upper() if heard.isupper() else edit.gold
        said[edit.at : edit.at + len(edit.heard.split())] = new.split()
    return " ".join(heard.split()), " ".join(said)
