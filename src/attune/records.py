"""What flows from stage to stage: one frozen record per door, and the error counts that scores are pooled from.

`reference` is a human's text, `gold` is what training may believe. They are never swapped; a score against gold
is called agreement.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Split = Literal["train", "validation", "test"]
Condition = Literal["clean", "noisy"]
GoldSource = Literal["human", "llm", "second_opinion", "unchanged", "quarantined"]
SelectionRole = Literal["error", "replay", "validation"]


@dataclass(frozen=True)
class Utterance:
    """One usable recording: 16 kHz mono, in a shard under its `id`."""

    id: str
    """First 16 hex digits of `audio_digest`: changed audio is another utterance."""
    audio_digest: str
    """SHA-256 of the 16 kHz mono 16-bit samples."""
    source: str
    """Path below the raw folder, with forward slashes."""
    speaker: str
    condition: Condition
    split: Split
    duration_s: float
    snr_db: float | None
    reference: str | None
    """A human's text, written as params ask for; None where nobody wrote one that is believed."""
    transcript: str | None = None
    """The same as it was given."""
    session: str | None = None
    """What was recorded in one go, as a list says."""
    start_s: float | None = None
    end_s: float | None = None
    """Which piece of its source it is; both None for the whole."""
    speech_share: float | None = None
    """Share of the time in which somebody speaks, 0 to 1; None where it was not measured."""
    level_dbfs: float | None = None
    """RMS of the loudest 50 ms, in dB of full scale."""
    clipped_share: float | None = None
    """Share of the samples that stand at full scale."""
    dc_offset: float | None = None
    """Mean of the samples, full scale being 1."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What a list says of it beyond that, by the list's column names."""


@dataclass(frozen=True)
class Rejection:
    """Something of the raw folder that did not become an utterance."""

    source: str
    reason: str
    """A short fixed word such as `empty_file`, to count by."""
    detail: str
    """A sentence with the value seen."""


@dataclass(frozen=True)
class Word:
    """A recognised word with the recogniser's confidence in 0–1 and, where the engine tells, its times."""

    text: str
    confidence: float
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class Alternative:
    """One entry of an n-best list; `score` is the engine's log-probability, comparable within one list only."""

    text: str
    score: float


@dataclass(frozen=True)
class Hypothesis:
    """What a recogniser heard in one utterance."""

    id: str
    text: str
    confidence: float
    """Geometric mean of the token probabilities, 0–1."""
    words: tuple[Word, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    """N-best, best first; holds `text` too."""
    no_speech: float | None = None
    """How probable it is to the recogniser that nobody speaks, 0–1; None where it does not tell."""
    compression_ratio: float | None = None
    """How many times smaller zlib makes `text`; above 2.4 it says the same again and again. None for an empty one."""
    probability: float | None = None
    """That every word of `text` is right, calibrated on the validation side; None where that could not be learnt."""
    language: str | None = None
    """That was detected, as the recogniser's code for it: en, es, ...; None where nobody had to ask."""
    temperature: float = 0.0
    """Above 0 where the text was sampled, as the greedy one was doubtful; see `model.safeguards` in params.yaml."""


@dataclass(frozen=True)
class Edit:
    """A stretch of what was heard that gold has otherwise, in normalised words (characters where no spaces are written); either
    text may be empty."""

    at: int
    """How many words of what was heard stand before it."""
    heard: str
    gold: str


@dataclass(frozen=True)
class Gold:
    """The text that training may believe, or why there is none."""

    id: str
    text: str | None
    """None exactly when `source` is `quarantined`."""
    source: GoldSource
    why: str
    proposal: str | None = None
    """What was proposed and not believed."""
    model: str | None = None
    """Who proposed the text; None where a person wrote it, or nobody was asked."""
    guards: tuple[str, ...] = ()
    """Those that let it pass."""
    edits: tuple[Edit, ...] = ()
    """What it changes in the words that were heard."""


@dataclass(frozen=True)
class Selection:
    """One utterance chosen for training or validation, with the text to learn."""

    id: str
    split: Split
    role: SelectionRole
    text: str
    source: GoldSource
    error_rate: float
    """Word errors of the hypothesis against `text`, per word of `text`."""


@dataclass(frozen=True)
class ErrorCounts:
    """Edit operations of an alignment and the reference's length. `+` pools counts, so rates are never averaged."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference_length: int = 0

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference_length + other.reference_length,
        )

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference token; NaN when there is no reference token at all."""
        return self.errors / self.reference_length if self.reference_length else float("nan")


@dataclass(frozen=True)
class Score:
    """One utterance scored against its reference: word and character counts of the same pair of texts."""

    id: str
    reference: str
    hypothesis: str
    words: ErrorCounts
    characters: ErrorCounts
