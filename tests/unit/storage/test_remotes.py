"""`attune storage use`: what it writes where a place can be used, and what it says where it cannot."""

import shutil
from pathlib import Path

import pytest
import yaml
from cloud import emulating, refusing
from projects import git
from registries import Place, make_place

from attune.errors import StorageError
from attune.shell import Shell
from attune.storage.explaining import explain
from attune.storage.probing import probe
from attune.storage.remotes import Access, use

ROOT = Path(__file__).resolve().parents[3]
NOTHING = Access(None, None, False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The shipped dvc.yaml and settings of DVC, in git."""
    folder = tmp_path / "project"
    (folder / ".dvc").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml", ".dvc/config"):
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    return folder


def shell(folder: Path) -> Shell:
    return Shell(folder, lambda line: None)


def test_out_of_the_box_a_folder_of_this_machine_is_the_remote() -> None:
    config = (ROOT / ".dvc" / "config").read_text()
    assert "remote = storage" in config
    assert "url = ~/" in config  # a clone anywhere on the machine finds it; a relative path would lead elsewhere


def test_a_folder_is_used_from_any_clone(project: Path) -> None:
    use(shell(project), {"storage": "../kept"}, NOTHING, Path("data/raw"))
    config = (project / ".dvc" / "config").read_text()
    assert f"url = {project.parent / 'kept'}" in config
    assert "verify = true" in config
    assert not list((project.parent / "kept").iterdir())  # the probe is gone


def test_models_and_test_people_can_have_places_of_their_own(project: Path) -> None:
    before = yaml.safe_load((project / "dvc.yaml").read_text())
    (project / "data").mkdir()
    (project / "data" / "raw.dvc").write_text("outs:\n- md5: aa.dir\n  path: raw\n")
    places = {"storage": "../data", "models": "../models", "test": "../private"}
    use(shell(project), places, NOTHING, Path("data/raw"))  # type: ignore[arg-type]
    use(shell(project), places, NOTHING, Path("data/raw"))  # type: ignore[arg-type]
    after = yaml.safe_load((project / "dvc.yaml").read_text())
    sent = {
        out: options["remote"] for stage in after["stages"].values() for out, options in _options(stage) if "remote" in options
    }
    assert sent == {
        "${paths.finetuned}": "models",
        "${paths.ct2}": "models",
        **dict.fromkeys(("${paths.prepared}", "${paths.baseline}", "${paths.gold}", "${paths.metrics}/report.html"), "test"),
    }
    for name, stage in after["stages"].items():
        assert stage["deps"] == before["stages"][name]["deps"]
        assert [out for out, _ in _options(stage)] == [out for out, _ in _options(before["stages"][name])]
    assert yaml.safe_load((project / "data" / "raw.dvc").read_text())["outs"][0]["remote"] == "test"
    assert (project / "dvc.yaml").read_text().count("#") == (ROOT / "dvc.yaml").read_text().count("#")


def test_credentials_stay_out_of_git(project: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    with pytest.raises(StorageError, match="--credentials names the JSON key"):
        use(shell(project), {"storage": "gs://bkt"}, Access(None, key, False), Path("data/raw"))


def test_a_place_that_cannot_be_used_changes_nothing(project: Path) -> None:
    before = (project / ".dvc" / "config").read_text()
    (project.parent / "file").write_text("in the way")
    with pytest.raises(StorageError):
        use(shell(project), {"storage": "../file/kept"}, NOTHING, Path("data/raw"))
    assert (project / ".dvc" / "config").read_text() == before


@pytest.mark.parametrize(
    ("url", "error", "advice"),
    [
        ("gs://b/p", FileNotFoundError("b/b/o"), "gcloud storage buckets create gs://b "),
        (
            "gs://b/p",
            OSError("Forbidden: https://x\nanna does not have storage.objects.create access"),
            "roles/storage.objectAdmin",
        ),
        ("gs://b/p", RuntimeError("Anonymous caller does not have access, 401"), "gcloud auth application-default login"),
        ("gs://b/p", ConnectionError("Cannot connect to host"), "check the network"),
        ("s3://b/p", FileNotFoundError("NoSuchBucket"), "aws s3 mb s3://b"),
        ("s3://b/p", ImportError("requires 'dvc-s3'"), "pip install dvc-s3"),
        ("/mnt/x", PermissionError("Permission denied"), "change its permissions"),
        ("gs://b/p", ValueError("something new"), "something new"),
    ],
)
def test_what_is_missing_is_told_with_the_command_that_mends_it(url: str, error: Exception, advice: str) -> None:
    assert advice in explain(url, error)


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        (401, "Anonymous caller does not have storage.objects.create access", "gcloud auth application-default login"),
        (403, "anna does not have storage.objects.create access", "add-iam-policy-binding gs://bkt"),
    ],
)
def test_where_google_refuses_the_reason_is_told(tmp_path: Path, code: int, message: str, advice: str) -> None:
    place = Place(tmp_path / "w" / "anna")
    (tmp_path / "w").mkdir()
    make_place(place.folder)
    with refusing(code, message) as endpoint:
        said = place.run("attune", "storage", "use", "gs://bkt/p", "--endpoint", endpoint, expect=2)
    assert advice in said
    assert "gs://bkt" not in (place.folder / ".dvc" / "config").read_text()


def test_a_missing_bucket_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    place = Place(tmp_path / "w" / "anna")
    (tmp_path / "w").mkdir()
    make_place(place.folder)
    with emulating(tmp_path / "cloud") as cloud:
        said = place.run("attune", "storage", "use", "gs://nobodys/p", *cloud.options, expect=2)
    assert "gcloud storage buckets create gs://nobodys" in said


def test_an_unknown_kind_of_place_is_refused() -> None:
    with pytest.raises(StorageError):
        probe("gopher://x/y", {})


def _options(stage: dict[str, list[object]]) -> list[tuple[str, dict[str, object]]]:
    return [next(iter(out.items())) if isinstance(out, dict) else (str(out), {}) for out in stage["outs"]]
