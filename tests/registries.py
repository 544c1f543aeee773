"""A project whose model is a small folder under DVC, evaluated by hand, with a bare repository that it is shared through."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cloud
import yaml
from click.testing import CliRunner, Result
from projects import commit, evaluate_into, git, project

from attune.cli import main

ARTIFACT = {"artifacts": {"stt": {"path": "models/ct2", "type": "model"}}}
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{who}_{what}": "anna@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@dataclass(frozen=True)
class Place:
    """One person's clone."""

    folder: Path

    def attune(self, *arguments: str, answer: str | None = None) -> Result:
        return CliRunner(env=GIT).invoke(main, [*arguments, "--params", str(self.folder / "params.yaml")], input=answer)

    def said(self, *arguments: str) -> str:
        done = self.attune(*arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """The one line that says why."""
        done = self.attune(*arguments)
        assert done.exit_code == 2, done.output
        assert done.stdout == ""
        return next(line for line in done.stderr.splitlines() if line.startswith("attune: "))

    def run(self, *command: str, expect: int = 0) -> str:
        """What a command prints that runs in a process of its own; `attune` is this one."""
        program = [sys.executable, "-m", *({"attune": ["attune.cli"], "dvc": ["dvc"]}[command[0]])]
        environment = {**cloud.environment(), **GIT}
        done = subprocess.run(
            [*program, *command[1:]], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def train(self, weights: str, errors: int = 1) -> None:
        """Another model with so many errors in ten words, committed."""
        model = self.folder / "models" / "ct2"
        shutil.rmtree(model, ignore_errors=True)
        (model / "sub").mkdir(parents=True)
        (model / "model.bin").write_text(weights * 100)
        (model / "sub" / "config.json").write_text("{}")
        self.dvc("add", "--quiet", "models/ct2")
        evaluate_into(self.folder, errors)
        commit(self.folder, f"model {weights}")

    def dvc(self, *arguments: str) -> str:
        return dvc(self.folder, *arguments)

    def tags(self) -> list[str]:
        return git(self.folder, "tag").splitlines()

    def clone(self, folder: Path) -> "Place":
        """Another person's, of what was pushed."""
        git(folder.parent, "clone", "--quiet", git(self.folder, "remote", "get-url", "origin"), str(folder))
        return Place(folder)


def dvc(folder: Path, *arguments: str) -> str:
    """What it prints."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **GIT}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_place(folder: Path) -> Place:
    """A project with one model, `first`, pushed to `shared.git` beside it; DVC keeps its files in `storage` beside it."""
    place = Place(project(folder))
    git(folder, "init", "--quiet", "--bare", "--initial-branch", "main", str(folder.parent / "shared.git"))
    git(folder, "remote", "add", "origin", str(folder.parent / "shared.git"))
    place.dvc("init", "--quiet")
    place.dvc("remote", "add", "--quiet", "--default", "storage", str(folder.parent / "storage"))
    (folder / "dvc.yaml").write_text(yaml.safe_dump(ARTIFACT))
    place.train("first", errors=2)
    git(folder, "push", "--quiet", "origin", "main")
    return place


def own_place(made: Path, folder: Path, storage: tuple[str, str] | None = None) -> Place:
    """A copy in `folder` of the project `anna` in `made`, with a git remote and a storage of its own, to change.

    That is a folder beside it, or what DVC's settings say with the first text of `storage` replaced by the second.
    """
    shutil.copytree(made, folder)
    place = Place(folder / "anna")
    git(place.folder, "remote", "set-url", "origin", str(folder / "shared.git"))
    config = place.folder / ".dvc" / "config"
    before, after = storage or (str(made / "storage"), str(folder / "storage"))
    assert before in config.read_text()
    config.write_text(config.read_text().replace(before, after))
    commit(place.folder, "storage of its own")
    git(place.folder, "push", "--quiet", "origin", "main")
    return place
