"""Pushing to and pulling from Google's storage, over an emulator: whole after a kill of either side, and damage is noticed."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud import Emulator, emulating, environment
from projects import commit, git
from registries import GIT, Place, make_place, own_place

PARTS, PART = 24, 400_000
"""Of a model; none ends in a line break, which the emulator takes for the end of the message and drops."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A project whose storage is a bucket, the folder of that cloud, and where it answered."""
    folder = tmp_path_factory.mktemp("made")
    with emulating(folder / "cloud") as server:
        (folder / "w").mkdir()
        place = make_place(folder / "w" / "anna")
        place.run("attune", "storage", "use", "gs://bkt/store", *server.options)
    return folder / "w", folder / "cloud", server.endpoint


@pytest.fixture
def cloud(made: tuple[Path, Path, str], tmp_path: Path) -> Iterator[Emulator]:
    shutil.copytree(made[1], tmp_path / "cloud")
    with emulating(tmp_path / "cloud") as server:
        yield server


@pytest.fixture
def anna(made: tuple[Path, Path, str], tmp_path: Path, cloud: Emulator) -> Place:
    """A copy of one's own."""
    return own_place(made[0], tmp_path / "w", (made[2], cloud.endpoint))


@pytest.fixture
def big(anna: Place) -> Place:
    """With a model of many files, so that a push takes a while."""
    for number in range(PARTS):
        (anna.folder / "models" / "ct2" / f"part-{number:02}.bin").write_bytes(bytes([65 + number]) * PART)
    anna.dvc("add", "--quiet", "models/ct2")
    commit(anna.folder, "parts")
    git(anna.folder, "push", "--quiet", "origin", "main")
    return anna


def push(place: Place) -> "subprocess.Popen[bytes]":
    """Begun, in the background."""
    command = [sys.executable, "-m", "dvc", "push", "--jobs", "1"]
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=place.folder, env={**environment(), **GIT}, stdout=silent, stderr=silent)


def wait_for_the_first(cloud: Emulator, pushing: "subprocess.Popen[bytes]") -> None:
    while not cloud.objects():
        assert pushing.poll() is None, "the push ended before it was seen"
        time.sleep(0.005)


def assert_a_fresh_clone_gets_the_same(place: Place, folder: Path) -> None:
    fresh = place.clone(folder)
    assert "in sync" in place.run("dvc", "status", "--cloud")
    fresh.run("dvc", "pull")
    there, here = (sorted(p for p in (each.folder / "models").rglob("*") if p.is_file()) for each in (fresh, place))
    assert len(there) > 1
    assert [p.read_bytes() for p in there] == [p.read_bytes() for p in here]


def test_a_fresh_clone_pulls_what_was_pushed_and_a_deployment_what_is_promoted(anna: Place, tmp_path: Path) -> None:
    anna.run("attune", "model", "register")
    anna.run("attune", "model", "promote", "--yes")
    assert_a_fresh_clone_gets_the_same(anna, tmp_path / "w" / "ben")
    deployment = Place(tmp_path)
    repository = ("--repo", str(tmp_path / "w" / "shared.git"))
    assert "fetched" in deployment.run("attune", "model", "pull", "--stage", "prod", "-o", "deployed", *repository)
    assert (tmp_path / "deployed" / "model.bin").read_bytes() == (anna.folder / "models" / "ct2" / "model.bin").read_bytes()


def test_a_push_whose_client_is_killed_is_made_whole_by_the_next(big: Place, cloud: Emulator, tmp_path: Path) -> None:
    pushing = push(big)
    wait_for_the_first(cloud, pushing)
    pushing.kill()
    pushing.wait()
    assert len(cloud.objects()) < PARTS
    big.run("dvc", "push")
    assert_a_fresh_clone_gets_the_same(big, tmp_path / "w" / "ben")


