"""What becomes of a proposal: gold where every guard and the sound itself let it pass, else quarantined under a guard's name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from attune import guards
from attune.correctors.protocol import Corrector, Item, Proposal
from attune.guards import Claim
from attune.params import GuardParams
from attune.records import Edit, Gold, Hypothesis
from attune.scoring import edits
from attune.text import Policy, is_spaceless, normalize, units

AcousticCheck = Callable[[Sequence[tuple[Item, tuple[str, ...]]]], list[list[float | None]]]
"""For each item the log-probabilities of these texts in its sound; None where that cannot be told."""
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

    def written(self, text: str) -> str:
        """As params want transcripts written."""
        return self._policy.write(text) if normalize(text) else text

    def _guarded(self, item: Item, proposal: Proposal, corrector: Corrector) -> Gold:
        name, heard = item.utterance.id, item.hypothesis
        if proposal.text is None:
            return Gold(name, None, "quarantined", proposal.why, proposal.doubted, corrector.model)
        text = self.written(proposal.text)
        claim = claim_of(heard, text, self._glossary, self._language or heard.language, deaf=corrector.source == "llm")
        if refusal := guards.refuse(claim, self._params):
            return Gold(name, None, "quarantined", f"{refusal.guard}: {refusal.reason}", text, corrector.model)
        changes = edits(heard.text, text)
        source = corrector.source if changes else "unchanged"
        return Gold(name, text, source, proposal.why, model=corrector.model, guards=self._passed, edits=changes)

    def _unlikely(self, changed: Sequence[Item], golds: Mapping[str, Gold]) -> dict[str, Gold]:
        """The golds of changed items after their sound was asked, too: about each change alone, and about all together."""
        bound = self._params.max_acoustic_loss
        if bound is None or not changed:
            return {}
        assert self._listen is not None
        asked = [(item, versions(item.hypothesis.text, golds[item.utterance.id].edits)) for item in changed]
        found = {}
        for item, scores in zip(changed, self._listen(asked), strict=True):
            gold, loss = golds[item.utterance.id], worst_loss(scores)
            if loss is not None and loss <= bound:
                found[gold.id] = replace(gold, guards=(*gold.guards, ACOUSTIC))
                continue
            why = "the model cannot tell" if loss is None else f"{loss:.1f} nats for a change, bound {bound:g}"
            found[gold.id] = Gold(gold.id, None, "quarantined", f"{ACOUSTIC}: {why}", gold.text, gold.model)
        return found


def worst_loss(log_probs: Sequence[float | None]) -> float | None:
    """By how many nats the worst change is less likely in the sound than what was heard, of log-probabilities as `versions`
    has the texts. Each change is weighed by itself and beside the others, as some make sense only together, and the better
    one counts; all of them together count by their mean. None where the model cannot tell.

    >>> worst_loss([-1.0, -2.0, -9.0, -5.0, -3.0, -2.0]), worst_loss([-1.0, -7.0]), worst_loss([-1.0, None])
    (3.0, 6.0, None)
    """
    known = [each for each in log_probs if each is not None]
    if len(known) < len(log_probs):
        return None
    heard, *changed = known
    if len(changed) == 1:
        return heard - changed[0]
    count = len(changed) // 2
    alone, whole, without = changed[:count], changed[count], changed[count + 1 :]
    each = (min(heard - one, rest - whole) for one, rest in zip(alone, without, strict=True))
    return max([*each, (heard - whole) / count])


def versions(heard: str, changes: Sequence[Edit]) -> tuple[str, ...]:
    """What was heard, the same with each of the changes alone, with all of them, and with all but each in turn: all written as
    the recogniser writes.

    A single change is there once. Where words and spelling cannot be told apart, all are normalised.

    >>> versions("No feeder or coff", edits("No feeder or coff", "no fever or cough"))
    ('No feeder or coff', 'No fever or coff', 'No feeder or cough', 'No fever or cough', 'No feeder or cough', 'No fever or coff')
    """
    said, capitals = heard.split(), heard.isupper()
    if any(len(units(token)) != 1 for token in said):
        said, capitals = units(heard), False
    each = [_changed(said, [change], capitals=capitals) for change in changes]
    if len(changes) == 1:
        return (_written(said), *each)
    without = [[other for other in changes if other is not change] for change in changes]
    return (_written(said), *each, *(_changed(said, some, capitals=capitals) for some in (changes, *without)))


def _changed(said: Sequence[str], changes: Sequence[Edit], *, capitals: bool) -> str:
    new = list(said)
    for change in sorted(changes, key=lambda each: -each.at):
        text = change.gold.upper() if capitals else change.gold
        new[change.at : change.at + len(change.heard.split())] = text.split()
    return _written(new)


def _written(said: Sequence[str]) -> str:
    """The units with spaces between them where their script writes any."""
    spaced = (unit if is_spaceless(unit[0]) else f" {unit} " for unit in said)
    return " ".join("".join(spaced).split())


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
        confidences=unit_confidences(heard) if deaf else (),
        probability=(heard.confidence if heard.probability is None else heard.probability) if deaf else None,
    )


def unit_confidences(heard: Hypothesis) -> tuple[float, ...]:
    """Of each of the units (`text.units`); that of the whole text where its words cannot be told apart so."""
    said = [units(word.text) for word in heard.words]
    if [each for some in said for each in some] == units(heard.text):
        return tuple(word.confidence for word, some in zip(heard.words, said, strict=True) for _ in some)
    return (heard.confidence,) * len(units(heard.text))
