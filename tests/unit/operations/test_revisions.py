import subprocess
import sys
from pathlib import Path

import pytest
from projects import commit, git

from attune.errors import DataError
from attune.operations.revisions import WORKSPACE, Repository, Revision


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "figures.json").write_text("old")
    commit(tmp_path, "first")
    return tmp_path


def experiment(folder: Path, name: str, baseline: str, made: str) -> None:
    git(folder, "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", made)


def test_files_are_read_as_they_stood(folder: Path) -> None:
    (folder / "figures.json").write_text("new")
    repository = Repository(folder)
    assert repository.text(repository.resolve("HEAD"), Path("figures.json")) == "old"
    assert repository.text(repository.resolve(WORKSPACE), Path("figures.json")) == "new"
    assert repository.text(repository.resolve("HEAD"), Path("other.json")) is None
    assert repository.tracked_text(repository.resolve("HEAD"), Path("other.json")) is None


def test_experiments_are_found_by_name_and_by_the_commit_they_were_made_from(folder: Path) -> None:
    first, second = git(folder, "rev-parse", "HEAD"), commit(folder, "second")
    experiment(folder, "keen-ant", first, second)
    assert Repository(folder).resolve("keen-ant") == Revision("keen-ant", second)
    assert Repository(folder).experiments(first) == [Revision("keen-ant", second)]
    assert Repository(folder).experiments(second) == []


def test_experiments_stand_in_the_order_of_the_numbers_in_their_names(folder: Path) -> None:
    first = git(folder, "rev-parse", "HEAD")
    for rank in (16, 4, 8):
        experiment(folder, f"rank-{rank}", first, commit(folder, str(rank)))
    assert [each.name for each in Repository(folder).experiments(first)] == ["rank-4", "rank-8", "rank-16"]


def test_a_name_of_two_experiments_is_refused_with_what_tells_them_apart(folder: Path) -> None:
    first, second = git(folder, "rev-parse", "HEAD"), commit(folder, "second")
    experiment(folder, "keen-ant", first, second)
    experiment(folder, "keen-ant", second, first)
    with pytest.raises(DataError, match=rf"names 2 experiments.*refs/exps/{first[:2]}/{first[2:]}/keen-ant"):
        Repository(folder).resolve("keen-ant")
    assert Repository(folder).resolve(f"refs/exps/{first[:2]}/{first[2:]}/keen-ant").commit == second


@pytest.mark.parametrize("name", ["nobody", "", "*", "--all", "HEAD:figures.json", "HEAD~9"])
def test_what_names_no_commit_is_refused(folder: Path, name: str) -> None:
    experiment(folder, "keen-ant", *[git(folder, "rev-parse", "HEAD")] * 2)
    with pytest.raises(DataError, match="neither a commit"):
        Repository(folder).resolve(name)


def test_a_whole_hash_is_called_by_its_beginning(folder: Path) -> None:
    head = git(folder, "rev-parse", "HEAD")
    assert Repository(folder).resolve(head) == Revision(head[:7], head)


def test_what_dvc_keeps_in_its_cache_is_read_too(folder: Path) -> None:
    def dvc(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "dvc", *arguments, "--quiet"], cwd=folder, check=True, timeout=120)

    dvc("init")
    (folder / "kept.json").write_text("old")
    dvc("add", "kept.json")
    head = commit(folder, "with DVC")
    (folder / "kept.json").write_text("new")
    assert Repository(folder).tracked_text(Revision("HEAD", head), Path("kept.json")) == "old"
