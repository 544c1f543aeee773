"""The model of a version or stage, fetched into a folder that is complete or absent, verified, and left alone where it is right.

All that a deployment needs: git, DVC and GTO, and nothing of torch. The folder that was there before is kept beside it
(`.NAME.previous`), so that the way back needs no network.
"""

import hashlib
import shlex
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from attune.errors import RegistryError, StorageError
from attune.files import whole_folder
from attune.registry.journal import read_journal
from attune.registry.sharing import refresh, tag_refs
from attune.registry.stamps import Stamp, folder_digest, look, read_stamp, states, write_stamp
from attune.registry.tracked import artifact_at
from attune.registry.verifying import verify_folder
from attune.shell import Shell

_READABLE, _ENTERABLE = 0o644, 0o755


@dataclass(frozen=True)
class Source:
    """What is wanted, and where from."""

    repository: str
    """A folder or address that git clones; `.` for the project that the command runs in."""
    name: str
    stage: str | None
    version: str | None
    """Instead of a stage."""
    config: Path | None
    """A file that DVC merges into the configuration of the repository, with credentials for instance."""


@dataclass(frozen=True)
class Pulled:
    """What is in the folder now."""

    version: str
    how: str
    """unchanged, fetched, or from the former folder."""
    repaired: tuple[str, ...]
    """Files that were not what they should have been."""


@dataclass(frozen=True)
class _Target:
    """What the repository says the wanted version is."""

    version: str
    digest: str
    asked: str


