"""The model of a version or stage, fetched into a folder that is complete or absent, verified, and left alone where it is right.

All that a deployment needs: git, DVC and GTO, and nothing of torch. The folder that was there before is kept beside it
(`.NAME.previous`), so that the way back needs no network.
"""

import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from attune.checksums import CHECKSUMS, verify_checksums
from attune.errors import RegistryError, StorageError
from attune.files import whole_folder
from attune.registry.fetching import Fetched, fetch
from attune.registry.origins import Source, Target, absolute, question, resolve
from attune.registry.sharing import refresh
from attune.registry.stamps import Stamp, look, read_stamp, write_stamp
from attune.shell import Shell


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
    if now is not None and now.digest == target.kept.digest and not odd:
        write_stamp(folder, replace(now, version=target.version, asked=asked))
        return Pulled(target.version, "unchanged", ())
    keep = not odd
    if _from_former(folder, target, asked, keep):
        return Pulled(target.version, "from the former folder", tuple(odd))
    with whole_folder(folder) as draft:
        fetched = _fetch(shell, source, target, folder, draft)
        if not fetched.sealed:
            _require_own_digests(draft)
        write_stamp(draft, Stamp(source.name, target.version, target.kept.digest, asked, fetched.files))
        if folder.exists() and keep:
            _keep(folder)
    return Pulled(target.version, "fetched", tuple(odd))


def _require_own_digests(draft: Path) -> None:
    if not (draft / CHECKSUMS).is_file():
        return
    faults = verify_checksums(draft).faults()
    if faults:
        raise StorageError(f"what was fetched is not what its {CHECKSUMS} says: {', '.join(faults)}; export and register it anew")


def _fetch(shell: Shell, source: Source, target: Target, folder: Path, draft: Path) -> Fetched:
    """Fills the draft. Raises StorageError, with the names of files that are missing or damaged in storage."""
    model, by_hand = f"{source.name} {target.version}", shlex.join(_by_hand(shell, source, target))
    if not target.kept.digest.endswith(".dir"):
        raise RegistryError(f"{model} is a file, not a folder; fetch it with: {by_hand} -o FILE")
    shell.tell(f"# as by: {by_hand} -o {shlex.quote(str(folder))}")
    try:
        fetched = fetch(target.kept, draft)
    except StorageError as error:
        raise StorageError(f"{model} could not be fetched: {error}") from error
    if not (fetched.missing or fetched.damaged):
        return fetched
    found = ((fetched.damaged, "damaged"), (fetched.missing, "missing"))
    clauses = [f"{', '.join(paths)} {what}" for paths, what in found if paths]
    mend = "in a clone of the project run attune storage check --remove, then " if fetched.damaged else ""
    raise StorageError(
        f"{model} is not whole in storage: {' and '.join(clauses)}; {mend}from a clone that has it whole: git checkout "
        f"'{source.name}@{target.version}' && dvc push"
    )


def _by_hand(shell: Shell, source: Source, target: Target) -> list[str]:
    """DVC's command that fetches it too, and neither verifies nor replaces."""
    return ["dvc", "artifacts", "get", absolute(shell, source.repository), source.name, "--rev", target.version]


def _from_former(folder: Path, target: Target, asked: str, keep: bool) -> bool:
    """Swaps the folder with the former one where that is what is wanted, and whole."""
    former = _former(folder)
    stamp = read_stamp(former)
    if stamp is None or stamp.digest != target.kept.digest:
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
