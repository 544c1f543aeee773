"""Short clips of one speaker put together into windows: fewer of them, each nearly full, as Whisper was trained.

The clips of a window are said one after the other with silence between. Which clips meet is decided once, by their ids and
the seed, so that each is heard exactly once a pass and an interrupted run finds the same windows again.
"""

import hashlib
import zlib
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.finetuning.families import Example, SoundSource, WhisperFamily
from attune.finetuning.prompts import Segment, joined

_GAP_S = (0.2, 0.8)
"""Bounds of the silence before a clip that is not the first."""


@dataclass(frozen=True)
class Window(Example):
    """Several clips heard as one."""

    parts: tuple[tuple[float, Example], ...] = ()
    """Each clip after the second of the window in which it begins."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        return tuple(
            Segment(begin_s + start_s, begin_s + end_s, text)
            for begin_s, part in self.parts
            for start_s, end_s, text in part.segments
        )


@dataclass(order=True)
class _Open:
    """A window that may still take clips; `free_s` and `tokens` is the room that is left."""

    free_s: float
    number: int
    tokens: int = field(compare=False)
    held: list[Example] = field(compare=False)


def packed(examples: Sequence[Example], family: WhisperFamily, slowest: float, seed: int) -> list[Example]:
    """Windows of one speaker and language each; what fits nowhere, and clips of nobody in particular, stay as they are.

    No window is longer than the model's, even at `slowest` times its speed, and no label longer than half of the decoder's
    context, which is all that recognisers decode for a window. Best fit, the longest clip first.
    """
    groups: dict[tuple[str, str | None], list[Example]] = {}
    alone = []
    for example in sorted(examples, key=lambda e: e.id):
        if example.speaker is None or not example.text.strip():
            alone.append(example)
        else:
            groups.setdefault((example.speaker, example.language), []).append(example)
    window_s = family.writing.window_s * slowest
    return [*alone, *(w for _, some in sorted(groups.items(), key=str) for w in _windows(some, family, window_s, seed))]


class PackedSounds:
    """The sound of windows by their ids, and of clips by theirs."""

    def __init__(self, sounds: SoundSource, examples: Iterable[Example]) -> None:
        self._sounds = sounds
        self._windows = {example.id: example for example in examples if isinstance(example, Window)}

    def __getitem__(self, name: str) -> Samples:
        """Samples at 16 kHz, shape (time,)."""
        if name not in self._windows:
            return self._sounds[name]
        window = self._windows[name]
        whole = np.zeros(round(window.duration_s * SAMPLE_RATE_HZ), np.float32)
        for begin_s, part in window.parts:
            first = round(begin_s * SAMPLE_RATE_HZ)
            clip = self._sounds[part.id][: whole.size - first]
            whole[first : first + clip.size] = clip
        return whole


def clips_of(examples: Iterable[Example]) -> list[Example]:
    """The clips in these windows."""
    return [clip for e in examples for clip in ([part for _, part in e.parts] if isinstance(e, Window) else [e])]


def _windows(clips: Sequence[Example], family: WhisperFamily, window_s: float, seed: int) -> list[Example]:
    """Best fit decreasing: each clip goes where the least room is left by it."""
    fixed = len(family.writing.timed([], clips[0].language))
    windows, opened = list[_Open](), 0
    for clip in sorted(clips, key=lambda e: (-e.duration_s, e.id)):
        needs_s, needs = clip.duration_s + _gap_s(clip, seed), _tokens(clip, family)
        place = bisect_left(windows, needs_s, key=lambda w: w.free_s)
        while place < len(windows) and windows[place].tokens < needs:
            place += 1
        if place < len(windows):
            window = windows.pop(place)
        else:
            # the first clip has no silence before it, whichever that will be
            window = _Open(window_s, opened, family.longest_decoded - fixed, [])
            opened, needs_s = opened + 1, clip.duration_s
        window.free_s, window.tokens = window.free_s - needs_s, window.tokens - needs
        window.held.append(clip)
        insort(windows, window)
    return [_window(w.held, seed) for w in sorted(windows, key=lambda w: w.number)]


def _window(clips: Sequence[Example], seed: int) -> Example:
    """The clips in an order of chance, each after its silence, but for the one that opened the window."""
    if len(clips) == 1:
        return clips[0]
    rng = np.random.default_rng((seed, zlib.crc32(clips[0].id.encode())))
    ordered = [clips[0], *(clips[1 + int(n)] for n in rng.permutation(len(clips) - 1))]
    parts, end_s = list[tuple[float, Example]](), 0.0
    for clip in ordered:
        begin_s = end_s + (_gap_s(clip, seed) if parts else 0.0)
        parts.append((begin_s, clip))
        end_s = begin_s + clip.duration_s
    name = hashlib.sha256(" ".join(clip.id for clip in ordered).encode()).hexdigest()[:16]
    text = joined([clip.text for clip in ordered])
    return Window(name, text, end_s, clips[0].speaker, clips[0].language, (0.0, end_s), tuple(parts))


def _gap_s(clip: Example, seed: int) -> float:
    return float(np.random.default_rng((seed, zlib.crc32(clip.id.encode()))).uniform(*_GAP_S))


def _tokens(clip: Example, family: WhisperFamily) -> int:
    """What a clip takes of the decoder: its words as they stand after others, and two timestamps."""
    nothing, segment = family.writing.timed([]), Segment(0.0, 0.0, clip.text)
    return max(len(family.writing.timed(each)) for each in ([segment], [segment._replace(text=f" {clip.text}")])) - len(nothing)
