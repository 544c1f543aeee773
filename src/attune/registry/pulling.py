"""The model of a version or stage, fetched into a folder that is complete or absent, verified, and left alone where it is right.

All that a deployment needs: git, DVC and GTO, and nothing of torch. The folder that was there before is kept beside it
(`.NAME.previous`), so that the way back needs no network.
"""

import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from attune.checksums import CHECKSUMS, verify_checksums
from attune.errors import RegistryError, StorageError
from attune.files import whole_folder
from attune.registry.origins import Source, Target, absolute, question, resolve
from attune.registry.sharing import refresh
from attune.registry.stamps import Stamp, folder_digest, look, read_stamp, states, write_stamp
from attune.shell import Shell

_READABLE, _ENTERABLE = 0o644, 0o755


@dataclass(frozen=True)
class Pulled:
    """What is in the folder now."""

    version: str
    how: str
    """unchanged, fetched, or from the former folder."""
    repaired: tuple[str, ...]
    """Files that were not what they should have been."""


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
    asked = question(shell, source)
    now, odd = look(folder, stamp) if stamp is not None else (None, [])
    if now is not None and now.asked == asked and not odd:
        write_stamp(folder, now)
        return Pulled(now.version, "unchanged", ())
    target = resolve(shell, source)
    if now is not None and now.digest == target.digest and not odd:
        write_stamp(folder, replace(now, version=target.version, asked=asked))
        return Pulled(target.version, "unchanged", ())
    keep = not odd
    if _from_former(folder, target, asked, keep):
        return Pulled(target.version, "from the former folder", tuple(odd))
    with whole_folder(folder) as draft:
        _fetch(shell, source, target, draft)
        files = states(draft)
        _require_right(shell, source, target, {file.path: file.md5 for file in files})
        _require_own_digests(draft)
        write_stamp(draft, Stamp(source.name, target.version, target.digest, asked, files))
        if folder.exists() and keep:
            _keep(folder)
    return Pulled(target.version, "fetched", tuple(odd))


def _require_own_digests(draft: Path) -> None:
    if not (draft / CHECKSUMS).is_file():
        return
    faults = verify_checksums(draft).faults()
    if faults:
        raise StorageError(f"what was fetched is not what its {CHECKSUMS} says: {', '.join(faults)}; export and register it anew")


def _fetch(shell: Shell, source: Source, target: Target, draft: Path) -> None:
    """Lets DVC fill the draft, and makes what it wrote readable for whoever serves it."""
    draft.rmdir()
    repository = absolute(shell, source.repository)
    with _settings_file(target) as settings:
        wanted = ("artifacts", "get", repository, source.name, "--rev", target.version, "-o", str(draft))
        answer = shell.answer("dvc", *wanted, "--config", str(settings))
    if answer.code:
        raise StorageError(f"{source.name} {target.version} could not be fetched: {_reason(answer.err)}")
    if not draft.is_dir():
        draft.unlink()
        raise RegistryError(
            f"{source.name} {target.version} is a file, not a folder; fetch it with: dvc {shlex.join(wanted[:-1])} FILE"
        )
    for path in (draft, *draft.rglob("*")):
        path.chmod(_ENTERABLE if path.is_dir() else _READABLE)


def _reason(said: str) -> str:
    """What DVC says, without the advice that it gives in any case."""
    lines = [line.removeprefix("ERROR: ").strip() for line in said.splitlines()]
    return (
        "; ".join(line for line in lines if line and "Studio" not in line and "troubleshooting" not in line) or "DVC says nothing"
    )


def _require_right(shell: Shell, source: Source, target: Target, files: dict[str, str]) -> None:
    """Raises StorageError where what came is not what was registered, with the names of the files where they can be told."""
    if folder_digest(files) == target.digest:
        return
    from attune.registry.storing import listing_at

    with _settings_file(target) as settings:
        right = listing_at(absolute(shell, source.repository), source.name, target.version, settings)
    damaged = sorted(path for path, digest in right.items() if files.get(path) != digest)
    what = ", ".join(damaged) or "the list of its files"
    raise StorageError(
        f"{source.name} {target.version} is damaged in storage: {what}; in a clone of the project run attune storage check "
        f"--remove, then from one that has it whole: git checkout '{source.name}@{target.version}' && dvc push"
    )


def _from_former(folder: Path, target: Target, asked: str, keep: bool) -> bool:
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
        write_stamp(draft, replace(now, version=target.version, asked=asked))
        if folder.exists() and keep:
            _keep(folder)
    return True


def _keep(folder: Path) -> None:
    """Makes it the former one."""
    shutil.rmtree(_former(folder), ignore_errors=True)
    folder.rename(_former(folder))


def _former(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.previous")


@contextmanager
def _settings_file(target: Target) -> Iterator[Path]:
    """DVC's settings of today as one file."""
    with tempfile.TemporaryDirectory(prefix="attune-settings-") as scratch:
        file = Path(scratch) / "config"
        file.write_text(target.settings, encoding="utf-8")
        yield file
