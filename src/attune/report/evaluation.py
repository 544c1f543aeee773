"""Base and tuned model side by side on the held-out test utterances, against human references only.

Gives the numbers, their intervals and the rows that the stage writes; what it means in words is `summary`'s part.
Rates are fractions, improvements are percentage points, and a positive improvement is a better tuned model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attune.errors import DataError
from attune.params import EvaluateParams
from attune.records import ErrorCounts, Score, Utterance
from attune.scoring import pool, score
from attune.significance import Interval, PairedDifference, bootstrap_interval, paired_difference


@dataclass(frozen=True)
class ModelResult:
    """One model on one slice of the test: pooled counts, and the intervals of their rates."""

    words: ErrorCounts
    characters: ErrorCounts
    wer: Interval
    cer: Interval
    error_samples: int
    """Utterances with at least one word wrong."""


@dataclass(frozen=True)
class SliceResult:
    """Both models on one slice: `overall`, `clean` or `noisy`."""

    condition: str
    utterances: int
    speakers: int
    base: ModelResult
    tuned: ModelResult
    wer_improvement: PairedDifference
    cer_improvement: PairedDifference

    @property
    def relative_improvement(self) -> float:
        """Share of the base model's WER that is gone; NaN where the base made no error."""
        return self.wer_improvement.point / self.base.words.rate if self.base.words.errors else float("nan")


@dataclass(frozen=True)
class SpeakerResult:
    """Pooled word counts of both models on one speaker."""

    speaker: str
    utterances: int
    base: ErrorCounts
    tuned: ErrorCounts


@dataclass(frozen=True)
class UtteranceResult:
    """One test utterance as a row to read: the texts as they were given, word errors after normalisation."""

    id: str
    speaker: str
    condition: str
    reference: str
    base: str
    tuned: str
    base_errors: int
    tuned_errors: int
    words: int


@dataclass(frozen=True)
class Evaluation:
    """Everything that the evaluate stage writes."""

    slices: tuple[SliceResult, ...]
    """Overall first, then the conditions that the test has."""
    speakers: tuple[SpeakerResult, ...]
    utterances: tuple[UtteranceResult, ...]
    params: EvaluateParams


def evaluate(
    utterances: Sequence[Utterance], base: Mapping[str, str], tuned: Mapping[str, str], params: EvaluateParams
) -> Evaluation:
    """Scores both models' texts, by utterance id, on the test utterances that have a reference.

    Raises DataError where there is no such utterance, or where a model has no text for one.
    """
    tested = [u for u in utterances if u.split == "test"]
    pairs = [_pair(u, u.reference, base, tuned) for u in tested if u.reference is not None]
    if not any(pair.base.words.reference_length for pair in pairs):
        raise DataError(
            f"none of the {len(tested)} test utterances has a reference with words in it, so nothing can be measured; write what "
            "is said in recordings of the test speakers beside them (x.wav and x.txt) in the raw folder, or name transcribed "
            "speakers in split_clean_noisy.test_speakers in params.yaml, then run: dvc repro"
        )
    slices = {"overall": pairs} | {c: [p for p in pairs if p.utterance.condition == c] for c in ("clean", "noisy")}
    return Evaluation(
        slices=tuple(_slice(name, members, params) for name, members in slices.items() if members),
        speakers=tuple(_speaker(name, pairs) for name in sorted({pair.utterance.speaker for pair in pairs})),
        utterances=tuple(_row(pair) for pair in pairs),
        params=params,
    )


@dataclass(frozen=True)
class _Pair:
    utterance: Utterance
    base: Score
    tuned: Score


def _pair(utterance: Utterance, reference: str, base: Mapping[str, str], tuned: Mapping[str, str]) -> _Pair:
    for name, texts in (("base", base), ("tuned", tuned)):
        if utterance.id not in texts:
            raise DataError(
                f"the {name} model has no text for test utterance {utterance.id} ({utterance.source}), so the two cannot be "
                "compared; transcribe the test again with: dvc repro --force evaluate"
            )
    scores = (score(utterance.id, reference, texts[utterance.id]) for texts in (base, tuned))
    return _Pair(utterance, *scores)


def _row(pair: _Pair) -> UtteranceResult:
    return UtteranceResult(
        id=pair.utterance.id,
        speaker=pair.utterance.speaker,
        condition=pair.utterance.condition,
        reference=pair.base.reference,
        base=pair.base.hypothesis,
        tuned=pair.tuned.hypothesis,
        base_errors=pair.base.words.errors,
        tuned_errors=pair.tuned.words.errors,
        words=pair.base.words.reference_length,
    )


def _slice(condition: str, pairs: Sequence[_Pair], params: EvaluateParams) -> SliceResult:
    base, tuned = [pair.base for pair in pairs], [pair.tuned for pair in pairs]
    return SliceResult(
        condition=condition,
        utterances=len(pairs),
        speakers=len({pair.utterance.speaker for pair in pairs}),
        base=_model(base, params),
        tuned=_model(tuned, params),
        wer_improvement=_difference([s.words for s in base], [s.words for s in tuned], params),
        cer_improvement=_difference([s.characters for s in base], [s.characters for s in tuned], params),
    )


def _model(scores: Sequence[Score], params: EvaluateParams) -> ModelResult:
    words, characters = pool(scores)
    return ModelResult(
        words=words,
        characters=characters,
        wer=_interval([s.words for s in scores], params),
        cer=_interval([s.characters for s in scores], params),
        error_samples=sum(s.words.errors > 0 for s in scores),
    )


def _interval(counts: Sequence[ErrorCounts], params: EvaluateParams) -> Interval:
    errors, lengths = [c.errors for c in counts], [c.reference_length for c in counts]
    return bootstrap_interval(errors, lengths, params.bootstrap_samples, params.confidence, params.seed)


def _difference(base: Sequence[ErrorCounts], tuned: Sequence[ErrorCounts], params: EvaluateParams) -> PairedDifference:
    base_errors, tuned_errors = [c.errors for c in base], [c.errors for c in tuned]
    lengths = [c.reference_length for c in base]
    return paired_difference(base_errors, tuned_errors, lengths, params.bootstrap_samples, params.confidence, params.seed)


def _speaker(name: str, pairs: Sequence[_Pair]) -> SpeakerResult:
    own = [pair for pair in pairs if pair.utterance.speaker == name]
    return SpeakerResult(name, len(own), pool(pair.base for pair in own)[0], pool(pair.tuned for pair in own)[0])
