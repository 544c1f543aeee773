import os
from pathlib import Path

from attune.statecache import StateCache, states_in

_KEYS = [f"{n:02d}abc" for n in range(5)]


def test_what_was_put_is_found_again_by_another_cache_of_the_folder(tmp_path: Path) -> None:
    StateCache(1000, tmp_path).put("0123", b"heard")
    assert StateCache(1000, tmp_path).get_or_none("0123") == b"heard"
    assert StateCache(1000, tmp_path).get_or_none("4567") is None


def test_a_damaged_file_is_as_none(tmp_path: Path) -> None:
    StateCache(1000, tmp_path).put("0123", b"heard")
    (file,) = states_in(tmp_path)
    file.write_bytes(file.read_bytes()[:-1])
    assert StateCache(1000, tmp_path).get_or_none("0123") is None


def test_the_longest_unused_of_other_work_makes_room(tmp_path: Path) -> None:
    before = StateCache(1000, tmp_path)
    for n, key in enumerate(_KEYS[:3]):
        before.put(key, bytes(200))
        os.utime(max(states_in(tmp_path)), (n, n))
    cache = StateCache(1000, tmp_path)
    assert cache.get_or_none(_KEYS[0]) is not None  # used, so it stays
    for key in _KEYS[3:]:
        cache.put(key, bytes(200))
    assert [cache.get_or_none(key) is not None for key in _KEYS] == [True, False, True, True, True]
    assert cache.refused == 0


def test_what_has_no_room_is_counted_and_not_kept(tmp_path: Path) -> None:
    cache = StateCache(300, tmp_path)
    for key in _KEYS[:2]:
        cache.put(key, bytes(200))
    assert cache.refused == 1
    assert len(states_in(tmp_path)) == 1
    nothing = StateCache(0, tmp_path / "none")
    nothing.put("0123", b"heard")
    assert nothing.get_or_none("0123") is None


def test_a_folder_that_cannot_be_written_loses_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = StateCache(1000, tmp_path / "file" / "states")
    cache.put("0123", b"heard")
    assert (cache.get_or_none("0123"), cache.refused) == (None, 1)
