import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from attune.errors import EnvironmentFault
from attune.workcache import WorkCache, default_cache_folder, digest_of


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[WorkCache]:
    opened = WorkCache(tmp_path / "cache")
    yield opened
    opened.close()


def test_what_was_put_is_found_again_by_another_cache_of_the_folder(cache: WorkCache, tmp_path: Path) -> None:
    cache.put({"a": {"text": "grüß dich"}, "b": [1, 2.5, None]})
    other = WorkCache(tmp_path / "cache")
    assert other.get_or_none("a") == {"text": "grüß dich"}
    assert other.get_or_none("b") == [1, 2.5, None]
    other.close()


def test_unknown_key_is_none(cache: WorkCache) -> None:
    assert cache.get_or_none("nothing") is None


def test_results_survive_a_kill_right_after_put(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from attune.workcache import WorkCache;"
        "WorkCache(Path(sys.argv[1])).put({'a': 'kept'}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "cache")], check=False)
    assert done.returncode == -signal.SIGKILL
    reopened = WorkCache(tmp_path / "cache")
    assert reopened.get_or_none("a") == "kept"
    reopened.close()


def test_several_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from attune.workcache import WorkCache; cache = WorkCache(Path(sys.argv[1]));"
        "[cache.put({f'{sys.argv[2]}-{n}': n}) for n in range(40)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "cache"), str(w)]) for w in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    reader = WorkCache(tmp_path / "cache")
    assert [reader.get_or_none(f"{w}-{n}") for w in range(3) for n in range(40)] == [n for _ in range(3) for n in range(40)]
    reader.close()


@pytest.mark.skipif(sys.platform == "win32", reason="file sizes are limited as on a full disk")
def test_a_full_disk_is_one_line_and_what_was_kept_stays(tmp_path: Path) -> None:
    code = (
        "import os, resource, signal, sys; from pathlib import Path; from attune.workcache import WorkCache;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); cache = WorkCache(Path(sys.argv[1]));"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18));"
        "[cache.put({f'{n}': os.urandom(2048).hex()}) or print(n, flush=True) for n in range(1000)]"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "cache")], check=False, capture_output=True, text=True)
    kept = done.stdout.split()
    assert 5 < len(kept) < 1000
    assert "EnvironmentFault" in done.stderr
    assert "free disk space, or set ATTUNE_CACHE" in done.stderr
    reader = WorkCache(tmp_path / "cache")
    assert all(len(reader.get_or_none(name)) == 4096 for name in kept)
    reader.close()


@pytest.mark.parametrize("damage", ["garbage", "middle", "truncated"])
def test_a_damaged_file_is_moved_aside_and_work_goes_on(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    first = WorkCache(tmp_path / "cache")
    first.put({str(n): "x" * 50 for n in range(500)})
    first.close()
    database = tmp_path / "cache" / "cache.db"
    content = database.read_bytes()
    spoilt = {
        "garbage": b"not a database" * 100,
        "middle": content[:4096] + os.urandom(len(content) - 4096),
        "truncated": content[: len(content) // 2],
    }
    database.write_bytes(spoilt[damage])
    for leftover in (tmp_path / "cache").glob("cache.db-*"):
        leftover.unlink()
    with caplog.at_level(logging.WARNING):
        again = WorkCache(tmp_path / "cache")
        assert [again.get_or_none(str(n)) for n in range(500)].count(None) > 0
        again.put({"new": 1})
        assert again.get_or_none("new") == 1
        again.close()
    assert "damaged" in caplog.text
    assert list(tmp_path.glob("cache.damaged-*"))


@pytest.mark.parametrize("change", ["mode = 4", "value = x'00ff'"])
def test_a_pickled_or_spoilt_entry_is_refused_with_a_warning(
    cache: WorkCache, tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache.put({"a": "good"})
    with sqlite3.connect(tmp_path / "cache" / "cache.db") as connection:
        assert connection.execute(f"UPDATE Cache SET {change}").rowcount == 1
    connection.close()
    assert cache.get_or_none("a") is None
    assert "computed anew" in caplog.text


def test_a_folder_that_cannot_be_made_is_one_line_for_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EnvironmentFault, match="ATTUNE_CACHE"):
        WorkCache(tmp_path / "file" / "cache")


def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "mine"))
    assert default_cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("ATTUNE_CACHE")
    assert default_cache_folder().name == "attune"


def test_parts_cannot_run_into_one_another() -> None:
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of("a", 1) == digest_of("a", 1)
