"""The files of a version, copied from where DVC keeps them, and compared with their digests.

`dvc artifacts get` does the same; its start takes longer than copying 100 MB does, so its parts are called here: its settings,
its file systems, its copying. An object lies in `files/md5`, under its MD5; that of a folder is the list of its files
(https://dvc.org/doc/user-guide/project-structure/internal-files#structure-of-the-cache-directory).
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from attune.checksums import CHECKSUMS, parse_checksums
from attune.errors import DataError, StorageError
from attune.files import file_digest
from attune.registry.stamps import FileState, state, stated
from attune.storage.explaining import explained

_OBJECTS = "files/md5"
_READABLE, _ENTERABLE = 0o644, 0o755


@dataclass(frozen=True)
class Kept:
    """What is wanted, and where it is kept."""

    digest: str
    """Of a folder, with `.dir`."""
    remote: str | None
    """DVC's name of the place; None for the default one."""
    settings: str
    """DVC's, as text."""
    cache: Path | None
    """Of a project on this machine: looked into before storage is asked."""


@dataclass(frozen=True)
class Fetched:
    """What came, and which files did not."""

    files: tuple[FileState, ...]
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    """Came, but are not what their digests say."""
    sealed: bool
    """Whether the folder has a list of SHA-256 digests of its own, and is what that says."""


@dataclass(frozen=True)
class _Place:
    """A store of objects: one of DVC's file systems, and the folder in it."""

    fs: Any
    folder: str
    url: str

    def path(self, digest: str) -> str:
        return str(self.fs.join(self.folder, digest[:2], digest[2:]))


class _Reading:
    """What each file that came is, by the list of DVC's (MD5s) and that of the folder itself (SHA-256, `checksums`).

    The latter is one of the former's files, so that a file which is what it says need not be hashed by MD5, which is slower.
    """

    def __init__(self, listed: Mapping[str, str], own: Mapping[str, str]) -> None:
        self.listed, self._own = listed, own
        self._sealed = own.keys() == listed.keys() - {CHECKSUMS}

    def __call__(self, draft: Path, path: str) -> FileState:
        (draft / path).chmod(_READABLE)
        right = stated(draft, path, self.listed[path])
        if path in self._own and file_digest(draft / path) == self._own[path]:
            return right
        self._sealed &= path not in self._own
        return state(draft, path)

    @property
    def sealed(self) -> bool:
        """Whether no file was found that the folder's own list denies."""
        return self._sealed


def fetch(kept: Kept, draft: Path) -> Fetched:
    """Fills the empty folder `draft`, readable for whoever serves it. Raises StorageError where storage cannot be asked, or has
    no whole list of the files."""
    listed = _listed(kept)
    read = _Reading(listed, _own(kept, listed))
    found, came = dict[str, FileState](), set[str]()
    for place in _places(kept):
        wanted = {path: digest for path, digest in listed.items() if path not in found}
        if not wanted:
            break
        brought = _copy(place, wanted, draft, read)
        came |= {each.path for each in brought}
        found |= {each.path: each for each in brought if each.md5 == wanted[each.path]}
    faulty = listed.keys() - found.keys()
    files = tuple(found[path] for path in sorted(found))
    return Fetched(files, tuple(sorted(faulty - came)), tuple(sorted(faulty & came)), read.sealed)


def _places(kept: Kept) -> Iterator[_Place]:
    """Storage is opened where somebody gets as far as that."""
    from dvc_objects.fs.local import localfs

    if kept.cache is not None and (kept.cache / _OBJECTS).is_dir():
        yield _Place(localfs, str(kept.cache / _OBJECTS), str(kept.cache))
    yield _storage(kept)


@cache
def _storage(kept: Kept) -> _Place:
    from dvc.config import Config
    from dvc.exceptions import DvcException
    from dvc.fs import get_cloud_fs

    with tempfile.NamedTemporaryFile("w", prefix="attune-settings-", encoding="utf-8") as file:
        file.write(kept.settings)
        file.flush()
        try:
            config = Config(config=Config.load_file(file.name))  # beneath them those of the machine and of the person
            name = kept.remote or config["core"].get("remote")
            if name is None:
                raise StorageError(
                    "DVC has no remote there, so nothing is kept; say where: attune storage use URL, and push that"
                )
            kind, options, folder = get_cloud_fs(config, name=name)
        except DvcException as error:
            raise StorageError(f"DVC says of its settings there: {' '.join(str(error).split())}") from error
    url = str(config["remote"][name.lower()]["url"])
    with explained(url):
        fs = kind(**options)
    return _Place(fs, str(fs.join(folder, *_OBJECTS.split("/"))), url)


def _listed(kept: Kept) -> dict[str, str]:
    """MD5s of a folder's files by path."""
    content = _object(kept, kept.digest, "the list of its files")
    return {str(row["relpath"]): str(row["md5"]) for row in json.loads(content)}


def _own(kept: Kept, listed: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 digests by path, as the folder's own list has them; empty where there is none, or what is wrong with it is told
    once it is copied."""
    try:
        return parse_checksums(_object(kept, listed[CHECKSUMS], CHECKSUMS).decode(), CHECKSUMS) if CHECKSUMS in listed else {}
    except (StorageError, DataError, UnicodeDecodeError):
        return {}


def _object(kept: Kept, digest: str, called: str) -> bytes:
    """Its content, right. Raises StorageError that says where it is missing or damaged."""
    said = list[str]()
    for place in _places(kept):
        try:
            with explained(place.url, FileNotFoundError):
                content = bytes(place.fs.cat_file(place.path(digest)))
        except FileNotFoundError:
            said.append(f"not in {place.url}")
            continue
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == digest.removesuffix(".dir"):
            return content
        said.append(f"damaged in {place.url}")
    raise StorageError(f"{called} ({digest}) is {', '.join(said)}")


def _copy(place: _Place, wanted: Mapping[str, str], draft: Path, read: _Reading) -> list[FileState]:
    """What the place has of it, with digests; the rest is left out."""
    from dvc_objects.fs.generic import copy
    from dvc_objects.fs.local import localfs

    from attune.registry.arrivals import Arrivals

    def left_out(source: str, to: str, error: BaseException) -> None:  # noqa: ARG001
        if not isinstance(error, FileNotFoundError):
            raise error

    for folder in {draft, *(parent for path in wanted for parent in (draft / path).parents if draft in parent.parents)}:
        folder.mkdir(exist_ok=True, parents=True)
        folder.chmod(_ENTERABLE)
    sources, files = [*map(place.path, wanted.values())], [str(draft / path) for path in wanted]
    arrivals = Arrivals(draft, wanted, read)
    with explained(place.url), arrivals:
        copy(place.fs, sources, localfs, files, callback=arrivals, on_error=left_out)
    return arrivals.states()
