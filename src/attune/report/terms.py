"""Domain terms, words where nobody speaks, and agreement with gold: what is told beside the scores, each by its own name."""

from collections.abc import Mapping, Sequence

from attune.records import Gold, Hypothesis, Utterance
from attune.report.pairs import Pair
from attune.report.results import Agreement, AgreementResult, Glossary, Hallucination, Term
from attune.scoring import kept_terms, score
from attune.text import normalize

_EXAMPLES = 3


def glossary(terms: Sequence[str], pairs: Sequence[Pair]) -> Glossary:
    """How many of the terms that were said each model has right, all words of a term in their place."""
    spoken = [(f" {normalize(pair.base.reference)} ", pair) for pair in pairs]
    normalized = dict.fromkeys(text for term in terms if (text := normalize(term)))
    counted = [_term(term, [pair for text, pair in spoken if f" {term} " in text]) for term in normalized]
    said = sorted((term for term in counted if term.said), key=lambda t: (t.tuned - t.said, t.term))
    total = sum(term.said for term in said)
    return Glossary(
        said=total,
        base_recall=sum(term.base for term in said) / total if total else None,
        tuned_recall=sum(term.tuned for term in said) / total if total else None,
        terms=tuple(said),
        never_said=len(counted) - len(said),
    )


def _term(term: str, pairs: Sequence[Pair]) -> Term:
    """`term` is normalised, and stands in the references of all `pairs`."""
    base = [kept_terms(term, pair.base.reference, pair.base.hypothesis) for pair in pairs]
    tuned = [kept_terms(term, pair.tuned.reference, pair.tuned.hypothesis) for pair in pairs]
    return Term(term, sum(said for said, _ in base), sum(kept for _, kept in base), sum(kept for _, kept in tuned))


def hallucinations(played: Sequence[tuple[str, str, str]]) -> tuple[Hallucination, ...]:
    """Of (sound, base text, tuned text) without speech, the share in which each model wrote words, by sound."""
    found = []
    for sound in dict.fromkeys(name for name, _, _ in played):
        texts = [(base, tuned) for name, base, tuned in played if name == sound]
        written = [tuned for _, tuned in texts if normalize(tuned)]
        base = sum(bool(normalize(text)) for text, _ in texts)
        found.append(Hallucination(sound, len(texts), base / len(texts), len(written) / len(texts), tuple(written[:_EXAMPLES])))
    return tuple(found)


def agreement_rows(
    utterances: Sequence[Utterance], golds: Mapping[str, Gold], base: Mapping[str, Hypothesis], tuned: Mapping[str, Hypothesis]
) -> tuple[AgreementResult, ...]:
    """Test utterances that nobody transcribed and that have gold: both models beside it. Never a score."""
    rows = []
    for utterance in utterances:
        gold = golds.get(utterance.id)
        if utterance.split == "test" and utterance.reference is None and gold and gold.text is not None:
            texts = base[utterance.id].text, tuned[utterance.id].text
            one, other = (score(utterance.id, gold.text, text).words for text in texts)
            edits = one.errors, other.errors, one.reference_length
            rows.append(AgreementResult(utterance.id, utterance.source, gold.text, gold.source, *texts, *edits))
    return tuple(rows)


def agreement(utterances: Sequence[Utterance], rows: Sequence[AgreementResult]) -> Agreement | None:
    """The same in figures; None where every test utterance has a reference."""
    unwritten = sum(u.split == "test" and u.reference is None for u in utterances)
    if not unwritten:
        return None
    words = sum(row.gold_words for row in rows)
    return Agreement(
        utterances=unwritten,
        with_gold=len(rows),
        base_disagreement=sum(row.base_edits for row in rows) / words if words else None,
        tuned_disagreement=sum(row.tuned_edits for row in rows) / words if words else None,
        base_same_text_share=sum(not row.base_edits for row in rows) / len(rows) if rows else None,
        tuned_same_text_share=sum(not row.tuned_edits for row in rows) / len(rows) if rows else None,
    )
