"""Lists that users keep beside their recordings: which file, what was said, who spoke. One row in, one `Entry` out.

Read are `manifest.jsonl` and `metadata.jsonl` (an object a line), `metadata.csv` and `transcripts.csv` (a header line;
commas, semicolons, tabs or bars between), in any folder; paths in them are relative to that folder:

    {"audio": "audio/001.wav", "text": "good morning", "speaker": "anna"}

A row that does not fit is a named rejection and loses nothing else. No file is opened because a row names it.
"""

import csv
import io
import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from attune.records import Rejection

NAMES = frozenset({"manifest.jsonl", "metadata.jsonl", "metadata.csv", "transcripts.csv"})
_AUDIO_KEYS = ("audio", "audio_path", "audio_filepath", "file_name")
_TEXT_KEYS = ("text", "transcript")
_SPEAKER_KEYS = ("speaker",)


@dataclass(frozen=True)
class Entry:
    """One row: the recording's path below the raw folder, its text and speaker as given (None: not given)."""

    source: str
    text: str | None
    speaker: str | None
    row: str
    """Where this was written, as `folder/manifest.jsonl:12`."""


def read_manifest(path: Path, source: str, raw: Path) -> tuple[list[Entry], list[Rejection]]:
    """The rows of a manifest that lies at `source` below `raw`, and those that cannot be used. Raises OSError if unreadable."""
    text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    rows = _csv_rows(text) if source.lower().endswith(".csv") else _jsonl_rows(text)
    outcomes = [_entry(row, f"{source}:{number}", raw) for number, row in rows]
    return [o for o in outcomes if isinstance(o, Entry)], [o for o in outcomes if isinstance(o, Rejection)]


def _jsonl_rows(text: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, str(error)


def _csv_rows(text: str) -> Iterator[tuple[int, object]]:
    """Dicts, or what is wrong with a line. A row's number is that of its last line, as texts may hold line breaks."""
    header = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t|", key=header.count), strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, str(error)
            continue
        surplus, short = None in row, None in row.values()
        yield reader.line_num, "has another number of columns than the header" if surplus or short else row


def _entry(row: object, where: str, raw: Path) -> Entry | Rejection:
    if not isinstance(row, Mapping):
        detail = row if isinstance(row, str) else "is not an object of keys and values"
        return Rejection(where, "malformed_line", _printable(detail))
    audio, text, speaker = (_first(row, keys) for keys in (_AUDIO_KEYS, _TEXT_KEYS, _SPEAKER_KEYS))
    for wanted in (_AUDIO_KEYS, _TEXT_KEYS + _SPEAKER_KEYS):
        if not any(key in row for key in wanted):
            return Rejection(where, "missing_column", f"has none of {', '.join(wanted)}")
    if not isinstance(audio, str) or not audio or not isinstance(text, str | None) or not isinstance(speaker, str | int | None):
        return Rejection(where, "malformed_line", "audio, text and speaker must be texts, audio not empty")
    if not all(_is_utf8(str(value)) for value in (audio, text, speaker)):
        return Rejection(where, "transcript_not_utf8", "this row is not UTF-8; save the file as UTF-8")
    source = _below(audio, posixpath.dirname(where), raw)
    if source is None:
        return Rejection(where, "path_outside", f"{audio!r} leads out of the raw folder")
    return Entry(source, text, None if speaker is None else str(speaker).strip() or None, where)


def _first(row: Mapping[str, object], keys: tuple[str, ...]) -> object:
    return next((row[key] for key in keys if row.get(key) is not None), None)


def _below(audio: str, folder: str, raw: Path) -> str | None:
    """`audio`, relative to `folder` or absolute, as a path below `raw`; None if it is not below."""
    if PurePath(audio).is_absolute():
        audio, folder = posixpath.relpath(audio, raw.absolute().as_posix()), ""
    source = posixpath.normpath(posixpath.join(folder, audio))
    return None if source == ".." or source.startswith("../") else source


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _printable(text: str) -> str:
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")
