"""Detectors that cost next to nothing, to measure a model against: Silero's VAD, and one that knows loudness alone."""

from collections.abc import Sequence

import numpy as np

from attune.dataset import SAMPLE_RATE_HZ, Samples

SILERO_THRESHOLD = 0.5
"""Silero's own."""
_SILERO_FRAME = 512
_SILERO_FRAMES = 3
"""About 100 ms: one frame by itself may be a click."""
_FRAME_S = 0.02
_FLOOR, _LOUD = 10, 95
"""Percentiles of a clip's frames: what it has as noise, and as content."""


def silero(samples: Samples) -> float:
    """The highest probability of speech over 100 ms, 0 to 1 (Silero VAD, as faster-whisper carries it)."""
    from faster_whisper.vad import get_vad_model

    padded = np.pad(samples, (0, -samples.size % _SILERO_FRAME))
    said = np.asarray(get_vad_model()(padded), dtype=np.float64).reshape(-1)
    if said.size < _SILERO_FRAMES:
        return float(said.mean()) if said.size else 0.0
    return float(np.convolve(said, np.full(_SILERO_FRAMES, 1 / _SILERO_FRAMES), "valid").max())


def energy(samples: Samples) -> float:
    """How far the loud frames of a clip stand above its quiet ones, in dB."""
    frame = round(_FRAME_S * SAMPLE_RATE_HZ)
    frames = samples[: samples.size // frame * frame].reshape(-1, frame)
    if not len(frames):
        return 0.0
    powers_db = 10 * np.log10(np.mean(np.square(frames, dtype=np.float64), axis=1) + 1e-10)
    low, high = np.percentile(powers_db, [_FLOOR, _LOUD])
    return float(high - low)


def best_threshold(said: Sequence[float], speech: Sequence[bool]) -> float:
    """From which score on to say SPEECH, so that balanced accuracy is highest on these clips; both classes must be among them."""
    values, truth = np.asarray(said, dtype=np.float64), np.asarray(speech, dtype=bool)
    edges = np.unique(values)
    candidates = np.concatenate([edges, [edges[-1] + 1.0]])
    hits = [(values[truth] >= edge).mean() + (values[~truth] < edge).mean() for edge in candidates]
    return float(candidates[int(np.argmax(hits))])
