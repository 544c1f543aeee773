"""New recordings come in, old ones stay what they are, and what would be rejected is known before."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from shipped import split_params, write_params

from attune.cli import main
from attune.errors import DataError
from attune.operations.gathering import add, check
from attune.soundcache import SoundCache
from attune.workcache import WorkCache


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("anna/a.wav", "anna/a.txt", "ben/b.wav"):
        (tmp_path / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / name).write_text(name)
    (tmp_path / "new" / ".hidden").touch()
    return tmp_path / "new"


@pytest.mark.parametrize("link", [False, True])
def test_what_is_new_comes_in_and_a_second_time_nothing_is(folder: Path, tmp_path: Path, link: bool) -> None:
    first = add(folder, tmp_path / "raw", link=link)
    assert first.new == ("anna/a.txt", "anna/a.wav", "ben/b.wav")
    assert (tmp_path / "raw/added/new/ben/b.wav").read_text() == "ben/b.wav"
    assert (os.stat(tmp_path / "raw/added/new/ben/b.wav").st_ino == os.stat(folder / "ben/b.wav").st_ino) == link  # noqa: PTH116
    (folder / "ben/c.wav").write_text("c")
    second = add(folder, tmp_path / "raw", link=link)
    assert (second.new, len(second.known), second.refused) == (("ben/c.wav",), 3, ())
    assert "1 new file(s)" in second.sentence(tmp_path / "raw")
    assert not list((tmp_path / "raw").rglob(".*"))


def test_a_file_that_is_there_is_never_overwritten(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "raw/added/new/ben").mkdir(parents=True)
    (tmp_path / "raw/added/new/ben/b.wav").write_text("older")
    added = add(folder, tmp_path / "raw", link=False)
    assert [name for name, _ in added.refused] == ["ben/b.wav"]
    assert (tmp_path / "raw/added/new/ben/b.wav").read_text() == "older"
    assert "1 refused" in added.sentence(tmp_path / "raw")


def test_folders_that_are_linked_to_come_along_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "d.wav").write_text("d")
    (folder / "dora").symlink_to(tmp_path / "elsewhere")
    (folder / "anna" / "up").symlink_to(folder)
    (folder / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    added = add(folder, tmp_path / "raw", link=False)
    assert added.new == ("anna/a.txt", "anna/a.wav", "ben/b.wav", "dora/d.wav")
    assert not any(path.is_symlink() for path in (tmp_path / "raw").rglob("*"))


def test_a_folder_cannot_be_added_to_itself(folder: Path, tmp_path: Path) -> None:
    for raw in (folder, folder / "anna", tmp_path):
        with pytest.raises(DataError, match="apart"):
            add(folder, raw, link=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no files"):
        add(tmp_path / "empty", tmp_path / "raw", link=False)


def test_a_check_names_what_is_bad_and_counts_what_is_good(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for speaker in ("anna", "ben"):
        (raw / speaker).mkdir(parents=True)
        samples = 0.1 * np.random.default_rng(len(speaker)).standard_normal(16_000)
        soundfile.write(raw / speaker / "x.wav", samples, 16_000)
    (raw / "anna/x.txt").write_text("hello")
    (raw / "ben/x.txt").write_text("a sentence that nobody at all can say so quickly")
    (raw / "anna/bad.wav").write_text("no sound")
    before = sorted(raw.rglob("*"))
    cache = WorkCache(tmp_path / "cache")
    lines, fault = check(raw, split_params(), cache, SoundCache(tmp_path / "sounds"))
    assert [line.split(": ")[:2] for line in lines[:2]] == [["anna/bad.wav", "not_audio"], ["ben/x.wav", "too_much_text"]]
    assert lines[2] == "2 usable clips (0.00 h) of 2 speakers, 1 with a transcript; 2 rejected: 1 not_audio, 1 too_much_text."
    assert lines[3].startswith("warning: ")
    assert sorted(raw.rglob("*")) == before
    shutil.rmtree(raw / "anna")
    assert fault is None
    stopped, fault = check(raw, split_params(), cache, SoundCache(tmp_path / "sounds"))
    cache.close()
    assert stopped[0].startswith("1 usable clips")
    assert "held-out speakers need at least two" in str(fault)


def test_the_commands_say_what_came_in(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    write_params(tmp_path / "params.yaml")
    said = CliRunner().invoke(main, ["data", "add", str(folder)])
    assert (said.exit_code, said.stdout.strip()) == (
        0,
        "3 new file(s) in data/raw (anna/a.txt, anna/a.wav, ben/b.wav), 0 were there already.",
    )
    (folder / "ben/b.wav").write_text("other")
    again = CliRunner().invoke(main, ["data", "add", str(folder)])
    assert again.exit_code != 0
    assert "ben/b.wav: refused; something else of that name is there already" in again.stderr
    checked = CliRunner().invoke(main, ["data", "check"])
    assert checked.exit_code == 2, checked.output
    assert "none of the 2 recordings in data/raw is usable" in checked.output
    assert "0 usable clips" in checked.stdout
    assert "2 not_audio" in checked.stdout
