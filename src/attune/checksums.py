"""The list of a folder's files with their digests: what proves that a model that was pulled is the one that was released.

The list is in the form of coreutils, so that `sha256sum -c SHA256SUMS` checks it where Attune is not installed. It tells of
damage and of what was exchanged, not of somebody who also writes a new list: who signs releases signs the list.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from attune.errors import DataError
from attune.files import file_digest, write_text

CHECKSUMS = "SHA256SUMS"
STAMP = ".attune.json"
"""What `attune model pull` knows of a folder that it made; no part of the model."""
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True)
class Verified:
    """How a folder differs from its list; paths are relative to it, in the order of their names."""

    files: int
    """How many the list names."""
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether every file that should be there is, as it was, and nothing else."""
        return not (self.missing or self.changed or self.extra)

    def faults(self) -> list[str]:
        """One line for each file that is not as it should be."""
        kinds = (("missing", self.missing), ("changed", self.changed), ("extra", self.extra))
        return [f"{kind}: {path}" for kind, paths in kinds for path in paths]


def write_checksums(folder: Path) -> None:
    """Lists every file in `folder` and below, once all of them are there."""
    digests = {path: file_digest(folder / path) for path in _files(folder)}
    write_text(folder / CHECKSUMS, "".join(f"{digest}  {path}\n" for path, digest in digests.items()))
    (folder / CHECKSUMS).chmod(0o644)


def verify_checksums(folder: Path) -> Verified:
    """What became of the files of `folder`. Raises DataError where it has no list, or one that cannot be read."""
    found = set(_files(folder))
    listed = read_checksums(folder)
    both = sorted(found & listed.keys())
    with ThreadPoolExecutor() as pool:  # hashing large blocks does not hold other threads up
        digests = zip(both, pool.map(lambda path: file_digest(folder / path), both), strict=True)
        changed = tuple(path for path, digest in digests if digest != listed[path])
    return Verified(len(listed), tuple(sorted(listed.keys() - found)), changed, tuple(sorted(found - listed.keys())))


def read_checksums(folder: Path) -> dict[str, str]:
    """Digests by path, as the list has them. Raises DataError where there is none, or where it names what is elsewhere."""
    file = folder / CHECKSUMS
    try:
        content = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} has no {CHECKSUMS}, so nothing tells what should be in it; pull the model again, or export it: "
            "dvc repro --force convert_ct2"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}; pull the model again") from error
    return parse_checksums(content, str(file))


def parse_checksums(content: str, where: str) -> dict[str, str]:
    """The same of a list's text."""
    listed = {}
    for number, line in enumerate(content.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None or not _is_below(match[2]):
            raise DataError(f"{where}:{number} is not a digest and a path below the folder; pull the model again")
        listed[match[2]] = match[1]
    if not listed:
        raise DataError(f"{where} is empty; pull the model again")
    return listed


def _files(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name the one with the model")
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path not in (CHECKSUMS, STAMP))


def _is_below(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return not path.startswith("/") and ".." not in parts
