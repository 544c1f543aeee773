"""Commands of git, GTO and DVC: each is told before it runs, and can be typed by hand."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from attune.errors import EnvironmentFault

_ESCAPED = str.maketrans({"\\": r"\\", "'": r"\'", "\n": r"\n"})
_GTO = "from gto.cli import app; app(prog_name='gto')"


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """What it said of its failure, on one line."""
        return " ".join((self.err.strip() or self.out.strip()).split())


@dataclass(frozen=True)
class Shell:
    """Runs commands in `folder` and passes each, as a line for a shell, to `tell`."""

    folder: Path
    tell: Callable[[str], None]
    from_root: bool = False
    """Whether files in git are named from the root of the repository, not from the folder."""

    def run(self, *command: str) -> str:
        """What it prints. Raises EnvironmentFault where it ends with a fault."""
        answer = self.answer(*command)
        if answer.code:
            raise EnvironmentFault(f"{_typed(command)} ended with code {answer.code}: {answer.said}")
        return answer.out

    def answer(self, *command: str) -> Answer:
        """How it ended, whatever that is. Raises EnvironmentFault where the program is missing."""
        self.tell(f"$ {_typed(command)}")
        return self.ask(*command)

    def ask(self, *command: str) -> Answer:
        """The same untold, for questions that change nothing."""
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "DVC_NO_ANALYTICS": "1"}
        done = subprocess.run(  # noqa: S603, fixed programs, no shell
            [*_program(command[0]), *command[1:]],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def text(self, revision: str, file: str) -> str | None:
        """What a file, named from the project's root, held at a revision; None where git has it not."""
        found = self.ask("git", "show", f"{revision}:{'' if self.from_root else './'}{file}")
        return None if found.code else found.out

    def within(self, repository: Path) -> "Shell":
        """The same in the root of another repository, which may be one without files."""
        return replace(self, folder=repository, from_root=True)


def _typed(command: Sequence[str]) -> str:
    """The command as a line for bash or zsh, also where an argument has several lines."""
    return " ".join(f"$'{part.translate(_ESCAPED)}'" if "\n" in part else shlex.quote(part) for part in command)


def _program(name: str) -> list[str]:
    """How to start it: GTO and DVC are those of this Python."""
    if name == "gto":
        return [sys.executable, "-c", _GTO]
    if name == "dvc":
        return [sys.executable, "-m", "dvc"]
    found = shutil.which(name)
    if found is None:
        raise EnvironmentFault(f"{name} is not installed, or not on PATH; install it")
    return [found]
