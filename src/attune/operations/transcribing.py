"""Any sound files in, their words with times out: as text, JSON or subtitles. What `attune transcribe` does."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from attune.audio import UnusableAudio, read_audio, stream_audio
from attune.dataset import SAMPLE_RATE_HZ
from attune.devices import choose_device, share_cores
from attune.errors import DataError
from attune.params import ModelParams
from attune.raw_files import is_audio, walk
from attune.recognizers.batching import padded_s
from attune.recognizers.protocol import Recognizer, Transcript
from attune.recognizers.registry import default_batch_s
from attune.recognizers.transcription import hear_clips
from attune.recognizers.whisper_decoding import WhisperRecognizer
from attune.records import Rejection, Word
from attune.text import compression_ratio
from attune.voice_activity import Piece, cut_at_pauses

Format = Literal["text", "json", "srt", "vtt"]

_IN_ONE_GO_S = 30.0
_PIECE_S, _SOUGHT_S = 25.0, 240.0
"""How long the pieces of longer recordings are, for recognisers that cut them again and for those that go by timestamps."""
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
    language: str | None = None
    """That was detected in the first piece; the others of `records.Hypothesis`, at their worst in any piece."""
    no_speech: float | None = None
    compression_ratio: float | None = None
    temperature: float = 0.0


@dataclass(frozen=True)
class Cue:
    """A line of subtitles."""

    start_s: float
    end_s: float
    text: str


def sound_files(paths: Sequence[Path]) -> dict[Path, Path]:
    """The files, and of folders all sound files below them in order, each with where its result belongs in a folder of results.

    Raises DataError for a folder without any.
    """
    found = dict[Path, Path]()
    for path in paths:
        if path.is_dir():
            below = sorted(child for child in walk(path, list[Rejection]()) if is_audio(child.name))
            if not below:
                raise DataError(f"{path} has no sound files")
            found |= {child: child.relative_to(path) for child in below}
        else:
            found[path] = Path(path.name)
    return found


def require_places(found: Mapping[Path, Path]) -> None:
    """Raises DataError where two results would have one place in a folder."""
    firsts = dict[Path, Path]()
    for file, place in found.items():
        if firsts.setdefault(place, file) != file:
            raise DataError(f"{firsts[place]} and {file} would both be written as {place}; name the folder that holds them")


def hear_files(
    recognizer: Recognizer, files: Sequence[Path], params: ModelParams, heard_s: Callable[[float], object] = lambda _: None
) -> Iterator[Heard | UnusableAudio]:
    """What is said in each recording, of any length, in the order given; why not, for those that cannot be read.

    Long ones are heard piece by piece between their pauses, pieces of several files together, while others are decoded.
    `heard_s` is told how many seconds more are done.
    Raises EnvironmentFault where memory does not even suffice for one piece.
    """
    budget_s = params.batch_s or default_batch_s(choose_device(params.device), recognizer.family)
    piece_s = _SOUGHT_S if params.long_audio == "timestamps" and recognizer.family == "whisper" else _PIECE_S
    said = list[tuple[Piece, Transcript]]()
    events = _events(recognizer, files, piece_s)
    for batch, heard in _heard(recognizer.workers, _batches(events, budget_s, recognizer.window_s)):
        heard_s(_length_s(batch))
        found = iter(heard)
        for file, event, _ in batch:
            if isinstance(event, Piece):
                said.append((event, next(found)))
                continue
            yield _whole(file, said) if event is None else event
            said = []


_Event = tuple[Path, Piece | UnusableAudio | None, Recognizer]
"""A piece of a file, or why it cannot be read, or None: it ends; and who hears it."""


def _events(recognizer: Recognizer, files: Sequence[Path], piece_s: float) -> Iterator[_Event]:
    for file in files:
        ears = recognizer
        try:
            pieces = _pieces(file, piece_s)
            begin = list(islice(pieces, 2))
            if len(begin) > 1:
                ears = _ears(recognizer, begin[0])
            for piece in chain(begin, pieces):
                yield file, piece, ears
            yield file, None, ears
        except UnusableAudio as fault:
            yield file, fault, ears


def _ears(recognizer: Recognizer, first: Piece) -> Recognizer:
    """A recording is in one language, that of its beginning."""
    return recognizer.for_language_of(first.samples) if isinstance(recognizer, WhisperRecognizer) else recognizer


def _batches(events: Iterator[_Event], budget_s: float, window_s: float | None) -> Iterator[list[_Event]]:
    batch, spent_s = list[_Event](), 0.0
    for event in events:
        if batch and event[2] is not batch[-1][2]:
            yield batch
            batch, spent_s = [], 0.0
        batch.append(event)
        if isinstance(event[1], Piece):
            spent_s += padded_s(event[1].samples.size / SAMPLE_RATE_HZ, window_s)
        if spent_s >= budget_s:
            yield batch
            batch, spent_s = [], 0.0
    if batch:
        yield batch


def _length_s(batch: Sequence[_Event]) -> float:
    return sum(event.samples.size for _, event, _ in batch if isinstance(event, Piece)) / SAMPLE_RATE_HZ


def _heard(workers: int, batches: Iterator[list[_Event]]) -> Iterator[tuple[list[_Event], list[Transcript]]]:
    """Each batch, which one recogniser hears, with the transcripts of its pieces; so many at once, one more decoded."""
    running = deque[tuple[list[_Event], Future[list[Transcript]]]]()
    with ThreadPoolExecutor(workers, initializer=share_cores, initargs=(workers,)) as engines:
        try:
            for batch in batches:
                clips = [event.samples for _, event, _ in batch if isinstance(event, Piece)]
                running.append((batch, engines.submit(hear_clips, batch[0][2], clips, word_times=True)))
                if len(running) > workers:
                    done, texts = running.popleft()
                    yield done, texts.result()
            while running:
                done, texts = running.popleft()
                yield done, texts.result()
        finally:
            for _, waiting in running:
                waiting.cancel()


def _whole(file: Path, said: Sequence[tuple[Piece, Transcript]]) -> Heard:
    spoken = sum(piece.samples.size for piece, _ in said)
    return Heard(
        printable(file),
        " ".join(heard.text for _, heard in said if heard.text),
        sum(piece.samples.size * heard.confidence for piece, heard in said) / spoken if spoken else 0.0,
        tuple(word for piece, heard in said for word in _shifted(heard, piece.start_s)),
        language=next((heard.language for _, heard in said if heard.language), None),
        no_speech=min((heard.no_speech for _, heard in said if heard.no_speech is not None), default=None),
        compression_ratio=max((ratio for _, heard in said if (ratio := compression_ratio(heard.text))), default=None),
        temperature=max((heard.temperature for _, heard in said), default=0.0),
    )


def printable(path: Path) -> str:
    """Its name, with what is no UTF-8 in it escaped."""
    return str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")


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


def _pieces(path: Path, piece_s: float) -> Iterator[Piece]:
    try:
        samples = read_audio(path, _IN_ONE_GO_S)
        if samples.size:
            yield Piece(0.0, samples)
    except UnusableAudio as fault:
        if fault.reason != "too_long":
            raise
        yield from cut_at_pauses(stream_audio(path), piece_s)


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
