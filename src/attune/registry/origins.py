"""What a repository says of the version that is wanted: asked once over the network, and no more of its history is fetched."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from configobj import ConfigObj

from attune.errors import RegistryError
from attune.registry.fetching import Kept
from attune.registry.journal import read_journal, tag_refs
from attune.registry.tracked import artifact_at
from attune.shell import Shell

_HEAD = "refs/heads/head"
_IN_ONE_FILE = ("-c", "fetch.unpackLimit=1")
"""What git gets is removed afterwards, and removing a folder for each object takes long on some disks."""


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
    """A file that DVC merges into the settings of the repository, with credentials for instance."""


@dataclass(frozen=True)
class Target:
    """The version that this means now."""

    version: str
    kept: Kept
    """Its settings are those of today: a version's own commit may name storage that was left since."""


def question(shell: Shell, source: Source) -> str:
    """Digest of what is asked and of all tags of the artifact there are: the same again can only have the same answer. Raises
    RegistryError where the repository cannot be read, or has no version."""
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


def resolve(shell: Shell, source: Source) -> Target:
    """Looks what the tags and their commits say. Raises RegistryError for a version or stage that is not there."""
    with _readable(shell, source) as there:
        known = read_journal(there, source.name)
        found = known.find(source.version) if source.version else known.holder(str(source.stage))
        model = artifact_at(there, source.name, found.commit)
        settings = _settings(shell, source, there.text("HEAD", ".dvc/config"))
        return Target(found.version, Kept(model.digest, model.remote, settings, _cache(shell, source, settings)))


@contextmanager
def _readable(shell: Shell, source: Source) -> Iterator[Shell]:
    """In the repository itself where that is a folder; else in one with its tags and their commits, while the block runs."""
    if (shell.folder / source.repository).is_dir():
        yield shell.within(shell.folder / source.repository)
        return
    with tempfile.TemporaryDirectory(prefix="attune-tags-") as scratch:
        there = shell.within(Path(scratch))
        there.run("git", "init", "--quiet", "--bare", ".")
        there.run("git", "symbolic-ref", "HEAD", _HEAD)
        refs = (f"+HEAD:{_HEAD}", *(f"{ref}:{ref}" for ref in tag_refs(source.name)))
        there.run("git", *_IN_ONE_FILE, "fetch", "--quiet", "--depth", "1", "--update-head-ok", source.repository, *refs)
        yield there


def absolute(shell: Shell, repository: str) -> str:
    """A folder's whole path, as commands run elsewhere; an address as it is."""
    place = shell.folder / repository
    return str(place.resolve()) if place.is_dir() else repository


def _cache(shell: Shell, source: Source, settings: str) -> Path | None:
    """That of the project, where the repository is one on this machine."""
    project = shell.folder / source.repository
    if not (project / ".dvc").is_dir():
        return None
    section = _sections(settings, None).get("cache", {})
    return (project / ".dvc" / Path(str(section.get("dir", "cache"))).expanduser()).resolve()


def _settings(shell: Shell, source: Source, shared: str | None) -> str:
    """Those of the repository, in a project also its own ones, then those that the command was given."""
    folder = shell.folder / ".dvc"
    own = [folder / "config", folder / "config.local"] if source.repository == "." else []
    files = [file for file in (*own, source.config) if file is not None and file.is_file()]
    merged = _sections(shared or "", None)
    for file in files:
        merged.merge(_sections(file.read_text(encoding="utf-8"), file.resolve().parent))
    return "\n".join(merged.write()) + "\n"


def _sections(text: str, base: Path | None) -> ConfigObj:
    """Settings with whole paths where they hold folders, as they are read elsewhere; `base` is what relative ones start from."""
    found = ConfigObj(text.splitlines())
    for section in found.sections:
        url = str(found[section].get("url", ""))
        if url and "://" not in url:
            whole = Path(url).expanduser()
            found[section]["url"] = str(whole if base is None else (base / whole).resolve())
    return found
