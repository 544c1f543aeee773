"""Files of the project as they stood in git: at commits, branches, tags and DVC experiments, or as they stand now.

Experiments are refs that DVC keeps below `refs/exps` (dvc.repo.experiments.refs): two folders of their baseline's hash, then
the name. What git does not hold, as the graph keeps it in DVC's cache, is asked of DVC.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from attune.errors import DataError, EnvironmentFault

WORKSPACE = "workspace"
"""The name of what stands in the folder now, committed or not; as DVC calls it."""


@dataclass(frozen=True)
class Revision:
    """A state of the project; `commit` is None for the workspace."""

    name: str
    commit: str | None


@dataclass(frozen=True)
class Commit:
    """One of a history."""

    revision: Revision
    date: str
    """ISO 8601, to the day."""
    subject: str


class Repository:
    """The git repository that `folder`, the project's root, is in or below. Raises DataError where there is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if self._git("rev-parse", "--is-inside-work-tree") is None:
            raise DataError(
                f"{folder.resolve()} is not in a git repository, so there are no revisions; make it one with: git init"
            )

    def resolve(self, name: str) -> Revision:
        """`workspace`, a name of an experiment, or whatever git calls a commit. Raises DataError where it is none of them."""
        if name == WORKSPACE:
            return Revision(name, None)
        commit = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if commit is not None:
            return Revision(name[:7] if name == commit.strip() else name, commit.strip())
        found = self._experiments(f"refs/exps/??/*/{name}") if name and not set(name) & set("*?[") else []
        if not found:
            raise DataError(
                f"{name!r} is neither a commit, branch or tag of git nor an experiment of DVC; see: git log, dvc exp list -A"
            )
        commits = {commit for _, commit in found}
        if len(commits) > 1:
            refs = ", ".join(ref for ref, _ in found)
            raise DataError(f"{name!r} names {len(found)} experiments, made from several commits; say which one: {refs}")
        return Revision(name, found[0][1])

    def experiments(self, commit: str) -> list[Revision]:
        """Those that were made from `commit`, in the order of their names and of the numbers in these."""
        found = self._experiments(f"refs/exps/{commit[:2]}/{commit[2:]}/*")
        return [Revision(ref.rpartition("/")[2], made) for ref, made in found]

    def history(self, file: Path, most: int, until: Revision) -> list[Commit]:
        """The last `most` commits that changed `file`, oldest first, along the first parents of `until`."""
        shape = ("--first-parent", f"--max-count={most}", "--format=%h%x09%H%x09%cs%x09%s")
        listed = self._git("log", *shape, until.commit or "HEAD", "--", file.as_posix())
        lines = [line.split("\t", 3) for line in (listed or "").splitlines()]
        return [Commit(Revision(short, full), date, subject) for short, full, date, subject in reversed(lines)]

    def text(self, revision: Revision, file: Path) -> str | None:
        """What `file`, a path from the project's root, held then; None where git has no such file there."""
        if revision.commit is not None:
            return self._git("show", f"{revision.commit}:./{file.as_posix()}")
        place = self._folder / file
        return place.read_text(encoding="utf-8") if place.is_file() else None

    def tracked_text(self, revision: Revision, file: Path) -> str | None:
        """The same, asked of DVC where git has it not; slow then."""
        found = self.text(revision, file)
        if found is not None or revision.commit is None or not (self._folder / ".dvc").is_dir():
            return found
        from dvc.api import read
        from dvc.exceptions import DvcException

        try:
            content = read(file.as_posix(), repo=str(self._folder), rev=revision.commit)
        except (DvcException, OSError):
            return None
        return str(content)

    def _experiments(self, pattern: str) -> list[tuple[str, str]]:
        listed = self._git("for-each-ref", "--sort=version:refname", "--format=%(refname) %(objectname)", pattern)
        pairs = (line.rpartition(" ") for line in (listed or "").splitlines())
        return [(ref, commit) for ref, _, commit in pairs]

    def _git(self, *arguments: str) -> str | None:
        """What git answers; None where it refuses."""
        program = shutil.which("git")
        if program is None:
            raise EnvironmentFault("git is not installed, or not on PATH; revisions are told by it")
        environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
        done = subprocess.run(  # noqa: S603, a fixed program, no shell
            [program, *arguments], cwd=self._folder, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        return done.stdout if done.returncode == 0 else None


def distinct(revisions: Iterable[Revision], reference: Revision) -> list[Revision]:
    """Each state once, under its first name, and without that of `reference`: what is compared twice counts as two tests."""
    by_commit: dict[str | None, Revision] = {}
    for each in revisions:
        by_commit.setdefault(each.commit, each)
    return [each for commit, each in by_commit.items() if commit != reference.commit]
