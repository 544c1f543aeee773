"""Lists that users keep beside their recordings: which file, what was said, who spoke. One row in, one `Entry` out.

Any `.jsonl`, `.json`, `.csv` or `.tsv` file whose rows name recordings is read; paths in it are relative to its folder:

    {"audio": "audio/001.wav", "text": "good morning", "speaker": "anna"}

Understood are the columns of common lists, and a row may be a piece of a longer recording: Attune's own, NeMo's manifests
(`audio_filepath`, `offset`, `duration`), Hugging Face's `metadata.csv` (`file_name`, `transcription`), Common Voice's TSV
(`client_id`, `path`, `sentence`), tables with `snr_db` and `label`, recordings with a `segments` list, and exports of Label
Studio (see `label_studio`). What a row says beyond that is kept as tags.

A row that does not fit is a named rejection and loses nothing else; where a number in it is none, its recording is left out, too
(see `listings`). No file is opened because a row names it.
"""

import codecs
import json
import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath

from attune import label_studio
from attune.records import Condition, Rejection
from attune.tables import csv_rows

SUFFIXES = frozenset({".jsonl", ".json", ".csv", ".tsv"})
_UNTRUSTED = frozenset({"invalidated.tsv", "other.tsv", "reported.tsv"})
NAMES = frozenset({"manifest.jsonl", "metadata.jsonl", "metadata.csv", "transcripts.csv"})
"""Files that are lists for certain: rows of theirs without a recording are faults, those of others are somebody else's."""

_AUDIO = ("audio", "audio_path", "audio_filepath", "file_name", "path", "file", "filename", "wav")
SOUND_COLUMNS = frozenset(_AUDIO)
_TEXT = ("text", "transcript", "transcription", "sentence")
_SPEAKER = ("speaker", "speaker_id", "client_id")
_SESSION = ("session", "session_id")
_CONDITION = ("condition", "label")
_START, _END, _LENGTH = ("start_s", "start", "offset"), ("end_s", "end"), ("duration", "duration_s")
_SNR = ("snr_db", "snr")
_USED = frozenset({*_AUDIO, *_TEXT, *_SPEAKER, *_SESSION, *_CONDITION, *_START, *_END, *_LENGTH, *_SNR, "segments"})
_WRAPPERS = ("data", "items", "rows", "utterances", "recordings", "samples", "examples")
"""Keys under which some tools put the list of their rows."""
_LOOKED_AT_BYTES = 1 << 16
_SOUND_FILE = re.compile(r"\.(?:wav|flac|mp3|ogg|opus|m4a|webm)\b", re.IGNORECASE)
_MOST, _MOST_SNR_DB = 1e6, 200
_Row = Mapping[str, object]


@dataclass(frozen=True)
class Entry:
    """One row. What it does not give is None."""

    source: str
    """The recording's path below the raw folder, as far as the row tells: `layouts` finds the file."""
    text: str | None
    speaker: str | None
    row: str
    """Where this was written, as `folder/manifest.jsonl:12`."""
    session: str | None = None
    condition: Condition | None = None
    snr_db: float | None = None
    start_s: float | None = None
    end_s: float | None = None
    """A piece from `start_s` on; to the recording's end without `end_s`."""
    content_s: float | None = None
    """How long the recording is, or what matters of it, if padding was put around."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """The row's other columns."""


@dataclass(frozen=True)
class UnreadRow(Rejection):
    """A row that names its recording, and says something of it that cannot be."""

    recording: str
    """As `Entry.source`."""


