"""`attune storage use`: what it writes where a place can be used, and what it says where it cannot."""

import logging
import shutil
from pathlib import Path

import pytest
import yaml
from cloud import emulating, refusing
from projects import git
from registries import Place, make_place

from attune.errors import EnvironmentFault, StorageError
from attune.shell import Shell
from attune.storage.explaining import explain, explained
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


@pytest.mark.parametrize(
    ("url", "told"),
    [("gs://", "names no bucket"), ("s3:///x", "names no bucket"), ("../dépôt", "letters beyond ASCII"), ("foo://x", "foo://")],
)
def test_addresses_that_are_none_change_nothing(project: Path, url: str, told: str) -> None:
    before = (project / ".dvc" / "config").read_text()
    with pytest.raises(StorageError, match=told):
        use(shell(project), {"storage": url}, NOTHING, Path("data/raw"))
    assert (project / ".dvc" / "config").read_text() == before


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"type": "service_account", "client_email": "a@b"}'])
def test_a_key_that_is_none_is_told(project: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "key.json").write_text(content)
    with pytest.raises(StorageError, match=r"key\.json is no key of a service account: it lacks"):
        use(shell(project), {"storage": "gs://bkt"}, Access(None, tmp_path / "key.json", False), Path("data/raw"))


def test_settings_stand_as_they_were_where_dvc_cannot_write_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (project / ".dvc" / "config").read_text()

    def cut(self: Shell, *command: str) -> str:
        (project / ".dvc" / "config").write_text("")
        (project / ".dvc" / "config.local").write_text("half")
        raise EnvironmentFault("dvc ended")

    monkeypatch.setattr(Shell, "run", cut)
    with pytest.raises(EnvironmentFault):
        use(shell(project), {"storage": "../kept"}, NOTHING, Path("data/raw"))
    assert (project / ".dvc" / "config").read_text() == before
    assert not (project / ".dvc" / "config.local").exists()


def test_faults_in_a_clients_code_are_told_and_our_own_are_not_hidden(caplog: pytest.LogCaptureFixture) -> None:
    clients = {"__name__": "gcsfs.credentials"}
    exec("def connect(log): log.error('raised afterwards'); raise KeyError('refresh_token')", clients)
    with pytest.raises(StorageError, match=r"gs://b cannot be used: KeyError: 'refresh_token'"), explained("gs://b"):
        clients["connect"](logging.getLogger("gcsfs"))
    assert not caplog.records
    with pytest.raises(KeyError), explained("gs://b"):
        raise KeyError("ours")
    logging.getLogger("gcsfs").warning("as before")
    assert caplog.records


def test_damage_is_found_in_a_folder_of_this_machine_too(tmp_path: Path) -> None:
    place = make_place(tmp_path / "w" / "anna")
    assert "DVC" not in place.said("storage", "check")
    assert place.said("storage", "check") == "0 objects, 0 damaged\n"
    place.dvc("push")
    assert place.said("storage", "check") == "3 objects, 0 damaged\n"
    damaged = next(p for p in (tmp_path / "w" / "storage").rglob("*") if p.is_file() and p.stat().st_size == 500)
    damaged.chmod(0o644)
    damaged.write_bytes(b"x" * 500)
    refused = place.attune("storage", "check")
    assert refused.exit_code == 2
    assert f"{damaged}: damaged" in refused.stdout
    place.said("storage", "check", "--remove")
    place.dvc("push")
    assert place.said("storage", "check") == "3 objects, 0 damaged\n"


def test_an_unknown_kind_of_place_is_refused() -> None:
    with pytest.raises(StorageError):
        probe("gopher://x/y", {})


def _options(stage: dict[str, list[object]]) -> list[tuple[str, dict[str, object]]]:
    return [next(iter(out.items())) if isinstance(out, dict) else (str(out), {}) for out in stage["outs"]]
