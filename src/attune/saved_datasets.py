"""Datasets that Hugging Face's `Dataset.save_to_disk` wrote: Arrow files whose rows hold the encoded sound itself.

The sound of each row is laid into the work cache as a file of its own, so that it is then a recording like any other; it
is named `folder/rows.arrow/DIGEST/NAME`, which stays when the dataset is saved again with more rows. See https://huggingface.co/docs/datasets/about_arrow.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from attune import manifests
from attune.records import Rejection
from attune.soundcache import SoundCache

SUFFIX = ".arrow"
_STATE = "state.json"
_ROWS = f"rows{SUFFIX}"
_ROWS_AT_ONCE = 16


@dataclass
class Unpacked:
    """What the rows of one file gave."""

    entries: list[manifests.Entry] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    """Where the sound of a row lies now, by the source that its entry names."""


def unpack(path: Path, source: str, raw: Path, packed: SoundCache) -> Unpacked | None:
    """The rows of the Arrow file at `source` below `raw`; None if it is none of the dataset's own.

    A file that is damaged further on gives the rows that stand before. Raises OSError if it cannot be read.
    """
    if not _belongs(path):
        return None
    found, number = Unpacked(), 0
    try:
        with pa.memory_map(str(path)) as mapped, pa.ipc.open_stream(mapped) as reader:
            column = _sound_column(reader.schema)
            if column is None:
                why = f"holds no column of encoded sound; its columns are {', '.join(reader.schema.names)}"
                return Unpacked(rejected=[Rejection(source, "no_sound_column", why)])
            names = _class_names(reader.schema)
            for rows in _rows(reader, column):
                for row in rows:
                    told = {key: _labelled(value, names.get(key, [])) for key, value in row.items()}
                    _take(told, column, f"{source}:{number}", raw, packed, found)
                    number += 1
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        found.rejected.append(Rejection(source, "malformed_list", f"cannot be read after row {number}: {_first_line(error)}"))
    return found


def _belongs(path: Path) -> bool:
    """Whether the dataset beside it names this file; others are caches of its maker."""
    try:
        named = json.loads((path.parent / _STATE).read_text(encoding="utf-8"))["_data_files"]
        return path.name in [entry["filename"] for entry in named]
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _sound_column(schema: pa.Schema) -> str | None:
    """The column called audio or the like, else the first one, that holds encoded files and is not said to be of pictures."""
    files = [f.name for f in schema if pa.types.is_struct(f.type) and f.type.get_field_index("bytes") >= 0]
    encoded = [name for name in files if _kind(schema, name) in (None, "Audio")]
    return next((name for name in encoded if name.lower() in manifests.SOUND_COLUMNS), encoded[0] if encoded else None)


def _kind(schema: pa.Schema, column: str) -> str | None:
    """What its maker declared the column to be, such as Audio or Image."""
    declared = _declared(schema).get(column)
    return str(declared["_type"]) if isinstance(declared, dict) and "_type" in declared else None


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names that the numbers of a column stand for, of columns that are class labels."""
    named = {column: told.get("names") for column, told in _declared(schema).items() if isinstance(told, dict)}
    return {column: list(map(str, names)) for column, names in named.items() if isinstance(names, list)}


def _declared(schema: pa.Schema) -> dict[str, Any]:
    """What the dataset's maker said of each column."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _labelled(value: Any, names: list[str]) -> Any:
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


def _rows(reader: pa.RecordBatchReader, sound: str) -> Iterator[list[dict[str, Any]]]:
    """Some rows at a time: their sound, and what is text or number. Raises ArrowInvalid for a damaged batch."""
    told = [field.name for field in reader.schema if field.name == sound or _tells(field.type)]
    for whole in reader:
        batch = whole.select(told)
        batch.validate(full=True)
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            yield batch.slice(start, _ROWS_AT_ONCE).to_pylist()


def _tells(kind: pa.DataType) -> bool:
    simple = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return any(is_kind(kind) for is_kind in simple)


def _take(row: dict[str, Any], column: str, where: str, raw: Path, packed: SoundCache, found: Unpacked) -> None:
    sound = row.pop(column) or {}
    content, name = sound.get("bytes"), sound.get("path")
    if not content and not name:
        found.rejected.append(Rejection(where, "missing_audio", "holds no sound and names no file"))
        return
    digest = sha256(content).hexdigest() if content else ""
    row["audio"] = f"{_ROWS}/{digest[:16]}/{PurePosixPath(name or 'sound').name}" if content else name
    read = manifests.read_row(row, where, raw)
    if isinstance(read, Rejection):
        found.rejected.append(Rejection(read.source, read.reason, read.detail))
        return
    found.entries.append(read)
    if content:
        if digest not in packed:
            packed.put(digest, content)
        found.files[read.source] = packed.path(digest)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
