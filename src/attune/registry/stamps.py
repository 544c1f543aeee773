"""What a pulled folder is known to hold: a stamp in it with digest, size and times of each file, so that looking is quick.

A file whose size and times are those of the stamp is not read again; the time of the last change of its node (ctime) cannot be
set by programs, so a file that was written to is noticed even where its times were put back.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from attune.checksums import STAMP
from attune.files import build, file_digest, write_json


@dataclass(frozen=True)
class FileState:
    """One file when it was last read."""

    path: str
    """From the folder, with '/'."""
    md5: str
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True)
class Stamp:
    """What was pulled."""

    name: str
    version: str
    digest: str
    """DVC's digest of the folder."""
    asked: str
    """Digest of what was asked for, and of all tags that there were then: the same again can only mean the same version."""
    files: tuple[FileState, ...]


def read_stamp(folder: Path) -> Stamp | None:
    """None where there is none, or none that can be read."""
    try:
        found = build(Stamp, json.loads((folder / STAMP).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if isinstance(found, Stamp) else None


def write_stamp(folder: Path, stamp: Stamp) -> None:
    """In one step."""
    write_json(folder / STAMP, asdict(stamp))


def look(folder: Path, stamp: Stamp) -> tuple[Stamp, list[str]]:
    """The stamp with the times of now, and which files are not what it says: changed, gone, or not the model's."""
    known = {file.path: file for file in stamp.files}
    found = {path: state(folder, path, known.get(path)) for path in _paths(folder)}
    both = {path for path in known.keys() & found.keys() if known[path].md5 == found[path].md5}
    odd = sorted({*known, *found} - both)
    return (stamp if odd else replace(stamp, files=tuple(found.values()))), odd


def _paths(folder: Path) -> Iterator[str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    yield from (path.relative_to(folder).as_posix() for path in found if path != folder / STAMP)


def state(folder: Path, path: str, known: FileState | None = None) -> FileState:
    """Of a file in the folder; it is read only where size or times differ from those known."""
    now = stated(folder, path, "")
    if known is not None and replace(known, md5="") == now:
        return known
    return replace(now, md5=file_digest(folder / path, "md5"))


def stated(folder: Path, path: str, md5: str) -> FileState:
    """Of a file whose MD5 is known."""
    facts = (folder / path).stat()
    return FileState(path, md5, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
