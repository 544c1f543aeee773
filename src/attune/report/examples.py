"""Which test utterances a page shows, and their sound, small enough to travel inside it."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import soundfile

from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.errors import DataError
from attune.report.results import UtteranceResult

SHOWN = 10
"""Utterances in each list."""
SOUND_BYTES = 3_500_000
"""What all the sound of a page may take as base64, so that the page stays below 5 MB."""
_LONGEST_S = 20.0


class Recordings(Protocol):
    """Samples by utterance id, 16 kHz mono."""

    def __getitem__(self, utterance_id: str, /) -> Samples: ...


@dataclass(frozen=True)
class ExampleList:
    """Utterances under a heading."""

    title: str
    about: str
    rows: tuple[UtteranceResult, ...]


@dataclass(frozen=True)
class Clip:
    """Sound for a page."""

    uri: str
    """MP3 as a data URI."""
    cut_at_s: float | None
    """How much of it there is, where it is not whole."""


def example_lists(rows: Sequence[UtteranceResult]) -> tuple[ExampleList, ...]:
    """First, most improved, most worsened: at most ten each, ties in the order of the corpus."""
    better = sorted((r for r in rows if r.outcome == "better"), key=lambda r: r.tuned_errors - r.base_errors)
    worse = sorted((r for r in rows if r.outcome == "worse"), key=lambda r: r.base_errors - r.tuned_errors)
    return (
        ExampleList("The first ten", "In the order of the corpus, so nobody picked them.", tuple(rows[:SHOWN])),
        ExampleList("Most improved", "Where the tuned model makes the most errors fewer.", tuple(better[:SHOWN])),
        ExampleList("Most worsened", "Where the tuned model makes the most errors more.", tuple(worse[:SHOWN])),
    )


def clips(ids: Iterable[str], recordings: Recordings, budget: int = SOUND_BYTES) -> dict[str, Clip]:
    """Sound by utterance id, in their order, until `budget` bytes are used; what does not fit or is not there is left out."""
    found: dict[str, Clip] = {}
    for name in dict.fromkeys(ids):
        clip = _clip(name, recordings)
        if clip is not None and len(clip.uri) <= budget:
            budget -= len(clip.uri)
            found[name] = clip
    return found


def _clip(name: str, recordings: Recordings) -> Clip | None:
    try:
        samples = recordings[name]
    except DataError:
        return None
    kept = samples[: int(_LONGEST_S * SAMPLE_RATE_HZ)]
    return Clip(_mp3(kept), _LONGEST_S if len(kept) < len(samples) else None)


def _mp3(samples: Samples) -> str:
    """About 3 kB a second. Every browser plays it, and unlike Ogg, whose serial number is drawn, its bytes repeat."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE_HZ, format="MP3", compression_level=0.7)
    return f"data:audio/mpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
