"""What every recogniser can do, whatever is underneath."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from attune.checkpoint_parts import Family
from attune.dataset import Samples
from attune.records import Alternative, Word


@dataclass(frozen=True)
class Transcript:
    """What was heard in one clip; the fields mean the same as in `records.Hypothesis`."""

    text: str
    confidence: float
    words: tuple[Word, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    no_speech: float | None = None
    language: str | None = None
    temperature: float = 0.0


class Recognizer(Protocol):
    """A loaded speech-to-text model."""

    name: str
    """As the user named it: a folder or a hub name."""
    family: Family
    digest: str
    """Changes whenever the weights, the tokenizer or the decoding settings do; keys the work cache."""
    window_s: float | None
    """Clips are filled up to a multiple of so many seconds; None: to the longest of their batch."""
    workers: int
    """How many batches it can hear at the same time."""

    def transcribe(self, clips: Sequence[Samples], nbest: int = 1, *, word_times: bool = False) -> list[Transcript]:
        """Transcripts of 16 kHz mono clips, in their order. Clips longer than the model's window are cut at quiet places.

        Words carry times where `word_times` asks for them, or where they cost nothing.
        """
        ...
