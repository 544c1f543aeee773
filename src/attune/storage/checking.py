"""Whether what storage holds is what it says: every object's name is the MD5 of its content.

Google tells the MD5 of an object with its listing, so that nothing need be read; elsewhere everything is.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from attune.errors import StorageError
from attune.shell import Shell
from attune.storage.explaining import explained

if TYPE_CHECKING:
    from dvc.repo import Repo

_LIST = ".dir"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Checked:
    """What was found."""

    objects: int
    damaged: tuple[str, ...]
    """Addresses."""
    lists: tuple[str, ...]
    """Addresses of whole lists of folders that name damaged objects: while they stand, DVC does not push those again."""


def check(shell: Shell, remove: bool) -> Checked:
    """All of every DVC remote; with `remove` what is damaged goes, and the lists that name it. Raises StorageError where a
    remote cannot be reached."""
    from dvc.repo import Repo

    with Repo(str(shell.folder)) as repo:
        parts = [_reached(repo, name, remove) for name in sorted(repo.config["remote"])]
    if not parts:
        raise StorageError("DVC has no remote, so nothing is kept elsewhere; say where: attune storage use URL")
    return Checked(
        sum(part.objects for part in parts),
        tuple(address for part in parts for address in part.damaged),
        tuple(address for part in parts for address in part.lists),
    )


def _reached(repo: "Repo", name: str, remove: bool) -> Checked:
    with explained(str(repo.config["remote"][name]["url"])):
        return _check(repo.cloud.get_remote_odb(name), remove)


def _check(storage: Any, remove: bool) -> Checked:
    """One remote."""
    there = storage.fs.fs
    listed = there.find(storage.path, detail=True)  # a folder of this machine tells names alone
    facts_of = listed if isinstance(listed, Mapping) else {path: dict[str, Any]() for path in listed}
    found = {path: facts for path, facts in facts_of.items() if _digest(path)}
    damaged = [path for path, facts in found.items() if _md5(there, path, facts) != _digest(path).removesuffix(_LIST)]
    lost = {_digest(path) for path in damaged}
    whole_lists = [path for path in found if path.endswith(_LIST) and path not in damaged] if lost else []
    naming = [path for path in whole_lists if lost & set(_named(there, path))]
    if remove:
        for path in [*naming, *damaged]:
            there.rm_file(path)
    address = storage.fs.unstrip_protocol
    return Checked(len(found), tuple(map(address, damaged)), tuple(map(address, naming)))


def _digest(path: str) -> str:
    """What the object is called: `ab/cdef` of `.../files/md5/ab/cdef`; empty for what is no object of DVC's."""
    head, tail = PurePosixPath(path).parts[-2:]
    name = head + tail
    return name if len(head) == 2 and len(name.removesuffix(_LIST)) == 32 else ""


def _md5(there: Any, path: str, facts: Mapping[str, Any]) -> str:
    if told := facts.get("md5Hash"):
        return base64.b64decode(told).hex()
    digest = hashlib.md5(usedforsecurity=False)
    with there.open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _named(there: Any, path: str) -> Iterator[str]:
    """Digests in a list of a folder's files."""
    for row in json.loads(there.cat_file(path)):
        yield str(row.get("md5", ""))
