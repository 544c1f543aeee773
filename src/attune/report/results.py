"""What an evaluation found, as it stands in `metrics/evaluation_results.json`: the form that every table and page reads.

Rates are fractions, differences percentage points in which positive is a better tuned model, times seconds or hours. None is
what cannot be told: the rate of no words, the bounds of fewer than two units. docs/evaluation.md tells the file key by key.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from attune.errors import DataError
from attune.files import build, write_json
from attune.records import Condition

FORMAT = "attune-evaluation-3"
"""Of the file; another form gets another number."""
Unit = Literal["speakers", "utterances"]
Outcome = Literal["better", "worse", "same"]


@dataclass(frozen=True)
class ModelScores:
    """One model on one slice, by the project's own normaliser; bounds are those of the slice's `unit`."""

    wer: float | None
    wer_low: float | None
    wer_high: float | None
    cer: float | None
    cer_low: float | None
    cer_high: float | None
    substitutions: int
    deletions: int
    insertions: int
    error_samples: int
    """Utterances with at least one word wrong."""


@dataclass(frozen=True)
class Difference:
    """How many percentage points lower the tuned rate is, and how sure that is."""

    points: float | None
    low: float | None
    high: float | None
    probability_better: float | None
    """Share of the resamples in which tuned made fewer errors; ties count half."""

    @property
    def certain(self) -> bool:
        """Whether the interval leaves zero out, on either side."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def none(self) -> bool:
        """Whether both make as many errors in every unit."""
        return self.low == self.high == self.points == 0


@dataclass(frozen=True)
class SliceScores:
    """Both models on the same utterances."""

    dimension: str
    """overall, condition, snr_db, duration_s, speaker, source (the top folder below raw), a column of a manifest, or
    out_of_domain for what must not be forgotten."""
    value: str
    """all for overall; clean; 5 to 10 dB; a speaker's name; ..."""
    utterances: int
    speakers: int
    words: int
    hours: float
    unit: Unit
    """What was resampled for the bounds below."""
    base: ModelScores
    tuned: ModelScores
    wer_improvement: Difference
    cer_improvement: Difference
    relative_improvement: float | None
    """Share of the base model's WER that is gone; None where the base made no error."""


@dataclass(frozen=True)
class Resampled:
    """Bootstrap of the whole test over one kind of unit."""

    unit: Unit
    units: int
    base_wer_low: float | None
    base_wer_high: float | None
    tuned_wer_low: float | None
    tuned_wer_high: float | None
    wer_improvement: Difference
    p_value: float | None
    """Two-sided, of the difference: twice the smaller share of resamples on one side of zero."""


@dataclass(frozen=True)
class MatchedPairs:
    """Matched pairs sentence-segment word error test (MAPSSWE)."""

    segments: int
    """Stretches in which either model erred, parted by two or more words that both have right."""
    mean_difference: float | None
    """Base errors minus tuned errors of a segment."""
    z: float | None
    p_value: float | None


@dataclass(frozen=True)
class Uncertainty:
    """How sure the difference on the whole test is."""

    unit: Unit
    """The one that decides, here and in the verdict: `evaluate.resample`."""
    confidence: float
    bootstrap_samples: int
    speakers: Resampled
    utterances: Resampled
    mapsswe: MatchedPairs
    minimum_detectable_points: float | None
    """The smallest true difference that a test like this finds four times in five; None where the models never differ."""
    utterances_needed: int | None
    """About so many would find `evaluate.smallest_difference_points`; None where that is unknown."""
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class NormalizedScores:
    """The whole test by one normaliser."""

    name: str
    """attune, raw, whisper_basic or whisper_english."""
    version: str
    decides: bool
    base_wer: float | None
    base_cer: float | None
    tuned_wer: float | None
    tuned_cer: float | None


@dataclass(frozen=True)
class Term:
    """A term of the glossary: how often it was said, and how often each model has all its words there."""

    term: str
    said: int
    base: int
    tuned: int


@dataclass(frozen=True)
class Glossary:
    """Recall of domain terms, pooled over all that were said."""

    said: int
    base_recall: float | None
    tuned_recall: float | None
    terms: tuple[Term, ...]
    """Only those that were said, most missed by the tuned model first."""
    never_said: int
    """How many terms of the glossary the test does not hold."""


@dataclass(frozen=True)
class Hallucination:
    """Words where nobody speaks."""

    sound: str
    """silence, noise (made here, the same each time) or recordings (test ones in which there is no speech)."""
    clips: int
    base_share: float
    tuned_share: float
    examples: tuple[str, ...]
    """What the tuned model wrote, the first few."""


@dataclass(frozen=True)
class Agreement:
    """How far the models agree with gold where nobody wrote a reference. Never accuracy: gold may err as they do."""

    utterances: int
    with_gold: int
    base_disagreement: float | None
    tuned_disagreement: float | None
    """Word edits between model and gold, per word of gold; pooled."""
    base_same_text_share: float | None
    tuned_same_text_share: float | None


