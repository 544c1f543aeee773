"""A new version: the model of HEAD, if it passed validation and is in storage, gets a number and a tag that says what it is."""

import re
import shlex
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Literal

from attune.errors import DataError, RegistryError
from attune.registry.facts import Facts, Reading, facts_at, tag_message
from attune.registry.journal import Journal, read_journal, version_order
from attune.registry.sharing import refresh, require_repository, share
from attune.registry.storing import require_stored
from attune.registry.tracked import Tracked, artifact_at, require_one_run
from attune.shell import Shell

_FIRST = "v1.0.0"
_VERSION = re.compile(r"v(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")
Bump = Literal["major", "minor", "patch"]


@dataclass(frozen=True)
class Asked:
    """What a person wants to be registered."""

    name: str
    """Of the artifact in dvc.yaml."""
    version: str | None
    """Exactly this one; else the newest with `bump`."""
    bump: Bump
    force: str | None
    """The reason why a model that did not pass is registered all the same."""


def register(shell: Shell, asked: Asked, metrics: PurePosixPath, read: Reading, today: date) -> str:
    """The new version, tagged at HEAD, its files pushed to storage, shared; `read` is the task's way to read scores. Raises
    RegistryError or StorageError, and then there is no such version."""
    require_repository(shell)
    _require_clean(shell)
    model = artifact_at(shell, asked.name, "HEAD")
    facts = _validated(shell, metrics, read, asked)
    remote = refresh(shell, asked.name)
    known = read_journal(shell, asked.name)
    version = _next(known, asked, _commit(shell))
    message = tag_message(asked.name, version, today.isoformat(), facts, _former(shell, known, metrics, read), asked.force)
    _push(shell, model)
    require_stored(shell, asked.name, "HEAD")
    share(
        shell, asked.name, remote, lambda: shell.run("gto", "register", asked.name, "HEAD", "--version", version, "-m", message)
    )
    return version


def _validated(shell: Shell, metrics: PurePosixPath, read: Reading, asked: Asked) -> Facts:
    """The facts of HEAD. Raises RegistryError where the model did not pass, unless a reason was given."""
    if asked.force is not None and not asked.force.strip():
        raise RegistryError("--force wants a reason, which the tag then holds: --force 'a pilot with three doctors, no one else'")
    facts = facts_at(shell, "HEAD", metrics, read)
    require_one_run(shell, "HEAD", str(metrics / "evaluation_results.json"))
    if facts.standing.failure is not None and asked.force is None:
        raise RegistryError(
            f"this model did not pass validation: {facts.standing.failure.rstrip('.')}; train a better one, or register it all "
            "the same: attune model register --force 'the reason'"
        )
    return facts


def _next(known: Journal, asked: Asked, commit: str) -> str:
    """The number to give. Raises RegistryError where the commit has one, or the one wanted is taken."""
    here = [event.version for event in known.versions() if event.commit == commit]
    if here:
        raise RegistryError(
            f"HEAD is {known.name} {here[0]} already; promote it: attune model promote {here[0]}; or train anew, commit, and "
            "register that"
        )
    taken = sorted({event.version for event in known.registered()}, key=version_order)
    if asked.version is None:
        return _bumped(taken[-1], asked.bump) if taken else _FIRST
    if not _VERSION.fullmatch(asked.version):
        raise RegistryError(f"{asked.version} is no version; versions are like {_FIRST} or v1.1.0-rc.1: --version {_FIRST}")
    if asked.version in taken:
        raise RegistryError(
            f"{known.name} {asked.version} exists, and versions never change; the newest is {taken[-1]}; leave --version out to "
            f"get {_bumped(taken[-1], asked.bump)}"
        )
    return asked.version


def _bumped(version: str, bump: Bump) -> str:
    numbers, _, _ = version_order(version)
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    after = {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}[bump]
    return "v" + ".".join(map(str, after))


def _former(shell: Shell, known: Journal, metrics: PurePosixPath, read: Reading) -> tuple[str, Facts] | None:
    """The newest version there is and its facts, where it has some."""
    there = known.versions()
    if not there:
        return None
    try:
        return there[-1].version, facts_at(shell, there[-1].commit, metrics, read)
    except (RegistryError, DataError):
        return None  # a model of another kind, or of before there were such metrics


def _push(shell: Shell, model: Tracked) -> None:
    """Raises RegistryError where the files of the model do not get into storage."""
    command = ("dvc", "push", model.path)
    answer = shell.answer(*command)
    if answer.code:
        raise RegistryError(
            f"the files of {model.path} did not get into storage, so nobody could pull them: {answer.said}; see: attune storage "
            f"use --help, then: {shlex.join(command)}"
        )


def _require_clean(shell: Shell) -> None:
    changed = [line for line in shell.ask("git", "status", "--porcelain", "--untracked-files=no").out.splitlines() if line]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise RegistryError(
            f"{changed[0][3:]}{more} is changed but not committed, and a version is a commit; run: git add --all && git commit"
        )


def _commit(shell: Shell) -> str:
    return shell.ask("git", "rev-parse", "HEAD").out.strip()
