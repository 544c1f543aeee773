"""Recordings in packs are read as the loose ones were, and packing loses nothing."""

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from shipped import split_params, write_params

from attune.cli import main
from attune.errors import DataError
from attune.intake import prepare_corpus
from attune.operations import bundling
from attune.operations.bundling import Packed, pack
from attune.packs import open_packs
from attune.records import Rejection
from attune.soundcache import SoundCache
from attune.workcache import WorkCache

SECOND = 16_000


def tone(path: Path, pitch_hz: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch_hz * np.arange(SECOND) / SECOND), SECOND)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Sounds with transcripts beside them and in a list, in odd names too, and what is hidden."""
    folder = tmp_path / "raw"
    for number, name in enumerate(("clean/anna/a.wav", "clean/ben/b 'c'.wav", "noisy/çağla/ü.wav", "test/dora/d.wav")):
        tone(folder / name, 200 + 100 * number)
        (folder / name).with_suffix(".txt").write_text(f"words of number {number}")
    tone(folder / "more" / "e.wav", 700)
    (folder / "more" / "metadata.csv").write_text("audio,text,speaker\ne.wav,listed words,emma\n")
    (folder / ".gitignore").write_text("*.tmp\n")
    return folder


def corpus(raw: Path, folder: Path) -> dict[str, bytes]:
    report = prepare_corpus(raw, folder, split_params(), WorkCache(folder / "../cache"), SoundCache(folder / "../sounds"))
    assert len(report.utterances) == 5
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def loose(raw: Path) -> list[str]:
    return sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file())


def test_packs_give_the_corpus_that_the_loose_files_gave(raw: Path, tmp_path: Path) -> None:
    before = corpus(raw, tmp_path / "one" / "prepared")
    assert pack(raw, 0.12) == Packed(10, 0, 0, tuple(raw / f"pack-000{number}.tar" for number in (1, 2)))
    assert loose(raw) == [".gitignore", "pack-0001.tar", "pack-0002.tar"]
    assert corpus(raw, tmp_path / "two" / "prepared") == before
    assert not any(path.is_dir() for path in raw.iterdir())


def test_what_is_packed_stays_as_it_is_while_more_comes(raw: Path, tmp_path: Path) -> None:
    pack(raw, 100)
    first = (raw / "pack-0001.tar").read_bytes()
    tone(raw / "clean" / "finn" / "f.wav", 900)
    assert pack(raw, 100) == Packed(1, 0, 0, (raw / "pack-0002.tar",))
    assert (raw / "pack-0001.tar").read_bytes() == first
    assert pack(raw, 100) == Packed(0, 0, 0, ())
    shutil.copytree(raw, tmp_path / "again" / "raw")
    report = prepare_corpus(raw, tmp_path / "p", split_params(), WorkCache(tmp_path / "c"), SoundCache(tmp_path / "s"))
    assert len(report.utterances) == 6


def test_a_correction_stays_loose_and_counts(raw: Path, tmp_path: Path) -> None:
    pack(raw, 100)
    (raw / "clean" / "anna").mkdir(parents=True)
    (raw / "clean" / "anna" / "a.txt").write_text("other words")
    assert pack(raw, 100) == Packed(0, 0, 1, ())
    sounds = SoundCache(tmp_path / "s")
    report = prepare_corpus(raw, tmp_path / "p", split_params(), WorkCache(tmp_path / "c"), sounds)
    assert {u.reference for u in report.utterances if u.source == "clean/anna/a.wav"} == {"other words"}
    assert [(r.source, r.reason) for r in report.rejected] == [("pack-0001.tar/clean/anna/a.txt", "packed_twice")]


def test_a_command_that_was_killed_is_finished_by_the_next(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    there = loose(raw)
    monkeypatch.setattr(bundling, "_remove", killed)
    with pytest.raises(KeyboardInterrupt):
        pack(raw, 100)
    monkeypatch.undo()
    assert set(there) < set(loose(raw)) | {"pack-0001.tar"}
    done = pack(raw, 100)
    assert done.files + done.known == 10
    assert loose(raw) == [".gitignore", "pack-0001.tar"]


def test_what_reads_back_otherwise_stays_loose(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = loose(raw)
    monkeypatch.setattr(bundling, "members", lambda *_: iter([("clean/anna/a.wav", b"other")]))
    with pytest.raises(DataError, match="stays loose"):
        pack(raw, 100)
    assert loose(raw) == there


def test_what_linked_folders_hold_stays_where_it_is(raw: Path, tmp_path: Path) -> None:
    tone(tmp_path / "elsewhere" / "x.wav", 1000)
    (raw / "linked").symlink_to(tmp_path / "elsewhere")
    pack(raw, 100)
    assert (tmp_path / "elsewhere" / "x.wav").is_file()
    assert loose(raw)[0:2] == [".gitignore", "pack-0001.tar"]


def test_packs_of_others_are_read_and_what_is_wrong_in_them_is_told(tmp_path: Path) -> None:
    tone(tmp_path / "x.wav", 300)
    sound = (tmp_path / "x.wav").read_bytes()
    with tarfile.open(tmp_path / "shard-000.tar", "w") as made:
        for name, content in (
            ("000.wav", sound),
            ("000.txt", b"yes"),
            ("../out.wav", sound),
            ("/root.wav", sound),
            ("._x.wav", b""),
        ):
            header = tarfile.TarInfo(name)
            header.size = len(content)
            made.addfile(header, io.BytesIO(content))
        link = tarfile.TarInfo("link.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    (tmp_path / "cut.tar").write_bytes((tmp_path / "shard-000.tar").read_bytes()[:600])
    (tmp_path / "none.tar").write_bytes(b"no tar at all")
    files = {f"in/{name}": tmp_path / name for name in ("shard-000.tar", "cut.tar", "none.tar")}
    rejected = list[Rejection]()
    assert open_packs(files, SoundCache(tmp_path / "sounds"), rejected) == ["in/shard-000.tar", "in/none.tar", "in/cut.tar"]
    assert files.keys() == {"in/shard-000.tar", "in/cut.tar", "in/none.tar", "in/000.wav", "in/000.txt"}
    assert files["in/000.wav"].read_bytes() == sound
    assert sorted((r.source, r.reason) for r in rejected) == [
        ("in/cut.tar", "malformed_pack"),
        ("in/none.tar", "malformed_pack"),
        ("in/shard-000.tar/../out.wav", "unreadable"),
        ("in/shard-000.tar//root.wav", "unreadable"),
        ("in/shard-000.tar/link.wav", "unreadable"),
    ]


def test_the_command_says_what_it_did_and_what_it_cannot(raw: Path, tmp_path: Path) -> None:
    write_params(tmp_path / "params.yaml", paths={"raw": str(raw)})
    command = ["data", "pack", "--params", str(tmp_path / "params.yaml")]
    said = CliRunner().invoke(main, command)
    assert (said.exit_code, "10 file(s) of" in said.stdout, "1 new pack(s)" in said.stdout) == (0, True, True)
    (raw / "pack-0001.tar").write_bytes(b"damaged")
    broken = CliRunner().invoke(main, command)
    assert broken.exit_code == 2
    assert "pack-0001.tar cannot be read after 0 file(s)" in broken.stderr
    shutil.rmtree(raw)
    assert "there is nothing in it" in CliRunner().invoke(main, command).stderr
