"""Old versions leave storage: all but the newest few, and whatever is in a stage, was last there, or is the way back of one.

A version that goes is deregistered, so that history still tells of it and its number is never given again; then those of its
files leave storage that nothing else needs: no version that stays, no branch, no other tag, no experiment, not the workspace.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attune.registry.journal import Event, Journal, read_journal
from attune.registry.sharing import refresh, require_repository, share
from attune.registry.storing import listing, opened
from attune.registry.tracked import artifact_at
from attune.shell import Shell

if TYPE_CHECKING:
    from dvc.repo import Repo


@dataclass(frozen=True)
class Plan:
    """What is to go."""

    name: str
    versions: tuple[str, ...]
    """Oldest first."""
    kept: tuple[str, ...]
    files: tuple[str, ...]
    """Digests of objects in storage, lists of folders first, so that no list ever names what is gone."""
    size_mb: float


def prune(shell: Shell, name: str, keep: int, remove: bool) -> Plan:
    """What goes if only `keep` of the newest versions stay; with `remove` it is gone. A command that was killed is finished by
    the next."""
    require_repository(shell)
    remote = refresh(shell, name)
    known = read_journal(shell, name)
    going = leaving(known, keep)
    before = [event for event in known.registered() if event.version in known.pruned()]
    staying = [event for event in known.versions() if event not in going]
    with opened(shell) as repo:
        model = artifact_at(shell, name, "HEAD")
        storage = repo.cloud.get_remote_odb(model.remote)
        files, size = _unneeded(shell, repo, storage, name, [*going, *before], staying)
        if remove:
            if going:
                share(shell, name, remote, lambda: [shell.run("gto", "deprecate", name, event.version) for event in going])
            for digest in files:
                shell.tell(f"# remove {storage.fs.unstrip_protocol(storage.oid_to_path(digest))}")
                storage.delete(digest)
    return Plan(name, tuple(e.version for e in going), tuple(e.version for e in staying), tuple(files), size / 1e6)


def leaving(known: Journal, keep: int) -> list[Event]:
    """The versions that are neither among the newest `keep`, nor in a stage, nor what one had last or would be rolled back to."""
    there = known.versions()
    stages = {event.stage for event in known.events if event.stage is not None}
    held = {*known.stages().values(), *map(known.way_back, stages), *map(known.left, stages)}
    return [event for event in there[: max(0, len(there) - keep)] if event.version not in held]


def _unneeded(
    shell: Shell, repo: "Repo", storage: Any, name: str, going: Iterable[Event], staying: Iterable[Event]
) -> tuple[list[str], int]:
    """Digests of what only versions that go have in storage, and its size in bytes."""
    wanted = dict[str, None]()
    for event in going:
        model = artifact_at(shell, name, event.commit)
        if storage.exists(model.digest):
            wanted |= dict.fromkeys([model.digest, *listing(repo, storage, model)])
    if not wanted:
        return [], 0
    needed = _needed(shell, repo, name, staying)
    files = [digest for digest in wanted if digest not in needed and storage.exists(digest)]
    files.sort(key=lambda digest: not digest.endswith(".dir"))
    return files, sum(int(storage.fs.size(storage.oid_to_path(digest)) or 0) for digest in files)


def _needed(shell: Shell, repo: "Repo", name: str, staying: Iterable[Event]) -> set[str]:
    """Digests of everything that something else refers to. DVC raises where it cannot tell, so nothing is removed by mistake."""
    listed = shell.ask("git", "for-each-ref", "--format=%(objectname)", "refs/heads", "refs/remotes").out.split()
    tags = shell.ask("git", "for-each-ref", "--format=%(refname:strip=2)", "refs/tags").out.splitlines()
    others = [tag for tag in tags if not tag.startswith((f"{name}@", f"{name}#"))]
    revisions = dict.fromkeys([*listed, *others, *(event.commit for event in staying), "HEAD"])
    used = repo.used_objs(revs=list(revisions), all_experiments=True)
    found = set[str]()
    for objects in used.values():
        for each in objects:
            found.add(str(getattr(each, "oid", None) or getattr(each, "value", None)))
            if hasattr(each, "as_list"):
                found |= {str(row["md5"]) for row in each.as_list() if "md5" in row}
    return found
