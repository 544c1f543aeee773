"""A test utterance with both models' texts, scored against its reference: what slices, verdict and advice are made from."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from attune.errors import DataError
from attune.records import ErrorCounts, Hypothesis, Score, Utterance
from attune.report.results import Outcome, UtteranceResult
from attune.scoring import score
from attune.significance import PairedCounts
from attune.slicing import column_of


@dataclass(frozen=True)
class Pair:
    """One test utterance, scored twice."""

    utterance: Utterance
    base: Score
    tuned: Score
    base_confidence: float
    tuned_confidence: float

    @property
    def outcome(self) -> Outcome:
        """What fine-tuning did to it."""
        saved = self.base.words.errors - self.tuned.words.errors
        return "better" if saved > 0 else "worse" if saved < 0 else "same"


def paired(utterances: Iterable[Utterance], base: Mapping[str, Hypothesis], tuned: Mapping[str, Hypothesis]) -> list[Pair]:
    """Every test utterance that has a reference. Raises DataError where a model has no text for one."""
    tested = (u for u in utterances if u.split == "test")
    return [_pair(u, u.reference, base, tuned) for u in tested if u.reference is not None]


def counts(pairs: Sequence[Pair], tokens: Callable[[Score], ErrorCounts]) -> PairedCounts:
    """Errors and lengths by utterance; `tokens` says which."""
    both = [(tokens(pair.base), tokens(pair.tuned)) for pair in pairs]
    return PairedCounts([b.errors for b, _ in both], [t.errors for _, t in both], [b.reference_length for b, _ in both])


def words(scored: Score) -> ErrorCounts:
    """Its word errors."""
    return scored.words


def characters(scored: Score) -> ErrorCounts:
    """Its character errors."""
    return scored.characters


def row(pair: Pair, columns: Sequence[str]) -> UtteranceResult:
    """As it stands in utterances.jsonl, with what it has of `columns` of its list."""
    utterance = pair.utterance
    return UtteranceResult(
        id=utterance.id,
        source=utterance.source,
        speaker=utterance.speaker,
        condition=utterance.condition,
        duration_s=utterance.duration_s,
        snr_db=utterance.snr_db,
        words=pair.base.words.reference_length,
        reference=pair.base.reference,
        base=pair.base.hypothesis,
        tuned=pair.tuned.hypothesis,
        base_errors=pair.base.words.errors,
        tuned_errors=pair.tuned.words.errors,
        outcome=pair.outcome,
        base_confidence=round(pair.base_confidence, 6),
        tuned_confidence=round(pair.tuned_confidence, 6),
        columns={column: value for column in columns if (value := column_of(utterance, column)) is not None},
    )


def _pair(utterance: Utterance, reference: str, base: Mapping[str, Hypothesis], tuned: Mapping[str, Hypothesis]) -> Pair:
    for name, heard in (("base", base), ("tuned", tuned)):
        if utterance.id not in heard:
            raise DataError(
                f"the {name} model has no text for test utterance {utterance.id} ({utterance.source}), so the two cannot be "
                "compared; transcribe the test again with: dvc repro --force evaluate"
            )
    one, other = base[utterance.id], tuned[utterance.id]
    first, second = (score(utterance.id, reference, text) for text in (one.text, other.text))
    return Pair(utterance, first, second, one.confidence, other.confidence)
