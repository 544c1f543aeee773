"""Where people speak in a recording, and where to cut a long one: in its pauses.

Speech is found by Silero VAD (https://github.com/snakers4/silero-vad), the model that faster-whisper carries.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from attune.dataset import SAMPLE_RATE_HZ, Samples

_PAUSE_MS = 300
_MARGIN_MS = 150
_LONGEST_GAP_S = 1.0
_SHORTEST_S = 1.0
_WINDOW_S = 300
_FRESH_S, _FRESH_STEP_S = 8, 6


@dataclass(frozen=True)
class Piece:
    """A part of a recording with speech in it; `start_s` counts from the recording's beginning."""

    start_s: float
    samples: Samples


def speech_share(samples: Samples) -> float:
    """The share of the time in which somebody speaks, 0 to 1."""
    return sum(end - start for start, end in _speech(samples, None)) / samples.size if samples.size else 0.0


def speech_span(samples: Samples) -> tuple[float, float] | None:
    """The seconds at which the first speech begins and the last one ends; None where nobody speaks."""
    spans = _speech(samples, None)
    return (spans[0][0] / SAMPLE_RATE_HZ, spans[-1][1] / SAMPLE_RATE_HZ) if spans else None


def cut_at_pauses(blocks: Iterable[Samples], longest_s: float) -> Iterator[Piece]:
    """The spoken parts of a 16 kHz recording that comes in blocks, each 1 s to `longest_s`, cut where nobody speaks.

    What is shorter takes some of the pause around it. Parts less than a second apart stay together as long as they fit. Speech
    that goes on for longer without a pause is cut where it is weakest. Memory is that of five minutes of sound.
    """
    position, kept, window = 0, np.zeros(0, np.float32), _WINDOW_S * SAMPLE_RATE_HZ
    for block in blocks:
        kept = np.concatenate([kept, block])
        while kept.size > window:
            spans = _joined(_any_speech(kept[:window], longest_s), longest_s) or [(window, window)]
            goes_on = spans.pop() if spans[-1][0] > 0 else (spans[-1][1], 0)  # the last may reach beyond what was looked at
            yield from _pieces(spans, kept, position)
            kept, position = kept[goes_on[0] :], position + goes_on[0]
    yield from _pieces(_joined(_any_speech(kept, longest_s), longest_s), kept, position)


def _pieces(spans: Sequence[tuple[int, int]], samples: Samples, position: int) -> Iterator[Piece]:
    least = round(_SHORTEST_S * SAMPLE_RATE_HZ)
    for place, (first, last) in enumerate(spans):
        earliest = spans[place - 1][1] if place else 0
        latest = spans[place + 1][0] if place + 1 < len(spans) else samples.size
        start = max(earliest, first - max(0, least - (last - first)) // 2)
        end = min(latest, max(last, start + least))
        start = max(earliest, min(start, end - least))
        yield Piece((position + start) / SAMPLE_RATE_HZ, samples[start:end].copy())


def _joined(spans: list[tuple[int, int]], longest_s: float) -> list[tuple[int, int]]:
    """Neighbours put together where the pause is short and both fit into one piece."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        near = joined and start - joined[-1][1] <= _LONGEST_GAP_S * SAMPLE_RATE_HZ
        if near and end - joined[-1][0] <= longest_s * SAMPLE_RATE_HZ:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _any_speech(samples: Samples, longest_s: float) -> list[tuple[int, int]]:
    """What is found in one go, and what is found besides with a fresh ear every few seconds.

    The model carries a memory that after some minutes of single words among noises no longer notices them.
    """
    spans = _speech(samples, longest_s)
    for begin in range(0, samples.size, _FRESH_STEP_S * SAMPLE_RATE_HZ):
        part = samples[begin : begin + _FRESH_S * SAMPLE_RATE_HZ]
        for start, end in _speech(part, longest_s):
            if not any(begin + start < known_end and known_start < begin + end for known_start, known_end in spans):
                spans.append((begin + start, begin + end))
    return sorted(spans)


def _speech(samples: Samples, longest_s: float | None) -> list[tuple[int, int]]:
    """First and last sample of each stretch of speech, with a margin on both sides."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        max_speech_duration_s=float("inf") if longest_s is None else longest_s,
        min_silence_duration_ms=_PAUSE_MS,
        speech_pad_ms=_MARGIN_MS,
    )
    return [(int(s["start"]), int(s["end"])) for s in get_speech_timestamps(samples, options)] if samples.size else []