def read_manifest(path: Path, source: str, raw: Path, alone: str | None = None) -> tuple[list[Entry], list[Rejection]] | None:
    """The rows of the file at `source` below `raw`, and those that cannot be used; None if it is no list of recordings.

    `alone` is the only recording of its folder, if there is just one: segments that name no file are of it.
    Raises OSError if it cannot be read.
    """
    name, suffix = posixpath.basename(source).lower(), posixpath.splitext(source)[1].lower()
    text = _decoded(path.read_bytes())
    found = csv_rows(text) if suffix in (".csv", ".tsv") else _json_rows(text, suffix == ".json")
    rows = [(number, _named(row, alone)) for number, row in found]
    if name in _UNTRUSTED and any(isinstance(r, Mapping) and "client_id" in r for _, r in rows):
        return [], [Rejection(source, "unconfirmed_list", "Common Voice lists here what listeners did not confirm")]
    if posixpath.basename(source).lower() not in NAMES and not any(isinstance(r, Mapping) and _names_audio(r) for _, r in rows):
        return None
    outcomes = [read_row(row, f"{source}:{number}", raw) for number, row in rows]
    return [o for o in outcomes if isinstance(o, Entry)], [o for o in outcomes if isinstance(o, Rejection)]


def why_unread(path: Path) -> str | None:
    """Why a table that names sound files is not understood; None for what is no such table. Raises OSError."""
    with path.open("rb") as file:
        if not _SOUND_FILE.search(_decoded(file.read(_LOOKED_AT_BYTES))):
            return None
    return f"names sound files, but has none of the columns {', '.join(_AUDIO)} with one of {', '.join((*_TEXT, *_SPEAKER))}"


def _decoded(content: bytes) -> str:
    """UTF-8, or what a byte order mark says (Excel writes one); what does not fit becomes surrogates, which name their row."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", errors="replace")
    else:
        text = content.decode("utf-8-sig", errors="surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _named(row: object, alone: str | None) -> object:
    """A row by its columns' names in lower case without spaces around; segments without a file are of the one beside them."""
    if not isinstance(row, Mapping):
        return row
    plain = {str(key).strip().lower(): value for key, value in row.items()}
    plain |= {key: plain[key]["path"] for key in _AUDIO if isinstance(plain.get(key), Mapping) and "path" in plain[key]}
    is_piece = alone is not None and _first(plain, _AUDIO) is None and any(key in plain for key in _START)
    return {**plain, "audio": alone} if is_piece else plain


def _json_rows(text: str, may_be_one: bool) -> Iterator[tuple[int, object]]:
    """A row a line, or the rows of a file that is one JSON value (numbered from 1); what is wrong with a line instead of it."""
    if may_be_one:
        try:
            yield from enumerate(_rows_of(json.loads(text)), start=1)
            return
        except (ValueError, RecursionError):
            pass  # NeMo calls its files .json, too, though they hold an object a line
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                for row in _rows_of(json.loads(line)):
                    yield number, row
            except (ValueError, RecursionError) as error:
                yield number, str(error)


def _rows_of(value: object) -> Iterator[object]:
    """A list's items, a recording's segments with what the recording says, a Label Studio task's regions; else the value."""
    if isinstance(value, list):
        for item in value:
            yield from _rows_of(item) if isinstance(item, Mapping) else [item]
    elif label_studio.is_task(value):
        yield from label_studio.rows(value)
    elif label_studio.is_flat_task(value):
        yield from label_studio.flat_rows(value)
    elif isinstance(value, Mapping) and (wrapped := [value[key] for key in _WRAPPERS if isinstance(value.get(key), list)]):
        yield from _rows_of(wrapped[0])
    elif isinstance(value, Mapping) and isinstance(value.get("segments"), list):
        above = {key: v for key, v in value.items() if key not in ("segments", *_TEXT)}
        for segment in value["segments"]:
            yield {**above, **segment} if isinstance(segment, Mapping) else segment
    else:
        yield value


def _names_audio(row: _Row) -> bool:
    """Whether this could be about a recording: it names a file, and says something of it."""
    return isinstance(_first(row, _AUDIO), str) and any(key in row for key in (*_TEXT, *_SPEAKER, *_SNR, *_CONDITION))


