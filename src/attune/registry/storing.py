"""The files of versions in storage: which there are, and which are missing. DVC is asked; it knows folders and their digests."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attune.errors import RegistryError, StorageError
from attune.registry.tracked import Tracked, artifact_at
from attune.shell import Shell

if TYPE_CHECKING:
    from dvc.repo import Repo


def require_stored(shell: Shell, name: str, revision: str) -> None:
    """Raises StorageError where a file of the artifact at that revision is not in storage."""
    model = artifact_at(shell, name, revision)
    with opened(shell) as repo:
        storage = repo.cloud.get_remote_odb(model.remote)
        missing = missing_objects(repo, storage, model)
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise StorageError(
            f"{model.path} of {revision} is not whole in storage {storage.fs.unstrip_protocol(storage.path)}: "
            f"{', '.join(missing[:3])}{more} missing; from a copy that has it: git checkout '{revision}' && dvc checkout "
            f"{model.path} && dvc push {model.path}"
        )


def missing_objects(repo: "Repo", storage: Any, model: Tracked) -> list[str]:
    """Names of the files that are not in storage; the list of a folder's files, without which nobody knows them, is one."""
    if not storage.exists(model.digest):
        return [model.path]
    files = listing(repo, storage, model)
    there = set(storage.list_oids_exists(files))
    return [path for digest, path in files.items() if digest not in there]


def listing(repo: "Repo", storage: Any, model: Tracked) -> Mapping[str, str]:
    """Paths by digest. Raises StorageError where the list of a folder's files cannot be had."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree
    from dvc_objects.errors import ObjectFormatError

    if not model.digest.endswith(".dir"):
        return {model.digest: model.path}
    for place in (repo.cache.local, storage):
        try:
            tree = Tree.load(place, HashInfo("md5", model.digest))
        except (FileNotFoundError, ObjectFormatError):
            continue
        return {info.value: "/".join((model.path, *key)) for key, _, info in tree if info is not None}
    raise StorageError(f"the list of the files of {model.path} ({model.digest}) is neither in DVC's cache nor, whole, in storage")


@contextmanager
def opened(shell: Shell) -> "Iterator[Repo]":
    """The DVC project. Raises StorageError where it has no remote that can be reached."""
    from dvc.config import NoRemoteError
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(shell.folder)) as repo:
            yield repo
    except NoRemoteError as error:
        raise StorageError(
            "DVC has no remote, so nothing is kept elsewhere; say where: attune storage use FOLDER_OR_URL"
        ) from error
    except DvcException as error:
        raise RegistryError(f"DVC says: {' '.join(str(error).split())}") from error
