"""Puts gold together: human text first, then what a corrector proposes and the guards let pass; the rest is quarantined.

Which corrector it is makes no difference here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from attune.correctors.blind_check import BlindCheck, blind_sample, check_blind
from attune.correctors.protocol import Corrector, Item, Proposal
from attune.errors import DataError, GoldError
from attune.guards import doubt_reference, refuse
from attune.params import GuardParams
from attune.records import Gold, Hypothesis, Utterance
from attune.text import normalize


@dataclass(frozen=True)
class ReviewItem:
    """One utterance for a person to listen to: quarantined, or with a transcript that may be another's."""

    id: str
    source: str
    """Path of the recording below the raw folder."""
    why: str
    confidence: float
    """Of the baseline in what it heard."""
    heard: str
    proposal: str | None
    """What a corrector proposed, or a person wrote."""


@dataclass(frozen=True)
class GoldReport:
    """Gold for every utterance, in their order, and how good it is where that can be known."""

    golds: tuple[Gold, ...]
    review: tuple[ReviewItem, ...]
    """Those where a confident baseline and a proposal disagree first, the test split last."""
    doubted_references: int
    """How many of them have a human's transcript, which is believed all the same."""
    wanted: int
    """Utterances outside the test split: the ones training could use."""
    believed: int
    """Those of them that have gold."""
    blind_check: BlindCheck | None
    """None where nothing was asked of the corrector, or no utterance is in the blind sample."""


def make_gold(
    utterances: Sequence[Utterance], hypotheses: Sequence[Hypothesis], corrector: Corrector, guards: GuardParams
) -> GoldReport:
    """One Gold for each utterance. A human reference always wins; a test utterance without one is never corrected.

    Raises GoldError where nobody transcribed a training recording and the corrector has no belief of its own, DataError
    where an utterance was not transcribed by the baseline.
    """
    items = _pair(utterances, hypotheses)
    asked = [items[u.id] for u in utterances if _is_open(u)]
    blind = [items[u.id] for u in blind_sample(utterances)] if asked else []
    answers = _judge([*asked, *blind], corrector, guards)
    golds = tuple(_human(u) or (answers[u.id] if u.split != "test" else _untested(u)) for u in utterances)
    wanted = [gold for utterance, gold in zip(utterances, golds, strict=True) if utterance.split != "test"]
    quarantined = [_review_item(items[gold.id], gold.why, gold.proposal) for gold in golds if gold.source == "quarantined"]
    doubted = list(_doubted(golds, items, guards))
    believed = sum(gold.text is not None for gold in wanted)
    if wanted and not believed and corrector.source == "human":
        raise GoldError(
            f"llm_gold.corrector is {corrector.name}, and none of {len(wanted)} recordings for training has a human transcript; "
            "transcribe some of them, or set llm_gold.corrector in params.yaml to another one"
        )
    return GoldReport(
        golds=golds,
        review=tuple(sorted([*quarantined, *doubted], key=lambda waiting: _urgency(waiting, items))),
        doubted_references=len(doubted),
        wanted=len(wanted),
        believed=believed,
        blind_check=check_blind(blind, answers) if blind else None,
    )


def needs_corrector(utterances: Iterable[Utterance]) -> bool:
    """Whether there is a recording outside the test split that nobody transcribed."""
    return any(map(_is_open, utterances))


def metrics(report: GoldReport) -> dict[str, Any]:
    """The figures for `metrics/llm_gold.json`."""
    quarantined = Counter(reason(gold) for gold in report.golds if gold.source == "quarantined")
    return {
        "utterances": len(report.golds),
        "share_with_gold": report.believed / report.wanted if report.wanted else None,
        "sources": dict(sorted(Counter(gold.source for gold in report.golds).items())),
        "quarantined": dict(sorted(quarantined.items())),
        "doubted_references": report.doubted_references,
        "blind_check": asdict(report.blind_check) if report.blind_check else None,
    }


def reason(gold: Gold) -> str:
    """The short fixed word that `gold.why` starts with."""
    return gold.why.partition(":")[0]


def _pair(utterances: Sequence[Utterance], hypotheses: Sequence[Hypothesis]) -> dict[str, Item]:
    heard = {hypothesis.id: hypothesis for hypothesis in hypotheses}
    missing = [utterance.id for utterance in utterances if utterance.id not in heard]
    if missing:
        raise DataError(
            f"the baseline has no hypothesis for {len(missing)} of {len(utterances)} utterances, {missing[0]} among them; "
            "run: dvc repro stt_baseline"
        )
    return {utterance.id: Item(utterance, heard[utterance.id]) for utterance in utterances}


def _judge(items: Sequence[Item], corrector: Corrector, guards: GuardParams) -> Mapping[str, Gold]:
    """What the corrector and the guards make of each item, by its id."""
    proposals = {proposal.id: proposal for proposal in corrector.propose(items)} if items else {}
    unanswered = Proposal("", None, "no_answer")
    return {item.utterance.id: _believe(item, proposals.get(item.utterance.id, unanswered), corrector, guards) for item in items}


def _believe(item: Item, proposal: Proposal, corrector: Corrector, guards: GuardParams) -> Gold:
    name, heard = item.utterance.id, item.hypothesis.text
    if proposal.text is None:
        return Gold(name, None, "quarantined", proposal.why, proposal.doubted)
    if refusal := refuse(heard, proposal.text, guards):
        return Gold(name, None, "quarantined", f"{refusal.guard}: {refusal.reason}", proposal.text)
    same = normalize(heard) == normalize(proposal.text)
    return Gold(name, proposal.text, "unchanged" if same else corrector.source, proposal.why)


def _is_open(utterance: Utterance) -> bool:
    return not utterance.reference and utterance.split != "test"


def _human(utterance: Utterance) -> Gold | None:
    return Gold(utterance.id, utterance.reference, "human", "reference") if utterance.reference else None


def _untested(utterance: Utterance) -> Gold:
    return Gold(utterance.id, None, "quarantined", "test_without_reference")


def _doubted(golds: Iterable[Gold], items: Mapping[str, Item], guards: GuardParams) -> Iterator[ReviewItem]:
    for gold in golds:
        if gold.source == "human" and gold.text is not None:
            item = items[gold.id]
            if why := doubt_reference(item.hypothesis.text, gold.text, guards):
                yield _review_item(item, f"far_from_heard: {why}", gold.text)


def _review_item(item: Item, why: str, proposal: str | None) -> ReviewItem:
    heard = item.hypothesis
    return ReviewItem(item.utterance.id, item.utterance.source, why, heard.confidence, heard.text, proposal)


def _urgency(waiting: ReviewItem, items: Mapping[str, Item]) -> tuple[bool, bool, float, str]:
    return items[waiting.id].utterance.split == "test", waiting.proposal is None, -waiting.confidence, waiting.id