@dataclass(frozen=True)
class FailedSample:
    """An utterance that the tuned model hears worse than the base model."""

    id: str
    source: str
    base_errors: int
    tuned_errors: int
    reference: str
    base: str
    tuned: str


@dataclass(frozen=True)
class Verdict:
    """Whether the tuned model may take the base model's place, by `evaluate.validation`."""

    passed: bool
    failure_reason: str | None
    """The first reasons in one line, None where it passed; `failures` has all."""
    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    """What came near: worse than allowed, but perhaps by chance."""
    sentence: str
    """The verdict for a person, in one sentence."""
    failed_samples: tuple[FailedSample, ...]
    """Worst first."""


@dataclass(frozen=True)
class SuiteScores:
    """One file of suites/ on the tuned model, against its baseline."""

    name: str
    kind: Literal["benchmark", "critical", "edge_cases"]
    version: str
    """Of the baseline scores; base model where the file has none."""
    utterances: int
    missing: tuple[str, ...]
    """What the file names and the test has not, each with the reason."""
    baseline_wer: float | None
    baseline_cer: float | None
    wer: float | None
    cer: float | None
    degradation: float | None
    """By what share WER is above its baseline; negative is better; None where there is nothing to compare, or from none."""
    degraded: bool
    """By more than `evaluate.suites.critical_degradation_threshold`, in WER or in a CER that the file gives; what was faultless
    and errs is, too."""
    failed: bool
    """Degraded, and critical."""
    worst: tuple[str, ...]
    """Ids with the most errors, at most ten."""


@dataclass(frozen=True)
class Advice:
    """One thing to do or to leave, and why."""

    about: Literal["worth", "deploy", "collect", "slice", "words", "test"]
    text: str
    """Plain sentences with the numbers behind them."""


@dataclass(frozen=True)
class Confusion:
    """A word that was said and the one that was heard for it; how often, by each model."""

    reference: str
    hypothesis: str
    base: int
    tuned: int


@dataclass(frozen=True)
class Decoding:
    """How both models were heard: the same for both."""

    base: str
    """Name of the model; `tuned` is the folder of the other one."""
    tuned: str
    trained: bool
    method: str
    engine: str
    compute_type: str
    language: str | None
    task: str
    long_audio: str
    temperatures: tuple[float, ...]


@dataclass(frozen=True)
class Results:
    """Everything."""

    format: str
    verdict: Verdict
    overall: SliceScores
    slices: tuple[SliceScores, ...]
    """Without overall; in the order of dimensions, then of values."""
    forgetting: SliceScores | None
    """On the recordings of train.forgetting.set, which are no part of the test; None where there are none."""
    uncertainty: Uncertainty
    normalizers: tuple[NormalizedScores, ...]
    glossary: Glossary
    hallucinations: tuple[Hallucination, ...]
    agreement_with_gold: Agreement | None
    suites: tuple[SuiteScores, ...]
    advice: tuple[Advice, ...]
    confusions: tuple[Confusion, ...]
    """Commonest of the tuned model first, at most fifty."""
    decoding: Decoding
    confidence: float
    normalizer: str

    @property
    def hallucination_share(self) -> float | None:
        """Of all clips without speech, those in which the tuned model wrote words."""
        clips = sum(each.clips for each in self.hallucinations)
        return sum(each.tuned_share * each.clips for each in self.hallucinations) / clips if clips else None


@dataclass(frozen=True)
class UtteranceResult:
    """One test utterance as a row of metrics/evaluation/utterances.jsonl: texts as given, errors after normalisation."""

    id: str
    source: str
    speaker: str
    condition: Condition
    duration_s: float
    snr_db: float | None
    words: int
    reference: str
    base: str
    tuned: str
    base_errors: int
    tuned_errors: int
    outcome: Outcome
    base_confidence: float
    tuned_confidence: float
    columns: Mapping[str, str] = field(default_factory=dict)
    """What its list says in the columns of `evaluate.slices.columns`."""


@dataclass(frozen=True)
class AgreementResult:
    """One test utterance without a reference, as a row of metrics/evaluation/agreement.jsonl."""

    id: str
    source: str
    gold: str
    gold_source: str
    base: str
    tuned: str
    base_edits: int
    tuned_edits: int
    gold_words: int


def write_results(path: Path, results: Results) -> None:
    """Indented JSON."""
    write_json(path, asdict(results))


def read_results(path: Path) -> Results:
    """What `write_results` wrote. Raises DataError where it is missing, damaged, or of another version of Attune."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; make it with: dvc repro evaluate") from error
    return parse_results(text, str(path))


def parse_results(text: str, where: str) -> Results:
    """The same from text, as `git show REV:FILE` gives it; `where` is named in errors."""
    remedy = "make it anew with: dvc repro --force evaluate"
    try:
        content: Any = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where} is no evaluation's JSON ({error}); {remedy}") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise DataError(f"{where} has format {found!r}, and this version of Attune reads {FORMAT!r}; {remedy}")
    try:
        return build(Results, content)
    except (TypeError, KeyError) as error:
        raise DataError(f"{where} is not a whole evaluation ({error}); {remedy}") from error
