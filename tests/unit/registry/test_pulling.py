"""`attune model pull`: the folder is complete or absent, right or repaired, and left alone where nothing changed."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
import tomlkit
import yaml
from projects import commit, git
from registries import Place, make_place

from attune.checksums import CHECKSUMS
from attune.errors import RegistryError, StorageError
from attune.registry.origins import Source
from attune.registry.pulling import Pulled, pull
from attune.registry.stamps import STAMP, folder_digest, states
from attune.shell import Shell

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("torch", "transformers", "librosa", "ctranslate2", "peft", "accelerate", "faster_whisper", "datasets", "numba")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two versions, the second one in production."""
    anna = make_place(tmp_path_factory.mktemp("made") / "anna")
    anna.said("model", "register")
    anna.said("model", "promote", "--yes")
    anna.train("second")
    anna.said("model", "register")
    anna.said("model", "promote", "--yes")
    git(anna.folder, "push", "--quiet", "origin", "main")
    return anna


class Deployment:
    """Pulls into a folder, and notes the commands."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder, self.repository, self.told = folder, repository, list[str]()

    def pull(self, stage: str | None = "prod", version: str | None = None, name: str = "stt") -> Pulled:
        self.told.clear()
        source = Source(str(self.repository), name, None if version else stage, version, None)
        return pull(Shell(self.folder.parent, self.told.append), source, self.folder)

    @property
    def asked_dvc(self) -> bool:
        return any(line.startswith("$ dvc") for line in self.told)


@pytest.fixture
def deployed(made: Place, tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "model", made.folder.parent / "shared.git")


@pytest.fixture
def own(made: Place, tmp_path: Path) -> Place:
    """The project again, with what it shares, to change."""
    shutil.copytree(made.folder.parent, tmp_path / "w")
    place = Place(tmp_path / "w" / "anna")
    git(place.folder, "remote", "set-url", "origin", str(tmp_path / "w" / "shared.git"))
    place.dvc("remote", "modify", "--quiet", "storage", "url", str(tmp_path / "w" / "storage"))
    commit(place.folder, "storage of its own")
    git(place.folder, "push", "--quiet", "origin", "main")
    return place


def test_what_is_in_the_stage_comes_whole_and_a_second_time_nothing_is_asked_but_the_tags(deployed: Deployment) -> None:
    assert deployed.pull() == Pulled("v1.1.0", "fetched", ())
    assert (deployed.folder / "model.bin").read_text() == "second" * 100
    assert oct((deployed.folder / "model.bin").stat().st_mode)[-3:] == "644"
    assert deployed.pull() == Pulled("v1.1.0", "unchanged", ())
    assert [line.split()[1:3] for line in deployed.told] == [["git", "ls-remote"]]
    assert deployed.pull(version="v1.1.0").how == "unchanged"
    assert not deployed.asked_dvc
    (deployed.folder / "model.bin").write_text("tampered")
    (deployed.folder / "sub" / "more.json").write_text("{}")
    assert deployed.pull() == Pulled("v1.1.0", "fetched", ("model.bin", "sub/more.json"))
    assert (deployed.folder / "model.bin").read_text() == "second" * 100
    assert not (deployed.folder / "sub" / "more.json").exists()


def test_another_version_comes_from_storage_and_the_former_one_from_beside_it(deployed: Deployment) -> None:
    deployed.pull(version="v1.0.0")
    first = {path: (deployed.folder / path).read_bytes() for path in ("model.bin", "sub/config.json")}
    assert deployed.pull().how == "fetched"
    back = deployed.pull(version="v1.0.0")
    assert back == Pulled("v1.0.0", "from the former folder", ())
    assert not deployed.asked_dvc
    assert {path: (deployed.folder / path).read_bytes() for path in first} == first
    assert deployed.pull().how == "from the former folder"
    assert sorted(path.name for path in deployed.folder.parent.iterdir()) == [".model.lock", ".model.previous", "model"]


def test_a_rollback_brings_the_old_bytes(own: Place, tmp_path: Path) -> None:
    deployed = Deployment(tmp_path / "model", own.folder.parent / "shared.git")
    deployed.pull()
    own.said("model", "rollback")
    assert deployed.pull() == Pulled("v1.0.0", "fetched", ())
    assert (deployed.folder / "model.bin").read_text() == "first" * 100


def test_an_old_version_comes_from_where_storage_is_today(own: Place, tmp_path: Path) -> None:
    deployed = Deployment(tmp_path / "model", own.folder.parent / "shared.git")
    storage = own.folder.parent / "storage"  # another one than the commits of both versions name
    assert str(storage) not in git(own.folder, "show", "stt@v1.0.0:.dvc/config")
    gone = next(path for path in storage.rglob("*") if path.is_file() and path.read_bytes() == b"first" * 100)
    gone.unlink()
    with pytest.raises(StorageError, match=r"No storage files available: 'models/ct2/model\.bin'"):
        deployed.pull(version="v1.0.0")


def test_a_project_pulls_from_its_own_tags_and_cache(own: Place) -> None:
    shutil.rmtree(own.folder.parent / "storage")
    source = Source(".", "stt", "prod", None, None)
    assert pull(Shell(own.folder, lambda line: None), source, own.folder.parent / "model").version == "v1.1.0"


def test_what_is_not_to_be_had_leaves_the_folder_as_it_was(own: Place, tmp_path: Path) -> None:
    deployed = Deployment(tmp_path / "model", own.folder.parent / "shared.git")
    for told, asked in (
        ("no version v7.0.0", {"version": "v7.0.0"}),
        ("no version of stt is in stage staging", {"stage": "staging"}),
        ("has no version of tts", {"name": "tts"}),
    ):
        with pytest.raises(RegistryError, match=told):
            deployed.pull(**asked)
    deployed.repository = tmp_path / "nothing.git"
    with pytest.raises(RegistryError, match="cannot be read as a git repository"):
        deployed.pull()
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    deployed.repository = tmp_path / "empty.git"
    with pytest.raises(RegistryError, match="has no default branch"):
        deployed.pull()
    assert not deployed.folder.exists()
    deployed.repository = own.folder.parent / "shared.git"
    deployed.pull(version="v1.0.0")
    gone = next(p for p in (own.folder.parent / "storage").rglob("*") if p.is_file() and p.read_bytes() == b"second" * 100)
    gone.unlink()
    with pytest.raises(StorageError, match="could not be fetched"):
        deployed.pull()
    assert (deployed.folder / "model.bin").read_text() == "first" * 100
    gone.write_bytes(b"damage" * 100)
    with pytest.raises(StorageError, match=r"v1\.1\.0 is damaged in storage: model\.bin"):
        deployed.pull()
    assert deployed.pull(version="v1.0.0").how == "unchanged"


def test_a_folder_of_somebody_elses_is_never_overwritten(deployed: Deployment) -> None:
    deployed.folder.mkdir()
    (deployed.folder / "thesis.txt").write_text("years of work")
    with pytest.raises(RegistryError, match="was not made by attune model pull"):
        deployed.pull()
    assert (deployed.folder / "thesis.txt").read_text() == "years of work"


def test_a_killed_pull_leaves_nothing_that_the_next_one_trips_over(deployed: Deployment) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (deployed.folder.parent / f".model.{dead.pid}.draft").mkdir()
    (deployed.folder.parent / f".model.{dead.pid}.draft" / "half").write_text("x")
    deployed.pull()
    assert sorted(path.name for path in deployed.folder.parent.iterdir()) == [".model.lock", "model"]


def test_a_folder_that_denies_its_own_digests_is_refused(own: Place, tmp_path: Path) -> None:
    model = own.folder / "models" / "ct2"
    (model / CHECKSUMS).write_text(f"{'0' * 64}  model.bin\n")
    own.dvc("add", "--quiet", "models/ct2")
    commit(own.folder, "sums")
    own.said("model", "register")
    deployed = Deployment(tmp_path / "model", own.folder.parent / "shared.git")
    with pytest.raises(StorageError, match=r"is not what its SHA256SUMS says: changed: model\.bin"):
        deployed.pull(version="v1.2.0")
    assert not deployed.folder.exists()


def test_a_folder_has_the_digest_that_dvc_gives_it(made: Place) -> None:
    (out,) = yaml.safe_load((made.folder / "models" / "ct2.dvc").read_text())["outs"]
    files = {file.path: file.md5 for file in states(made.folder / "models" / "ct2")}
    assert len(files) == 2
    assert folder_digest(files) == out["md5"]


def test_a_deployment_needs_nothing_heavy(made: Place, tmp_path: Path) -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r}))\n"  # importing one of them is an ImportError then
    run = "from attune.cli import main; main()"
    command = ["model", "pull", "-o", str(tmp_path / "model"), "--repo", str(made.folder.parent / "shared.git")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", blocked + run, *command], env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model" / STAMP).is_file()


def test_the_slim_install_pulls_in_nothing_heavy() -> None:
    project = tomlkit.parse((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {_name(line) for line in [*project["dependencies"], *project["optional-dependencies"]["pull"]]}
    assert {"dvc", "gto", "dvc-gs"} <= wanted
    closure = set[str]()
    while wanted:
        package = wanted.pop()
        closure.add(package)
        lines = [line for line in requires(package) or [] if "extra ==" not in line]
        wanted |= {_name(line) for line in lines if _installed(_name(line))} - closure
    assert len(closure) > 30
    assert not closure & {name.replace("_", "-") for name in HEAVY}


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _installed(name: str) -> bool:
    try:
        requires(name)
    except ModuleNotFoundError:
        return False
    return True
