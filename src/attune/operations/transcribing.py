"""Any sound files in, their words with times out: as text, JSON or subtitles. What `attune transcribe` does."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from attune.audio import UnusableAudio, read_audio, stream_audio
from attune.errors import DataError
from attune.raw_files import is_audio, walk
from attune.recognizers.protocol import Recognizer, Transcript
from attune.records import Rejection, Word
from attune.voice_activity import Piece, cut_at_pauses

Format = Literal["text", "json", "srt", "vtt"]

_IN_ONE_GO_S = 30.0
_PIECE_S = 25.0
_AT_ONCE = 16
_CUE_S, _CUE_LETTERS, _CUE_PAUSE_S = 6.0, 84, 0.8


@dataclass(frozen=True)
class Heard:
    """What is said in one file."""

    file: str
    text: str
    confidence: float
    """Mean of the pieces', weighted by their length."""
    words: tuple[Word, ...]
    """With times in the file, where the model tells them."""


@dataclass(frozen=True)
class Cue:
    """A line of subtitles."""

    start_s: float
    end_s: float
    text: str


def sound_files(paths: Sequence[Path]) -> list[Path]:
    """The files, and of folders all sound files below them in order. Raises DataError for a folder without any."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(child for child in walk(path, list[Rejection]()) if is_audio(child.name))
            if not below:
                raise DataError(f"{path} has no sound files")
            found += below
        else:
            found.append(path)
    return found


def hear_file(recognizer: Recognizer, path: Path) -> Heard:
    """What is said in a recording of any length; long ones are heard piece by piece between their pauses.

    Raises UnusableAudio.
    """
    pieces = _pieces(path)
    texts, words, weight, confidence = list[str](), list[Word](), 0.0, 0.0
    while some := list(islice(pieces, _AT_ONCE)):
        for piece, heard in zip(some, recognizer.transcribe([p.samples for p in some], word_times=True), strict=True):
            texts.append(heard.text)
            words += _shifted(heard, piece.start_s)
            weight, confidence = weight + piece.samples.size, confidence + piece.samples.size * heard.confidence
    return Heard(str(path), " ".join(filter(None, texts)), confidence / weight if weight else 0.0, tuple(words))


def cues(words: Sequence[Word]) -> list[Cue]:
    """Words put together to lines of at most six seconds and 84 letters, parted where somebody pauses."""
    lines: list[list[Word]] = []
    for word in words:
        if word.start_s is None or word.end_s is None:
            continue
        line = lines[-1] if lines else []
        letters = sum(len(w.text) + 1 for w in line) + len(word.text)
        begins = not line or word.end_s - (line[0].start_s or 0.0) > _CUE_S or letters > _CUE_LETTERS
        if begins or word.start_s - (line[-1].end_s or 0.0) > _CUE_PAUSE_S:
            lines.append([])
        lines[-1].append(word)
    return [Cue(line[0].start_s or 0.0, line[-1].end_s or 0.0, " ".join(w.text for w in line)) for line in lines]


def written(heard: Heard, form: Format) -> str:
    """The content of a file in that form; JSON is one line."""
    if form == "json":
        return json.dumps(asdict(heard), ensure_ascii=False) + "\n"
    if form == "text":
        return heard.text + "\n"
    lines = cues(heard.words)
    if form == "vtt":
        return "WEBVTT\n\n" + "".join(f"{_clock(c.start_s, '.')} --> {_clock(c.end_s, '.')}\n{c.text}\n\n" for c in lines)
    spans = (f"{_clock(c.start_s, ',')} --> {_clock(c.end_s, ',')}" for c in lines)
    return "".join(f"{n}\n{span}\n{c.text}\n\n" for n, (span, c) in enumerate(zip(spans, lines, strict=True), start=1))


def _pieces(path: Path) -> Iterator[Piece]:
    try:
        yield Piece(0.0, read_audio(path, _IN_ONE_GO_S))
    except UnusableAudio as fault:
        if fault.reason != "too_long":
            raise
        yield from cut_at_pauses(stream_audio(path), _PIECE_S)


def _shifted(heard: Transcript, by_s: float) -> Iterator[Word]:
    for word in heard.words:
        if word.start_s is None or word.end_s is None:
            yield word
        else:
            yield replace(word, start_s=round(by_s + word.start_s, 3), end_s=round(by_s + word.end_s, 3))


def _clock(seconds: float, point: str) -> str:
    """As `hh:mm:ss,mmm`.

    >>> _clock(3725.0421, ",")
    '01:02:05,042'
    """
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