def test_a_push_outlives_a_server_that_is_killed_and_comes_back(big: Place, cloud: Emulator, tmp_path: Path) -> None:
    pushing = push(big)
    wait_for_the_first(cloud, pushing)
    cloud.kill()
    cloud.start()
    pushing.wait()
    big.run("dvc", "push")  # what the first one did not get there
    assert_a_fresh_clone_gets_the_same(big, tmp_path / "w" / "ben")


def test_a_damaged_object_is_noticed_named_and_mended(anna: Place, cloud: Emulator, tmp_path: Path) -> None:
    anna.run("attune", "model", "register")
    anna.run("attune", "model", "promote", "--yes")
    assert "damaged" not in anna.run("attune", "storage", "check").replace("0 damaged", "")
    damaged = next(path for path in cloud.objects() if path.stat().st_size == 500)
    cloud.overwrite(damaged, b"x" * 500)
    deployment = Place(tmp_path)
    repository = ("--repo", str(tmp_path / "w" / "shared.git"))
    said = deployment.run("attune", "model", "pull", "-o", "deployed", *repository, expect=2)
    assert "v1.0.0 is not whole in storage: model.bin damaged" in said
    assert not (tmp_path / "deployed").exists()
    fresh = anna.clone(tmp_path / "w" / "ben")
    assert "failed to pull" in fresh.run("dvc", "pull", expect=1)
    name = f"{damaged.parent.name}/{damaged.name}"
    assert f"{name}: damaged" in fresh.run("attune", "storage", "check", expect=2)
    assert f"{name}: damaged; removed" in fresh.run("attune", "storage", "check", "--remove")
    anna.run("dvc", "push")
    assert_a_fresh_clone_gets_the_same(anna, tmp_path / "w" / "cleo")


def test_a_single_artifact_and_recordings_from_a_bucket(anna: Place, cloud: Emulator, tmp_path: Path) -> None:
    (anna.folder / "other").mkdir()
    (anna.folder / "other" / "x.wav").write_bytes(b"sound")
    anna.dvc("add", "--quiet", "other")
    anna.run("dvc", "push")
    fresh = anna.clone(tmp_path / "w" / "ben")
    fresh.run("dvc", "pull", "models/ct2")
    assert (fresh.folder / "models" / "ct2" / "model.bin").is_file()
    sound = next(path for path in cloud.objects() if path.read_bytes() == b"sound")
    where = f"remote://storage/files/md5/{sound.parent.name}/{sound.name}"
    fresh.run("dvc", "import-url", where, "imported.wav")
    assert (fresh.folder / "imported.wav").read_bytes() == b"sound"


def test_a_folder_of_recordings_in_a_bucket_is_imported_and_follows_it(anna: Place, cloud: Emulator, tmp_path: Path) -> None:
    for name, sound in (("anna/a.wav", b"one"), ("anna/a.txt", b"what was said"), ("ben/b c.wav", b"two")):
        cloud.put(f"store/recordings/{name}", sound)
    (anna.folder / "data").mkdir()
    anna.run("dvc", "import-url", "remote://storage/recordings", "data/raw")
    raw = anna.folder / "data" / "raw"
    assert sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file()) == [
        "anna/a.txt", "anna/a.wav", "ben/b c.wav",
    ]  # fmt: skip
    assert (raw / "ben" / "b c.wav").read_bytes() == b"two"
    cloud.put("store/recordings/cleo/c.wav", b"three")
    anna.run("dvc", "update", "data/raw.dvc")
    assert (raw / "cleo" / "c.wav").read_bytes() == b"three"
    commit(anna.folder, "recordings")
    git(anna.folder, "push", "--quiet", "origin", "main")
    anna.run("dvc", "push")
    fresh = anna.clone(tmp_path / "w" / "ben")
    fresh.run("dvc", "pull", "data/raw.dvc")
    assert (fresh.folder / "data" / "raw" / "cleo" / "c.wav").read_bytes() == b"three"
