"""What becomes of a proposal: gold where every guard and the sound itself let it pass, else quarantined under a guard's name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from attune import guards
from attune.correctors.protocol import Corrector, Item, Proposal
from attune.guards import Claim
from attune.params import GuardParams
from attune.records import Gold, Hypothesis
from attune.scoring import edits
from attune.text import Policy, normalize

AcousticCheck = Callable[[Sequence[tuple[Item, str, str]]], list[float | None]]
"""(item, what was heard, what is proposed), in one style → by how many nats the proposal is less likely in the sound; None
where that cannot be told."""
ACOUSTIC = "acoustic_loss"
_NEARLY_AS_LIKELY = 4.6
"""Nats: a hundredth as likely as the best of the n-best list."""


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
        claim = claim_of(heard, text, self._glossary, self._language, deaf=corrector.source == "llm")
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
            stretches = len(gold.edits)
            if loss is not None and loss / stretches <= bound:
                found[gold.id] = replace(gold, guards=(*gold.guards, ACOUSTIC))
                continue
            why = "the model cannot tell" if loss is None else f"{loss / stretches:.1f} nats for each change, bound {bound:g}"
            found[gold.id] = Gold(gold.id, None, "quarantined", f"{ACOUSTIC}: {why}", text, gold.model)
        return found


def claim_of(heard: Hypothesis, proposal: str, glossary: Sequence[str], language: str | None, *, deaf: bool) -> Claim:
    """What the guards are asked; `deaf` is who proposes without having listened."""
    best = max((alternative.score for alternative in heard.alternatives), default=0.0)
    return Claim(
        heard=heard.text,
        proposal=proposal,
        alternatives=tuple(alternative.text for alternative in heard.alternatives),
        likely=tuple(alternative.text for alternative in heard.alternatives if best - alternative.score <= _NEARLY_AS_LIKELY),
        glossary=tuple(glossary),
        language=language,
        confidences=word_confidences(heard) if deaf else (),
    )


def word_confidences(heard: Hypothesis) -> tuple[float, ...]:
    """Of each normalised word; that of the whole text where its words cannot be told apart so."""
    said = [normalize(word.text).split() for word in heard.words]
    if [each for some in said for each in some] == normalize(heard.text).split():
        return tuple(word.confidence for word, some in zip(heard.words, said, strict=True) for _ in some)
    return (heard.confidence,) * len(normalize(heard.text).split())


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
