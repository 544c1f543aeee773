"""Each sound once, and none on two sides: which of several clips with the same sound stays in the corpus."""

from collections import defaultdict
from dataclasses import replace

from attune import splitting
from attune.clips import Clip
from attune.dataset import decode_flac
from attune.doubles import same_sounds
from attune.layouts import Recording, named
from attune.params import SplitParams
from attune.records import Rejection, Split
from attune.soundcache import SoundCache
from attune.text import normalize

_RANK: dict[Split, int] = {"test": 0, "validation": 1, "train": 2}


def without_doubles(clips: list[Clip], params: SplitParams, sounds: SoundCache) -> tuple[list[Clip], list[Rejection]]:
    """Each sound once, with its transcript; and, if wanted, the same speaker's variants of it.

    Of several speakers' the one of the test side stays, then that of the validation side, so that who claims a sound
    later never takes it out of the test; then the first that has a transcript.
    """
    firsts = _firsts(clips, sounds)
    side_of = splitting.sides_of((c.recording.speaker for c in clips), params)
    same: dict[int, list[Clip]] = defaultdict(list)
    for clip, first in zip(clips, firsts, strict=True):
        same[first].append(clip)
    first_of_all = {
        first: min(group, key=lambda c: (_RANK[side_of[c.recording.speaker]], not c.recording.reference))
        for first, group in same.items()
    }
    usable, doubles, taken = list[Clip](), list[Rejection](), {clip.digest for clip in first_of_all.values()}
    for clip, first in zip(clips, firsts, strict=True):
        other = first_of_all[first]
        one_speaker = clip.recording.speaker == other.recording.speaker
        if clip is other:
            others = (c.recording.reference for c in same[first] if c.recording.reference)
            reference = clip.recording.reference or next(others, None)
            usable.append(replace(clip, recording=replace(clip.recording, reference=reference)))
        elif params.duplicates == "keep" and one_speaker and clip.digest not in taken:
            usable.append(clip)
            taken.add(clip.digest)
        else:
            doubles.append(_double(clip.recording, other.recording))
    return usable, doubles


def without_overlaps(clips: list[Clip], params: SplitParams) -> tuple[list[Clip], list[Rejection]]:
    """No piece that shares its seconds with one of another side: of two the one of the test side stays, then of validation."""
    side_of = splitting.sides_of((c.recording.speaker for c in clips), params)
    pieces: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.recording.start_s is not None:
            pieces[clip.recording.source].append(clip)
    lost: dict[int, Clip] = {}
    for some in pieces.values():
        for one, other in splitting.overlapping(some, lambda c: (c.recording.start_s or 0.0, c.duration_s)):
            sides = [_RANK[side_of[c.recording.speaker]] for c in (one, other)]
            if sides[0] != sides[1]:
                loser, winner = (one, other) if sides[0] > sides[1] else (other, one)
                lost[id(loser)] = winner
    rejected = [_overlap(clip.recording, lost[id(clip)].recording) for clip in clips if id(clip) in lost]
    return [c for c in clips if id(c) not in lost], rejected


def _firsts(clips: list[Clip], sounds: SoundCache) -> list[int]:
    """A number for each clip, equal where the sound is: the very same samples always, others as `doubles` finds them."""
    distinct = list({clip.digest: clip for clip in reversed(clips)}.values())[::-1]
    texts = [normalize(c.recording.reference) if c.recording.reference else None for c in distinct]
    found = same_sounds([c.fingerprint for c in distinct], texts, lambda number: decode_flac(sounds[distinct[number].digest]))
    number_of = {clip.digest: first for clip, first in zip(distinct, found, strict=True)}
    return [number_of[clip.digest] for clip in clips]


def _double(recording: Recording, kept: Recording) -> Rejection:
    differs = [name for name in ("speaker", "reference") if getattr(recording, name) not in (None, getattr(kept, name))]
    but = f", but has another {' and '.join(differs)}" if differs else ""
    return Rejection(named(recording), "duplicate_sound", f"is the same sound as {named(kept)}{but}")


def _overlap(recording: Recording, kept: Recording) -> Rejection:
    return Rejection(named(recording), "overlap", f"shares seconds with {named(kept)}, which is on another side")
