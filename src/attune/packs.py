"""Recordings in tar files, so that thousands of them are a few objects in storage: read as if they lay beside their pack.

`attune data pack` writes such files, and so does WebDataset. What stands in them is laid into the work cache, by its digest.
Where a name is there several times, a loose file counts, then the last pack in the order of names; so a correction needs no
unpacking.
"""

import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from attune.raw_files import suffix
from attune.records import Rejection
from attune.soundcache import SoundCache

SUFFIX = ".tar"


def open_packs(files: dict[str, Path], kept: SoundCache, rejected: list[Rejection]) -> list[str]:
    """Adds what stands in packs to `files`, and tells which of these are packs."""
    packs = sorted((source for source in files if suffix(source) == SUFFIX), reverse=True)
    for source in packs:
        for name, content in members(files[source], source, rejected):
            _take(posixpath.join(posixpath.dirname(source), name), content, source, files, kept, rejected)
    return packs


def members(path: Path, source: str, rejected: list[Rejection]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in a pack, hidden ones left out; what comes before damage is read."""
    read = 0
    try:
        with tarfile.open(path, "r:") as pack:
            for member in pack:
                name = posixpath.normpath(member.name)
                if any(part.startswith(".") and part != ".." for part in name.split("/")) or member.isdir():
                    continue
                content = pack.extractfile(member) if member.isreg() else None
                if content is None or name.startswith(("/", "..")):
                    rejected.append(Rejection(f"{source}/{member.name}", "unreadable", "is no file, or leads out of its pack"))
                    continue
                yield name, content.read()
                read += 1
    except (tarfile.TarError, EOFError, OSError) as error:
        rejected.append(Rejection(source, "malformed_pack", f"cannot be read after {read} file(s): {error}"))


def _take(name: str, content: bytes, source: str, files: dict[str, Path], kept: SoundCache, rejected: list[Rejection]) -> None:
    digest = sha256(content).hexdigest()
    if name in files:
        if not _holds(files, name, content):
            rejected.append(
                Rejection(f"{source}/{name}", "packed_twice", "is there with other content, loose or in a later pack")
            )
        return
    if digest not in kept:
        kept.put(digest, content)
    files[name] = kept.path(digest)


def _holds(files: Mapping[str, Path], name: str, content: bytes) -> bool:
    try:
        return files[name].stat().st_size == len(content) and files[name].read_bytes() == content
    except OSError:
        return False
