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
from registries import Place, make_place, own_place

from attune.checksums import CHECKSUMS, verify_checksums, write_checksums
from attune.errors import AttuneError, RegistryError, StorageError
from attune.registry.origins import Source
from attune.registry.pulling import Pulled, pull
from attune.registry.stamps import STAMP
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
    def asked_storage(self) -> bool:
        return any(line.startswith("# as by: dvc artifacts get") for line in self.told)


@pytest.fixture
def deployed(made: Place, tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "model", made.folder.parent / "shared.git")


@pytest.fixture
def own(made: Place, tmp_path: Path) -> Place:
    """The project again, with what it shares, to change."""
    return own_place(made.folder.parent, tmp_path / "w")


def test_what_is_in_the_stage_comes_whole_and_a_second_time_nothing_is_asked_but_the_tags(deployed: Deployment) -> None:
    assert deployed.pull() == Pulled("v1.1.0", "fetched", ())
    assert deployed.asked_storage
    assert (deployed.folder / "model.bin").read_text() == "second" * 100
    assert oct((deployed.folder / "model.bin").stat().st_mode)[-3:] == "644"
    assert deployed.pull() == Pulled("v1.1.0", "unchanged", ())
    assert [line.split()[1:3] for line in deployed.told] == [["git", "ls-remote"]]
    assert deployed.pull(version="v1.1.0").how == "unchanged"
    assert not deployed.asked_storage
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
    assert not deployed.asked_storage
    assert {path: (deployed.folder / path).read_bytes() for path in first} == first
    assert deployed.pull().how == "from the former folder"
    assert sorted(path.name for path in deployed.folder.parent.iterdir()) == [".model.lock", ".model.previous", "model"]


def test_of_an_address_git_fetches_tags_first_and_a_folder_is_read_where_it_is(made: Place, tmp_path: Path) -> None:
    shared = made.folder.parent / "shared.git"
    for repository, fetches in ((shared.as_uri(), True), (str(shared), False)):
        told = list[str]()
        folder = tmp_path / f"fetched {fetches}"
        assert pull(Shell(tmp_path, told.append), Source(repository, "stt", "prod", None, None), folder).version == "v1.1.0"
        assert (folder / "model.bin").read_text() == "second" * 100
        assert any(" fetch " in line for line in told) == fetches


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
    with pytest.raises(StorageError, match=r"v1\.0\.0 is not whole in storage: model\.bin missing"):
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
    with pytest.raises(StorageError, match=r"model\.bin missing; from a clone that has it whole: git checkout 'stt@v1\.1\.0'"):
        deployed.pull()
    assert (deployed.folder / "model.bin").read_text() == "first" * 100
    gone.write_bytes(b"damage" * 100)
    with pytest.raises(
        StorageError, match=r"v1\.1\.0 is not whole in storage: model\.bin damaged; .*attune storage check --remove"
    ):
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


@pytest.mark.parametrize("wrong", ["", "no list", f"{'0' * 64}  gone.bin", f"{'0' * 64}  sub/config.json"])
def test_a_folder_with_digests_of_its_own_is_compared_with_those(own: Place, tmp_path: Path, wrong: str) -> None:
    model = own.folder / "models" / "ct2"
    write_checksums(model)
    (model / CHECKSUMS).write_text(wrong or (model / CHECKSUMS).read_text())
    own.dvc("add", "--quiet", "models/ct2")
    commit(own.folder, "sums")
    own.said("model", "register")
    deployed = Deployment(tmp_path / "model", own.folder.parent / "shared.git")
    if wrong:
        with pytest.raises(AttuneError, match="SHA256SUMS"):
            deployed.pull(version="v1.2.0")
        assert not deployed.folder.exists()
        return
    assert deployed.pull(version="v1.2.0").how == "fetched"
    assert verify_checksums(deployed.folder).whole
    (deployed.folder / "model.bin").touch()  # its MD5 was never computed, and is known
    assert deployed.pull(version="v1.2.0").how == "unchanged"
    (gone,) = (p for p in (own.folder.parent / "storage").rglob("*") if p.is_file() and p.read_bytes() == b"second" * 100)
    gone.chmod(0o644)
    gone.write_bytes(b"damage" * 100)
    shutil.rmtree(deployed.folder)
    with pytest.raises(StorageError, match=r"not whole in storage: model\.bin damaged"):
        deployed.pull(version="v1.2.0")


def test_a_list_of_files_that_is_damaged_or_gone_is_told(own: Place, tmp_path: Path) -> None:
    deployed = Deployment(tmp_path / "model", own.folder.parent / "shared.git")
    (out,) = yaml.safe_load((own.folder / "models" / "ct2.dvc").read_text())["outs"]
    (listed,) = (own.folder.parent / "storage").rglob(f"{out['md5'][2:]}")
    listed.chmod(0o644)
    listed.write_text("[]")
    with pytest.raises(StorageError, match=rf"could not be fetched: the list of its files \({out['md5']}\) is damaged in "):
        deployed.pull()
    listed.unlink()
    with pytest.raises(StorageError, match=r"is not in "):
        deployed.pull()
    assert not deployed.folder.exists()


def test_what_is_damaged_in_the_cache_comes_from_storage(own: Place, tmp_path: Path) -> None:
    (kept,) = (
        path for path in (own.folder / ".dvc" / "cache").rglob("*") if path.is_file() and path.read_bytes() == b"second" * 100
    )
    kept.chmod(0o644)
    kept.write_bytes(b"damage" * 100)
    assert pull(Shell(own.folder, lambda line: None), Source(".", "stt", "prod", None, None), tmp_path / "model").how == "fetched"
    assert (tmp_path / "model" / "model.bin").read_text() == "second" * 100


def test_settings_of_the_person_are_those_that_dvc_has(own: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = own.folder.parent / "storage"
    storage.rename(tmp_path / "moved")
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "config").write_text(f"['remote \"moved\"']\nurl = {tmp_path / 'moved'}\n[core]\nremote = moved\n")
    deployed = Deployment(tmp_path / "model", own.folder.parent / "shared.git")
    with pytest.raises(StorageError):
        deployed.pull()
    own.dvc("remote", "default", "--unset")
    commit(own.folder, "everybody says where storage is")
    git(own.folder, "push", "--quiet", "origin", "main")
    with pytest.raises(StorageError, match=r"could not be fetched: DVC has no remote there"):
        deployed.pull()
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "settings"))
    assert deployed.pull().how == "fetched"


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
