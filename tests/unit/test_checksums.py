"""A folder's list of files finds everything that is not as it was, and coreutils reads it too."""

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from attune.checksums import CHECKSUMS, verify_checksums, write_checksums
from attune.cli import main
from attune.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A released model of three files."""
    model = tmp_path / "ct2"
    (model / "float32").mkdir(parents=True)
    for name in ("model.bin", "tokenizer.json", "float32/model.bin"):
        (model / name).write_text(f"what {name} holds")
    write_checksums(model)
    return model


def _verify(folder: Path) -> Result:
    return CliRunner().invoke(main, ["model", "verify", str(folder)])


def test_what_nobody_touched_is_whole(folder: Path) -> None:
    assert verify_checksums(folder).whole
    result = _verify(folder)
    assert result.exit_code == 0
    assert "all 3 files" in result.output
    write_checksums(folder)
    assert verify_checksums(folder).whole  # the list is not in itself


def test_missing_changed_and_extra_files_are_each_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "float32/model.bin").write_text("another model")
    (folder / "float32/evil.json").write_text("{}")
    found = verify_checksums(folder)
    assert (found.missing, found.changed, found.extra) == (("tokenizer.json",), ("float32/model.bin",), ("float32/evil.json",))
    result = _verify(folder)
    assert result.exit_code == 2
    assert result.stdout.splitlines() == ["missing: tokenizer.json", "changed: float32/model.bin", "extra: float32/evil.json"]
    assert result.stderr.count("\n") == 1
    assert "1 missing, 1 changed, 1 extra of 3 files" in result.stderr


@pytest.mark.parametrize("place", [0, 10, -1])
def test_one_changed_byte_is_found(folder: Path, place: int) -> None:
    content = bytearray((folder / "model.bin").read_bytes())
    content[place] ^= 1
    (folder / "model.bin").write_bytes(content)
    assert verify_checksums(folder).changed == ("model.bin",)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs coreutils")
def test_coreutils_checks_the_list_too(folder: Path) -> None:
    check = ["sha256sum", "--check", "--strict", CHECKSUMS]
    assert subprocess.run(check, cwd=folder, capture_output=True, check=False).returncode == 0
    (folder / "model.bin").write_text("another model")
    assert subprocess.run(check, cwd=folder, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, f"has no {CHECKSUMS}"),
        ("", "is empty"),
        ("nonsense\n", ":1 is not a digest and a path"),
        (f"{'0' * 64}  ../../etc/passwd\n", ":1 is not a digest and a path below"),
        (f"{'0' * 64}  /etc/passwd\n", ":1 is not a digest and a path below"),
    ],
)
def test_a_list_that_is_none_is_refused(folder: Path, content: str | None, told: str) -> None:
    (folder / CHECKSUMS).unlink()
    if content is not None:
        (folder / CHECKSUMS).write_text(content)
    with pytest.raises(DataError, match=told):
        verify_checksums(folder)


def test_a_list_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / CHECKSUMS).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        verify_checksums(folder)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = _verify(tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "nowhere is no folder; name the one with the model" in result.stderr
    assert result.stderr.count("\n") == 1
