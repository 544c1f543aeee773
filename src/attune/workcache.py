"""Results that are never computed twice: small JSON values under the digest of everything that decides them.

One SQLite file that several processes may use at once; what is put there survives a kill. It holds nothing that
cannot be computed anew, so a damaged file is moved aside, never trusted. What goes into a key is the caller's matter.
"""

import hashlib
import json
import logging
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import diskcache
import platformdirs

from attune.errors import EnvironmentFault

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_SIZE_LIMIT_BYTES = 4 << 30
_INLINE_BELOW_BYTES = 1 << 24
_BUSY_AFTER_S = 60


class WorkCache:
    """A folder of results by key."""

    def __init__(self, folder: Path | None = None) -> None:
        """Opens or makes the cache in `folder`, or in `default_cache_folder()`. Raises EnvironmentFault where it cannot."""
        self._folder = folder or default_cache_folder()
        self._cache = self._open()

    def get_or_none(self, key: str) -> Any:
        """The JSON value put under `key`; None where there is none, or where it is damaged."""
        try:
            return self._trying(lambda: self._cache.get(key))
        except (ValueError, zlib.error, OSError) as error:
            _LOG.warning("A damaged entry of the work cache %s is computed anew: %s.", self._folder, error)
            return None

    def put(self, values: Mapping[str, Any]) -> None:
        """Keeps all of `values`, by key, or none of them; on return a kill cannot lose them."""
        self._trying(lambda: self._store(values))

    def count(self) -> int:
        """How many results it holds."""
        return self._trying(lambda: len(self._cache))

    def forget_before(self, seconds: float) -> None:
        """Removes results that were put before that time, in seconds of the epoch, and gives their space back to the disk."""
        self._trying(lambda: self._cache._sql("DELETE FROM Cache WHERE store_time <= ?", (seconds,)))
        self._trying(lambda: self._cache._sql("VACUUM"))

    def drop_unreadable(self) -> list[str]:
        """Removes results that cannot be read any more; their keys."""
        rows = self._trying(lambda: self._cache._sql("SELECT rowid, key FROM Cache").fetchall())
        damaged = {row: stored for row, stored in rows if not self._is_readable(stored)}
        for row in damaged:
            self._trying(partial(self._cache._sql, "DELETE FROM Cache WHERE rowid = ?", (row,)))
        return [f"number {row}" for row in damaged]

    def _is_readable(self, stored: Any) -> bool:
        try:
            self._trying(lambda: self._cache.get(self._cache.disk.get(stored, raw=True)))
        except (ValueError, zlib.error, OSError):
            return False
        return True

    def close(self) -> None:
        self._cache.close()

    def _store(self, values: Mapping[str, Any]) -> None:
        with self._cache.transact(retry=True):
            for key, value in values.items():
                self._cache.set(key, value, retry=True)

    def _trying(self, action: Callable[[], T]) -> T:
        """Does `action`, on a fresh cache if this one turns out to be damaged."""
        try:
            return action()
        except sqlite3.DatabaseError as error:
            _stop_if_not_damage(error, self._folder)
            self._cache.close()
            _move_aside(self._folder, error)
            self._cache = self._open()
            return action()

    def _open(self) -> Any:
        try:
            return _connect(self._folder)
        except (sqlite3.DatabaseError, LookupError, ValueError, TypeError) as error:  # settings are read from the file too
            _stop_if_not_damage(error, self._folder)
            _move_aside(self._folder, error)
            return _connect(self._folder)
        except OSError as error:
            raise EnvironmentFault(
                f"the work cache {self._folder} cannot be made ({error}); set ATTUNE_CACHE to a folder"
            ) from error


def default_cache_folder() -> Path:
    """`$ATTUNE_CACHE`, else the user's cache folder of this system."""
    return Path(os.environ.get("ATTUNE_CACHE") or platformdirs.user_cache_dir("attune", appauthor=False))


def digest_of(*parts: object) -> str:
    """SHA-256, as hex, of the parts in their order: different parts never give the same text to digest."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


class _JsonDisk(diskcache.JSONDisk):  # type: ignore[misc]
    """JSON only: an entry that asks to be unpickled is refused, as unpickling can run code."""

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode == diskcache.core.MODE_PICKLE:
            raise ValueError("it is pickled")
        return super().fetch(mode, filename, value, read)


def _connect(folder: Path) -> Any:
    return diskcache.Cache(
        str(folder),
        timeout=_BUSY_AFTER_S,
        disk=_JsonDisk,
        disk_min_file_size=_INLINE_BELOW_BYTES,
        size_limit=_SIZE_LIMIT_BYTES,
        eviction_policy="least-recently-stored",
    )


def _stop_if_not_damage(error: Exception, folder: Path) -> None:
    """A full disk, a locked or a read-only file is no reason to throw good results away."""
    if isinstance(error, sqlite3.OperationalError) and "no such" not in str(error):
        raise EnvironmentFault(
            f"the work cache {folder} cannot be used ({error}); free disk space, or set ATTUNE_CACHE to another folder"
        ) from error


def _move_aside(folder: Path, error: Exception) -> None:
    damaged = folder.with_name(f"{folder.name}.damaged-{time.time_ns()}")  # process numbers come again
    try:
        folder.rename(damaged)
    except FileNotFoundError:
        return  # another process was quicker
    _LOG.warning("The work cache %s is damaged (%s); it was moved to %s and starts empty.", folder, error, damaged)