def read_row(row: object, where: str, raw: Path) -> Entry | Rejection:
    """What one row says, or why it cannot be used; `where` is its list below `raw` and its number, as `folder/list.csv:12`."""
    if not isinstance(row, Mapping):
        detail = row if isinstance(row, str) else "is not an object of keys and values"
        return Rejection(where, "malformed_line", _printable(detail))
    for wanted in (_AUDIO, (*_TEXT, *_SPEAKER, *_SNR, *_CONDITION)):
        if not any(key in row for key in wanted):
            return Rejection(where, "missing_column", f"has none of {', '.join(wanted)}")
    audio, text, speaker, session = (_first(row, keys) for keys in (_AUDIO, _TEXT, _SPEAKER, _SESSION))
    if not isinstance(audio, str) or not audio or not isinstance(text, str | None) or not isinstance(speaker, str | int | None):
        return Rejection(where, "malformed_line", "audio, text and speaker must be texts, audio not empty")
    if not all(_is_utf8(f"{key}{value}") for key, value in row.items()):
        return Rejection(where, "transcript_not_utf8", "this row is not UTF-8; save the file as UTF-8")
    source = _below(audio, posixpath.dirname(where), raw)
    if source is None:
        return Rejection(where, "path_outside", f"{audio!r} leads out of the raw folder")
    try:
        start_s, end_s = _piece(row)
        snr_db = _number(row, _SNR)
        if snr_db is not None and abs(snr_db) > _MOST_SNR_DB:
            raise ValueError(f"an SNR of {snr_db:g} dB is none")
    except ValueError as error:
        return UnreadRow(where, "malformed_line", str(error), source)
    return Entry(
        source, text, _name(speaker), where, _name(session), _condition(row), snr_db, start_s, end_s, _length_s(row), _tags(row)
    )  # fmt: skip


def _piece(row: _Row) -> tuple[float | None, float | None]:
    """Start and end in seconds where the row is a piece of its recording. Raises ValueError where they make no sense."""
    start_s, end_s = _number(row, _START), _number(row, _END)
    if start_s is None and end_s is None:
        return None, None  # a duration alone is that of the whole
    start_s = start_s or 0.0
    if end_s is None and (length_s := _number(row, _LENGTH)) is not None:
        end_s = start_s + length_s
    if start_s < 0 or (end_s is not None and end_s <= start_s):
        raise ValueError(f"a piece from {start_s:g} to {end_s:g} s is none" if end_s is not None else f"starts at {start_s:g} s")
    return start_s, end_s


def _length_s(row: _Row) -> float | None:
    """What the row says of the length; a column that only informs loses no row where it is no number."""
    try:
        length_s = _number(row, _LENGTH)
    except ValueError:
        return None
    return length_s if length_s and length_s > 0 else None


def _number(row: _Row, keys: tuple[str, ...]) -> float | None:
    value = _first(row, keys)
    if value is None or value == "":
        return None
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > _MOST:
        raise ValueError(f"{' or '.join(keys)} must be a number below {_MOST:g}, not {str(value)[:40]!r}")
    return number


def _condition(row: _Row) -> Condition | None:
    given = str(_first(row, _CONDITION)).strip().lower()
    return "clean" if given == "clean" else "noisy" if given == "noisy" else None


def _tags(row: _Row) -> dict[str, str]:
    """The columns that have no meaning here, and the label."""
    tags = {str(key): str(value) for key, value in row.items() if key not in _USED - {"label"}}
    return {key: value for key, value in tags.items() if value and isinstance(row[key], str | int | float)}


def _name(given: object) -> str | None:
    return None if given is None else str(given).strip() or None


def _first(row: _Row, keys: tuple[str, ...]) -> object:
    return next((row[key] for key in keys if row.get(key) is not None), None)


def _below(audio: str, folder: str, raw: Path) -> str | None:
    """`audio`, relative to `folder` or absolute, as a path below `raw`; None if it is not below.

    Of an absolute path that leads elsewhere, such as one of another machine, the name is what counts.
    """
    audio = audio.replace("\\", "/")
    if PurePath(audio).is_absolute():
        inside = PurePosixPath(audio).is_relative_to(raw.absolute().as_posix())
        audio, folder = (posixpath.relpath(audio, raw.absolute().as_posix()) if inside else posixpath.basename(audio)), ""
    source = posixpath.normpath(posixpath.join(folder, audio))
    return None if source == ".." or source.startswith("../") or "\0" in source else source


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _printable(text: str) -> str:
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")
