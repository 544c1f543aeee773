"""Puts loose recordings into packs (`attune.packs`): a few large files in storage, in place of one for each.

What is packed once stays as it is, so that a corpus that grew is pushed for what is new alone.
"""

import contextlib
import posixpath
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from attune.errors import DataError
from attune.files import file_digest
from attune.packs import SUFFIX, members
from attune.progress import track
from attune.raw_files import name_below, suffix, walk
from attune.records import Rejection

_NAME = re.compile(r"pack-(\d+)\.tar")
_HEADER = 3 * tarfile.BLOCKSIZE
"""About what a file takes in a pack besides itself."""


@dataclass(frozen=True)
class Packed:
    """What became of a raw folder."""

    files: int
    """Packed now."""
    known: int
    """Loose files that stood in a pack already, and went."""
    corrections: int
    """Loose files of which a pack has another content: they stay, and count."""
    packs: tuple[Path, ...]
    """New ones."""

    def sentence(self, raw: Path) -> str:
        """One line for people."""
        stay = f"; {self.corrections} stay loose, as a pack has them with other content" if self.corrections else ""
        known = f"; {self.known} were in one already and went" if self.known else ""
        return f"{self.files} file(s) of {raw} are in {len(self.packs)} new pack(s) now{known}{stay}."


def pack(raw: Path, at_most_mb: float) -> Packed:
    """Packs of about that size for all loose files below `raw`, which go once they were read back from there. Hidden files stay,
    and so does what linked folders hold, as it is elsewhere.

    A command that was killed leaves every file loose, packed, or both; the next one finishes. Raises DataError where a file or
    a pack cannot be read, and then nothing has changed.
    """
    faults = list[Rejection]()
    files = {name_below(path, raw): path for path in walk(raw, faults)} if raw.is_dir() else {}
    there = _packed(files, faults)
    loose = {name: files[name] for name in sorted(files) if _may_go(name, files[name], raw)}
    if faults or not files:
        why = f"{faults[0].source} {faults[0].detail}" if faults else "there is nothing in it"
        raise DataError(f"{raw} cannot be packed: {why}")
    known = [path for name, path in loose.items() if there.get(name) == file_digest(path)]
    bundles = list(_bundles({name: path for name, path in loose.items() if name not in there}, at_most_mb * 1e6))
    first = 1 + max((int(found[1]) for name in files if (found := _NAME.fullmatch(name))), default=0)
    packs = [raw / f"pack-{first + number:04}{SUFFIX}" for number in range(len(bundles))]
    _remove(raw, known)
    for path, bundle in track(zip(packs, bundles, strict=True), f"packing {raw}", len(packs)):
        _write(path, bundle)
        _remove(raw, bundle.values())
    count = sum(map(len, bundles))
    return Packed(count, len(known), len(loose) - count - len(known), tuple(packs))


def _packed(files: Mapping[str, Path], faults: list[Rejection]) -> dict[str, str]:
    """Digests of what stands in packs; of a name that is in several, that of the one that counts."""
    found = dict[str, str]()
    for source in sorted(name for name in files if suffix(name) == SUFFIX):
        for name, content in members(files[source], source, faults):
            found[posixpath.join(posixpath.dirname(source), name)] = sha256(content).hexdigest()
    return found


def _bundles(files: Mapping[str, Path], at_most_bytes: float) -> Iterator[dict[str, Path]]:
    """In order, as many as go into one pack; what is larger than that has one of its own."""
    bundle, size = dict[str, Path](), 0
    for name, path in files.items():
        grown = path.stat().st_size + _HEADER
        if bundle and size + grown > at_most_bytes:
            yield bundle
            bundle, size = {}, 0
        bundle[name], size = path, size + grown
    if bundle:
        yield bundle


def _write(target: Path, files: Mapping[str, Path]) -> None:
    """One pack, whole or not at all; the same files give the same bytes. Raises DataError where it reads back otherwise."""
    draft = target.with_name(f".{target.name}.draft")
    try:
        with tarfile.open(draft, "w:", format=tarfile.PAX_FORMAT) as made:
            for name, path in files.items():
                header = tarfile.TarInfo(name)
                header.size, header.mode = path.stat().st_size, 0o644
                with path.open("rb") as file:
                    made.addfile(header, file)
        back = {name: sha256(content).hexdigest() for name, content in members(draft, target.name, [])}
        other = [name for name, path in files.items() if back.get(name) != file_digest(path)]
        if other:
            raise DataError(f"{other[0]} was changed while it was packed, or its disk is damaged; it stays loose: run it again")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _remove(raw: Path, paths: Iterable[Path]) -> None:
    """With the folders that are empty then."""
    folders = set[Path]()
    for path in paths:
        path.unlink()
        folders |= {folder for folder in path.parents if raw in folder.parents}
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _may_go(name: str, path: Path, raw: Path) -> bool:
    hidden = any(part.startswith(".") for part in name.split("/"))
    elsewhere = path.parent.resolve() != raw.resolve() / path.parent.relative_to(raw)
    return not (suffix(name) == SUFFIX or hidden or elsewhere)
