"""The cache tells what it holds, gives space back, and finds what was damaged on the disk."""

import os
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from click.testing import CliRunner

from attune.audio import sound_digest
from attune.cli import main
from attune.dataset import encode_flac
from attune.operations.caching import parts, prune, verify
from attune.operations.hearing import open_on_engine
from attune.params import load_params
from attune.soundcache import SoundCache
from attune.statecache import StateCache, states_in
from attune.workcache import WorkCache


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two results, three sounds, a converted model and states of a clip."""
    home = tmp_path / "cache"
    monkeypatch.setenv("ATTUNE_CACHE", str(home))
    base = str(tiny_models.make_whisper(tmp_path / "base"))
    results = WorkCache()
    results.put({"a": {"text": "hello"}, "b": [1, 2]})
    for seed in range(3):
        samples = np.asarray(0.1 * np.random.default_rng(seed).standard_normal(800), np.float32)
        SoundCache().put(sound_digest(samples), encode_flac(samples))
    model = load_params(Path("params.yaml")).model
    open_on_engine(base, model.model_copy(update={"engine": "ctranslate2", "device": "cpu", "precision": "float32"}))
    StateCache(10_000).put("0123", bytes(4000))
    results.close()
    return home


def test_it_tells_what_it_holds(home: Path) -> None:
    assert [(part.name, part.things) for part in parts()] == [
        ("results", 2), ("sounds", 3), ("converted models", 1), ("training states", 1),
    ]  # fmt: skip
    assert all(part.bytes > 0 for part in parts())
    said = CliRunner().invoke(main, ["cache"])
    assert said.exit_code == 0
    assert str(home) in said.output


def test_what_was_not_used_goes_and_what_was_stays(home: Path) -> None:
    long_ago = time.time() - 40 * 86_400
    files = sorted((home / "sounds").glob("*/*.flac"))
    for file in files:
        os.utime(file, (long_ago, long_ago))
    (state,) = states_in(home / "states")
    os.utime(state, (long_ago, long_ago))
    assert SoundCache.digest_of_path(files[0]) in SoundCache()  # that is a use
    assert prune(30) > 0
    assert [part.things for part in parts()] == [2, 1, 1, 0]
    assert CliRunner().invoke(main, ["cache", "prune", "--days", "0"]).exit_code == 0
    assert [part.things for part in parts()] == [0, 0, 0, 0]


def test_damage_is_found_and_removed(home: Path) -> None:
    assert verify() == []
    spoilt = sorted((home / "sounds").glob("*/*.flac"))[1]
    spoilt.write_bytes(spoilt.read_bytes()[:-20] + bytes(20))
    (model,) = (home / "converted").glob("*/model.bin")
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    (state,) = states_in(home / "states")
    state.write_bytes(state.read_bytes()[:-1])
    assert sorted(verify()) == sorted(str(path.relative_to(home)) for path in (spoilt, model.parent, state))
    assert [part.things for part in parts()] == [2, 2, 0, 0]
    said = CliRunner().invoke(main, ["cache", "verify"])
    assert (said.exit_code, said.stdout.strip()) == (0, "nothing is damaged")


@pytest.mark.parametrize("damage", ["key", "value", "pages"])
def test_a_damaged_database_does_not_stop_verify_and_prune(home: Path, damage: str) -> None:
    results = WorkCache()
    results.put({f"more {n}": "x" * 200 for n in range(300)})
    results.close()
    database = home / "cache.db"
    if damage == "pages":
        content = bytearray(database.read_bytes())
        content[8192:20480] = os.urandom(12288)
        database.write_bytes(content)
        for leftover in home.glob("cache.db-*"):
            leftover.unlink()
    else:
        with sqlite3.connect(database) as connection:
            connection.execute(f"UPDATE Cache SET {damage} = x'00ff' WHERE rowid = 1")
        connection.close()
    for command in (["cache", "verify"], ["cache", "prune", "--days", "30"], ["cache"]):
        assert CliRunner().invoke(main, command).exit_code == 0
    assert verify() == []


def test_what_a_killed_conversion_left_is_counted_and_goes(home: Path) -> None:
    draft = home / "converted" / ".tmpkilled"
    draft.mkdir()
    (draft / "model.bin").write_bytes(bytes(5000))
    assert parts()[2].things == 2
    long_ago = time.time() - 40 * 86_400
    os.utime(draft, (long_ago, long_ago))
    prune(30)
    assert not draft.exists()
