"""How a tag becomes everybody's: it is made here, pushed to the repository that all share, and taken back where that refuses.

Git refuses a tag that is there already. GTO counts the stages it assigns (`stt#prod#3`), so that of two people who promote at
once both make the same tag, one gets it in, and the other is told.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attune.errors import RegistryError
from attune.files import process_runs
from attune.registry.journal import tag_refs
from attune.shell import Answer, Shell

_DRAFT = "attune-registry"
"""File in git's folder while a command makes tags: its process, then the tags that there were."""
_REFUSED = ("[rejected]", "already exists", "cannot lock ref", "failed to update ref")


def require_repository(shell: Shell) -> None:
    """Raises RegistryError where there is no git repository with a commit, or it is not one of DVC's."""
    if shell.ask("git", "rev-parse", "--is-inside-work-tree").out.strip() != "true":
        raise RegistryError(f"{shell.folder.resolve()} is not in a git repository, and versions are its tags; run: git init")
    if shell.ask("git", "rev-parse", "--verify", "--quiet", "HEAD").code:
        raise RegistryError("the git repository has no commit yet; run: git add --all && git commit -m 'my first run'")
    if not (shell.folder / ".dvc").is_dir():
        raise RegistryError(f"{shell.folder.resolve()} has no .dvc; run from the project's root, or: dvc init")


def shared_repository(shell: Shell) -> str | None:
    """The name of the git remote that tags are shared through; None where there is none."""
    names = shell.ask("git", "remote").out.split()
    if "origin" in names or len(names) < 2:
        return "origin" if "origin" in names else next(iter(names), None)
    raise RegistryError(f"git has the remotes {', '.join(names)}, and none is origin; say which: git remote rename NAME origin")


def refresh(shell: Shell, name: str) -> str | None:
    """Gets the tags that others made of artifact `name`, and says which git remote it asked; what a killed command left goes."""
    _require_nobody_else(shell)
    remote = shared_repository(shell)
    if remote is None:
        _draft(shell).unlink(missing_ok=True)
        return None
    answer = shell.answer("git", "fetch", remote, *(f"{ref}:{ref}" for ref in tag_refs(name)))
    if "would clobber" in answer.err:
        tag = next(line.split("->")[0].split()[-1] for line in answer.err.splitlines() if "would clobber" in line)
        raise RegistryError(
            f"tag {tag} says one thing here and another one in {remote}; to take what is there: git tag --delete '{tag}' && "
            f"git fetch {remote} 'refs/tags/{tag}:refs/tags/{tag}'"
        )
    if answer.code:
        raise RegistryError(f"git remote {remote} cannot be reached: {answer.said}; see: git remote -v")
    _take_back_drafts(shell, name, remote)
    return remote


def catch_up(shell: Shell, name: str) -> None:
    """As `refresh`, for commands that only look: where it cannot be, why is told, and what this copy knows is what there is."""
    try:
        refresh(shell, name)
    except RegistryError as error:
        shell.tell(f"# shown is what this copy knows, as {error}")


def share(shell: Shell, name: str, remote: str | None, make: Callable[[], object]) -> None:
    """Calls `make`, which makes tags of `name`, and pushes those; where that fails none of them stays. Raises RegistryError."""
    before = _tags(shell, name)
    with _drafting(shell, before):
        try:
            make()
            made = [tag for tag in _tags(shell, name) if tag not in before]
            if remote is not None:
                refs = (f"refs/tags/{tag}" for tag in made)
                _require_pushed(shell.answer("git", "push", "--quiet", "--atomic", remote, *refs), made, remote)
        except BaseException:
            for tag in _tags(shell, name):
                if tag not in before:
                    shell.answer("git", "tag", "--delete", tag)
            raise
    if remote is None:
        shell.tell("# there is no git remote, so nobody else sees this; add one, then: git push --tags")


def _require_pushed(answer: Answer, tags: list[str], remote: str) -> None:
    if not answer.code:
        return
    listed = ", ".join(tags)
    if any(sign in answer.err for sign in _REFUSED):
        raise RegistryError(
            f"somebody else was quicker: {remote} has {listed} already, so yours was taken back; see what it is with "
            "attune model history, then run yours again if it is still wanted"
        )
    raise RegistryError(f"{listed} could not be pushed to {remote} and was taken back: {answer.said}; run it again")


def _tags(shell: Shell, name: str) -> list[str]:
    """All of the artifact, as they stand here."""
    return shell.ask("git", "for-each-ref", "--format=%(refname:strip=2)", *tag_refs(name)).out.splitlines()


@contextmanager
def _drafting(shell: Shell, tags: list[str]) -> Iterator[None]:
    """Notes that tags are being made, so that those of a command that is killed can be told from others."""
    draft = _draft(shell)
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write("\n".join([str(os.getpid()), *tags]))  # a few bytes: they are there at once, or not at all
    except FileExistsError:
        _require_nobody_else(shell)
        raise RegistryError("another attune model command has just ended here; run yours again") from None
    try:
        yield
    finally:
        draft.unlink(missing_ok=True)


def _require_nobody_else(shell: Shell) -> None:
    draft = _draft(shell)
    owner = draft.read_text(encoding="utf-8").split("\n")[0] if draft.is_file() else ""
    if owner.isdigit() and int(owner) != os.getpid() and process_runs(int(owner)):
        raise RegistryError(f"another attune model command makes tags here (process {owner}); wait until it has ended")


def _take_back_drafts(shell: Shell, name: str, remote: str) -> None:
    """Removes tags that a killed command made and did not share."""
    draft = _draft(shell)
    if not draft.is_file():
        return
    before = draft.read_text(encoding="utf-8").split("\n")[1:]
    shared = {line.split("refs/tags/")[-1] for line in shell.run("git", "ls-remote", remote, *tag_refs(name)).splitlines()}
    for tag in _tags(shell, name):
        if tag not in before and tag not in shared:
            shell.answer("git", "tag", "--delete", tag)
    draft.unlink(missing_ok=True)


def _draft(shell: Shell) -> Path:
    return (shell.folder / shell.ask("git", "rev-parse", "--git-common-dir").out.strip()) / _DRAFT
