"""Base and tuned model side by side on the held-out test utterances, against human references only.

Puts the parts together: `slices` and `uncertainty` (numbers), `suites` and `verdict` (judgements), `advice` (words). What
`results` says of units and signs holds for all of them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attune.errors import DataError
from attune.params import EvaluateParams
from attune.records import Gold, Hypothesis, Score, Utterance
from attune.report.advice import advise
from attune.report.pairs import Pair, paired, row
from attune.report.results import FORMAT, AgreementResult, Confusion, Decoding, NormalizedScores, Results, UtteranceResult
from attune.report.slices import known, out_of_domain, overall, slices
from attune.report.suites import Suite, score_suites
from attune.report.terms import agreement, agreement_rows, glossary, hallucinations
from attune.report.uncertainty import uncertainty
from attune.report.verdict import verdict
from attune.scoring import Normalizer, confusions, count_errors, pool
from attune.text import NORMALIZER

_CONFUSIONS = 50


@dataclass(frozen=True)
class Material:
    """What is judged beside the texts, and by what."""

    utterances: Sequence[Utterance]
    golds: Mapping[str, Gold]
    """By utterance id."""
    terms: Sequence[str]
    suites: Sequence[Suite]
    normalizers: Sequence[Normalizer]
    decoding: Decoding
    out_of_domain: Sequence[Utterance] = ()
    """Recordings of another kind than the corpus, which must not be forgotten; no part of the test."""


@dataclass(frozen=True)
class Evaluation:
    """Everything that the evaluate stage writes."""

    results: Results
    utterances: tuple[UtteranceResult, ...]
    agreement: tuple[AgreementResult, ...]


def evaluate(
    material: Material,
    base: Mapping[str, Hypothesis],
    tuned: Mapping[str, Hypothesis],
    played: Sequence[tuple[str, str, str]],
    params: EvaluateParams,
) -> Evaluation:
    """Scores what both models heard, by utterance id, and what they wrote of sounds without speech (sound, base, tuned).

    Raises DataError where no test utterance has a reference with words, or where a model has no text for one; ParamsError for
    a slice column that no manifest has.
    """
    utterances = material.utterances
    pairs = paired(utterances, base, tuned)
    _require_words(utterances, pairs)
    whole, parts, sure = overall(pairs, params), slices(pairs, params), uncertainty(pairs, params)
    scored = score_suites(material.suites, pairs, utterances, params)
    kept = out_of_domain(paired(material.out_of_domain, base, tuned), params)
    judged = verdict(whole, parts, kept, sure, scored, pairs, params, trained=material.decoding.trained)
    beside_gold = agreement_rows(utterances, material.golds, base, tuned)
    results = Results(
        format=FORMAT,
        verdict=judged,
        overall=whole,
        slices=parts,
        forgetting=kept,
        uncertainty=sure,
        normalizers=tuple(_normalized(pairs, material.normalizers)),
        glossary=glossary(material.terms, pairs),
        hallucinations=hallucinations(played),
        agreement_with_gold=agreement(utterances, beside_gold),
        suites=scored,
        advice=advise(whole, parts, sure, judged, pairs, _corrected_hours(material), params.advice),
        confusions=_confusions(pairs),
        decoding=material.decoding,
        confidence=params.confidence,
        normalizer=NORMALIZER,
    )
    return Evaluation(results, tuple(row(pair, params.slices.columns) for pair in pairs), beside_gold)


def _require_words(utterances: Sequence[Utterance], pairs: Sequence[Pair]) -> None:
    if not any(pair.base.words.reference_length for pair in pairs):
        raise DataError(
            f"none of the {sum(u.split == 'test' for u in utterances)} test utterances has a reference with words in it, so "
            "nothing can be measured; write what is said in recordings of the test speakers beside them (x.wav and x.txt) in the "
            "raw folder, or name transcribed speakers in split_clean_noisy.test_speakers in params.yaml, then run: dvc repro"
        )


def _normalized(pairs: Sequence[Pair], normalizers: Sequence[Normalizer]) -> list[NormalizedScores]:
    base, tuned = pool(pair.base for pair in pairs), pool(pair.tuned for pair in pairs)
    rates = (known(counts.rate) for counts in (*base, *tuned))
    own = NormalizedScores("attune", NORMALIZER, True, *rates)
    return [own, *(_by(pairs, normalizer) for normalizer in normalizers)]


def _by(pairs: Sequence[Pair], normalizer: Normalizer) -> NormalizedScores:
    references = [normalizer.normalize(pair.base.reference) for pair in pairs]
    heard = [[normalizer.normalize(s.hypothesis) for s in scores] for scores in _both(pairs)]
    rates = (known(counts.rate) for texts in heard for counts in count_errors(references, texts))
    return NormalizedScores(normalizer.name, normalizer.version, False, *rates)


def _both(pairs: Sequence[Pair]) -> tuple[list[Score], list[Score]]:
    return [pair.base for pair in pairs], [pair.tuned for pair in pairs]


def _corrected_hours(material: Material) -> float:
    trainable = (u for u in material.utterances if u.split == "train")
    return sum(u.duration_s for u in trainable if (gold := material.golds.get(u.id)) and gold.text is not None) / 3600


def _confusions(pairs: Sequence[Pair]) -> tuple[Confusion, ...]:
    before, after = (Counter({(c.reference, c.hypothesis): c.count for c in confusions(scores)}) for scores in _both(pairs))
    ordered = sorted({*before, *after}, key=lambda pair: (-after[pair], -before[pair], pair))
    return tuple(Confusion(*pair, before[pair], after[pair]) for pair in ordered[:_CONFUSIONS])