def pull(shell: Shell, source: Source, folder: Path) -> Pulled:
    """Makes `folder` hold the wanted version. Raises RegistryError or StorageError; then the folder is as it was."""
    folder = folder.resolve()
    former = read_stamp(folder)
    if folder.exists() and former is None and (not folder.is_dir() or any(folder.iterdir())):
        raise RegistryError(f"{folder} was not made by attune model pull, and nothing of yours is overwritten; name another one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        return _pull(shell, source, folder, read_stamp(folder))


def _pull(shell: Shell, source: Source, folder: Path, stamp: Stamp | None) -> Pulled:
    if source.repository == ".":
        refresh(shell, source.name)
    asked = _asked(shell, source)
    if stamp is not None and stamp.asked == asked:
        target = _Target(stamp.version, stamp.digest, asked)
    else:
        target = _resolved(shell, source, asked)
    now, odd = look(folder, stamp) if stamp is not None else (None, [])
    if now is not None and not odd and now.digest == target.digest:
        write_stamp(folder, replace(now, version=target.version, asked=asked))
        return Pulled(target.version, "unchanged", ())
    keep = not odd
    if _from_former(folder, target, keep):
        return Pulled(target.version, "from the former folder", tuple(odd))
    with whole_folder(folder) as draft:
        _fetch(shell, source, target, draft)
        files = states(draft)
        _require_right(shell, source, target, {file.path: file.md5 for file in files})
        verify_folder(draft)
        write_stamp(draft, Stamp(source.name, target.version, target.digest, asked, files))
        if folder.exists() and keep:
            _keep(folder)
    return Pulled(target.version, "fetched", tuple(odd))


def _asked(shell: Shell, source: Source) -> str:
    """One network call: all tags of the artifact, with what is asked. Raises RegistryError where the repository is not there."""
    answer = shell.answer("git", "ls-remote", source.repository, "HEAD", *tag_refs(source.name))
    if answer.code:
        raise RegistryError(f"{source.repository} cannot be read as a git repository: {answer.said}; correct --repo")
    tags = [line for line in answer.out.splitlines() if not line.endswith("\tHEAD")]
    if len(tags) == len(answer.out.splitlines()):
        raise RegistryError(
            f"{source.repository} has no default branch, where DVC looks for the remote; push one: git push origin HEAD; where "
            "its name is not the repository's: git symbolic-ref HEAD refs/heads/NAME there"
        )
    if not tags:
        raise RegistryError(f"{source.repository} has no version of {source.name}; register one there: attune model register")
    parts = (source.repository, source.name, str(source.stage), str(source.version), *tags)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _resolved(shell: Shell, source: Source, asked: str) -> _Target:
    """Gets the tags and their commits, no more of the history, and looks what they say."""
    with tempfile.TemporaryDirectory(prefix="attune-tags-") as scratch:
        there = shell.within_bare(Path(scratch))
        there.run("git", "init", "--quiet", "--bare", ".")
        repository = str(shell.folder.resolve()) if source.repository == "." else _absolute(shell, source.repository)
        there.run("git", "fetch", "--quiet", "--depth", "1", repository, *(f"{ref}:{ref}" for ref in tag_refs(source.name)))
        known = read_journal(there, source.name)
        found = known.find(source.version) if source.version else known.holder(str(source.stage))
        return _Target(found.version, artifact_at(there, source.name, found.commit).digest, asked)


def _fetch(shell: Shell, source: Source, target: _Target, draft: Path) -> None:
    """Lets DVC fill the draft, and makes what it wrote readable for whoever serves it."""
    draft.rmdir()
    config = ("--config", str(source.config.resolve())) if source.config else ()
    repository = _absolute(shell, source.repository)
    command = ("dvc", "artifacts", "get", repository, source.name, "--rev", target.version, "-o", str(draft), *config)
    answer = shell.answer(*command)
    if answer.code:
        raise StorageError(f"{source.name} {target.version} could not be fetched: {_reason(answer.err)}")
    if not draft.is_dir():
        draft.unlink()
        raise RegistryError(
            f"{source.name} {target.version} is a file, not a folder; fetch it with: {shlex.join(command[:7])} FILE"
        )
    for path in (draft, *draft.rglob("*")):
        path.chmod(_ENTERABLE if path.is_dir() else _READABLE)


def _reason(said: str) -> str:
    """What DVC says, without the advice that it gives in any case."""
    lines = [line.removeprefix("ERROR: ").strip() for line in said.splitlines()]
    return (
        "; ".join(line for line in lines if line and "Studio" not in line and "troubleshooting" not in line) or "DVC says nothing"
    )


def _require_right(shell: Shell, source: Source, target: _Target, files: dict[str, str]) -> None:
    """Raises StorageError where what came is not what was registered, with the names of the files where they can be told."""
    if folder_digest(files) == target.digest:
        return
    from attune.registry.storing import listing_at

    right = listing_at(_absolute(shell, source.repository), source.name, target.version, source.config)
    damaged = sorted(path for path, digest in right.items() if files.get(path) != digest)
    what = ", ".join(damaged) or "the list of its files"
    raise StorageError(
        f"{source.name} {target.version} is damaged in storage: {what}; in a clone of the project run attune storage check "
        f"--remove, then from one that has it whole: git checkout '{source.name}@{target.version}' && dvc push"
    )


def _from_former(folder: Path, target: _Target, keep: bool) -> bool:
    """Swaps the folder with the former one where that is what is wanted, and whole."""
    former = _former(folder)
    stamp = read_stamp(former)
    if stamp is None or stamp.digest != target.digest:
        return False
    now, odd = look(former, stamp)
    if odd:
        return False
    with whole_folder(folder) as draft:
        draft.rmdir()
        former.rename(draft)
        write_stamp(draft, replace(now, version=target.version, asked=target.asked))
        if folder.exists() and keep:
            _keep(folder)
    return True


def _keep(folder: Path) -> None:
    """Makes it the former one."""
    shutil.rmtree(_former(folder), ignore_errors=True)
    folder.rename(_former(folder))


def _former(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.previous")


def _absolute(shell: Shell, repository: str) -> str:
    """A folder's whole path, as DVC runs elsewhere; an address as it is."""
    place = shell.folder / repository
    return str(place.resolve()) if place.is_dir() else repository
