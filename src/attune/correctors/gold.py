"""Puts gold together: human text first, then what a corrector proposes and the guards let pass; the rest is quarantined.

Which corrector it is makes no difference here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from attune.corrections import Correction
from attune.correctors.agreement_check import AgreementCheck, check_agreement
from attune.correctors.blind_check import BlindCheck, GateCheck, blind_sample, check_blind, check_gate
from attune.correctors.judging import Judge
from attune.correctors.protocol import Corrector, Item
from attune.errors import DataError, GoldError
from attune.guards import doubt_reference
from attune.params import GuardParams
from attune.records import Gold, Hypothesis, Utterance
from attune.text import normalize

Gate = Callable[[Sequence[Item]], set[str]]
"""The ids of the items that are as good as certain, so that no corrector need be asked."""


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
    """Utterances of the train split."""
    believed: int
    """Those of them that have gold."""
    void_corrections: tuple[Correction, ...]
    """Of utterances that are no more: their sound changed, or was removed."""
    blind_check: BlindCheck | None
    """None where nothing was asked of the corrector, or no utterance is in the blind sample."""
    settled: int
    """Utterances that the gate let pass without asking the corrector."""
    unanswered: int
    """Utterances that were asked about in vain, and would be asked about again."""
    gate_check: GateCheck | None
    """What the gate would have done to the blind sample."""
    test_agreement: AgreementCheck | None
    """Between the baseline and the corrector where the test split has no reference; None where nothing was asked there."""


def make_gold(
    utterances: Sequence[Utterance],
    hypotheses: Sequence[Hypothesis],
    corrector: Corrector,
    judge: Judge,
    guards: GuardParams,
    corrections: Mapping[str, Correction],
    gate: Gate | None = None,
    *,
    test_agreement: bool = False,
) -> GoldReport:
    """One Gold for each utterance. A person's verdict wins over a reference, that over a corrector, which is asked about
    the train split: models validate and are tested on people's texts alone. With `test_agreement` it is asked about test
    utterances that nobody transcribed, too: that tells agreement, never accuracy.

    Raises GoldError where nobody transcribed a training recording and the corrector has no belief of its own, DataError
    where an utterance was not transcribed by the baseline.
    """
    items = _pair(utterances, hypotheses)
    by_people = {u.id: gold for u in utterances if (gold := _human(u, corrections.get(u.id), judge))}
    asked = [items[u.id] for u in utterances if u.split == "train" and u.id not in by_people]
    unheard = [items[u.id] for u in utterances if u.split == "test" and u.id not in by_people] if asked and test_agreement else []
    blind = [items[u.id] for u in blind_sample(utterances)] if asked else []
    certain = gate([*asked, *blind]) if gate and asked else set[str]()
    settled = {item.utterance.id for item in (*asked, *blind) if normalize(item.hypothesis.text)} & certain
    open_items = [item for item in asked if item.utterance.id not in settled]
    questions = [*open_items, *blind, *unheard]
    proposals = {proposal.id: proposal for proposal in corrector.propose(questions)} if asked else {}
    answers = judge.judge(questions, proposals, corrector)
    answers |= {item.utterance.id: _settled(item, judge) for item in asked if item.utterance.id in settled}
    golds = tuple(by_people.get(u.id) or answers.get(u.id) or _unasked(u) for u in utterances)
    wanted = [gold for utterance, gold in zip(utterances, golds, strict=True) if utterance.split == "train"]
    quarantined = [
        _review_item(items[g.id], g.why, g.proposal) for g in golds if g.source == "quarantined" and g.why != _DISCARDED
    ]
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
        void_corrections=tuple(each for each in corrections.values() if each.id not in items),
        blind_check=check_blind(blind, answers) if blind else None,
        settled=len(asked) - len(open_items),
        unanswered=sum(not proposal.lasting for proposal in proposals.values()),
        gate_check=check_gate(blind, settled, answers) if gate and blind else None,
        test_agreement=check_agreement(unheard, answers) if unheard else None,
    )


def needs_corrector(utterances: Iterable[Utterance], corrections: Mapping[str, Correction]) -> bool:
    """Whether there is a recording of the train split that nobody transcribed or judged."""
    return any(u.split == "train" and not u.reference and u.id not in corrections for u in utterances)


def metrics(report: GoldReport) -> dict[str, Any]:
    """The figures for `metrics/llm_gold.json`, but for what asking cost."""
    quarantined = Counter(reason(gold) for gold in report.golds if gold.source == "quarantined")
    return {
        "utterances": len(report.golds),
        "share_with_gold": report.believed / report.wanted if report.wanted else None,
        "sources": dict(sorted(Counter(gold.source for gold in report.golds).items())),
        "corrected_by_people": sum(gold.why in _VERDICTS for gold in report.golds),
        "void_corrections": len(report.void_corrections),
        "quarantined": dict(sorted(quarantined.items())),
        "doubted_references": report.doubted_references,
        "settled_without_asking": report.settled,
        "blind_check": asdict(report.blind_check) if report.blind_check else None,
        "gate_check": asdict(report.gate_check) if report.gate_check else None,
        "test_agreement": asdict(report.test_agreement) if report.test_agreement else None,
    }


def reason(gold: Gold) -> str:
    """The short fixed word that `gold.why` starts with."""
    return gold.why.partition(":")[0]


_DISCARDED = "discarded"
_VERDICTS = ("edited", "confirmed", _DISCARDED)


def _pair(utterances: Sequence[Utterance], hypotheses: Sequence[Hypothesis]) -> dict[str, Item]:
    heard = {hypothesis.id: hypothesis for hypothesis in hypotheses}
    missing = [utterance.id for utterance in utterances if utterance.id not in heard]
    if missing:
        raise DataError(
            f"the baseline has no hypothesis for {len(missing)} of {len(utterances)} utterances, {missing[0]} among them; "
            "run: dvc repro stt_baseline"
        )
    return {utterance.id: Item(utterance, heard[utterance.id]) for utterance in utterances}


def _human(utterance: Utterance, correction: Correction | None, judge: Judge) -> Gold | None:
    if correction is not None and correction.text is None:
        return Gold(utterance.id, None, "quarantined", _DISCARDED)
    if correction is not None and correction.text is not None:
        return Gold(utterance.id, judge.written(correction.text), "human", correction.verdict)
    return Gold(utterance.id, utterance.reference, "human", "reference") if utterance.reference else None


def _settled(item: Item, judge: Judge) -> Gold:
    return Gold(item.utterance.id, judge.written(item.hypothesis.text), "unchanged", "recognizers_agree")


def _unasked(utterance: Utterance) -> Gold:
    """Only people's texts validate and test."""
    return Gold(utterance.id, None, "quarantined", f"{utterance.split}_without_reference")


def _doubted(golds: Iterable[Gold], items: Mapping[str, Item], guards: GuardParams) -> Iterator[ReviewItem]:
    """Transcripts that came with a recording and are far from it; who corrected one listened to it."""
    for gold in golds:
        if gold.why == "reference" and gold.text is not None:
            item = items[gold.id]
            if why := doubt_reference(item.hypothesis.text, gold.text, guards):
                yield _review_item(item, f"far_from_heard: {why}", gold.text)


def _review_item(item: Item, why: str, proposal: str | None) -> ReviewItem:
    heard = item.hypothesis
    return ReviewItem(item.utterance.id, item.utterance.source, why, heard.confidence, heard.text, proposal)


def _urgency(waiting: ReviewItem, items: Mapping[str, Item]) -> tuple[bool, bool, float, str]:
    return items[waiting.id].utterance.split == "test", waiting.proposal is None, -waiting.confidence, waiting.id
