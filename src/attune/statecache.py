"""What frozen parts of models say of clips, as bytes by key: files beside the work cache, as dispensable as that.

Unlike results these are large, so there is a bound: what other work used longest ago makes room.
"""

import contextlib
import os
import tempfile
from hashlib import sha256
from pathlib import Path

from attune.workcache import default_cache_folder

STATES = "states"
_SUM_BYTES = 32


class StateCache:
    """Files by key, each with the digest of its content before it. Several processes may use it at once."""

    def __init__(self, limit_bytes: int, folder: Path | None = None) -> None:
        """In `folder`, or in `states` of the default cache folder; 0 bytes keep nothing there."""
        self._folder, self._limit_bytes = folder or default_cache_folder() / STATES, limit_bytes
        self._used: set[Path] = set()
        self._files = {path: path.stat() for path in states_in(self._folder)} if limit_bytes else {}
        self._taken_bytes = sum(file.st_size for file in self._files.values())
        self.refused = 0
        """How often something was not kept, for want of room or of a disk that can be written."""

    def get_or_none(self, key: str) -> bytes | None:
        """What was put under `key`; None where there is nothing whole."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            os.utime(path)  # used again: see `attune cache prune`
        except OSError:
            return None
        self._used.add(path)
        return content[_SUM_BYTES:] if is_whole_state(content) else None

    def put(self, key: str, content: bytes) -> None:
        """Keeps `content`, whole or not at all; where there is no room, not at all, and counts that in `refused`."""
        path = self._path(key)
        if not self._make_room(len(content) + _SUM_BYTES):
            self.refused += 1
            return
        try:
            _write(path, sha256(content).digest() + content)
        except OSError:  # a full or a read-only disk: it is computed again when it is wanted
            self.refused += 1
            return
        self._used.add(path)
        self._taken_bytes += len(content) + _SUM_BYTES

    def _make_room(self, needed_bytes: int) -> bool:
        """Removes what this process has not used, longest unused first, until so many bytes are free under the limit."""
        if self._taken_bytes + needed_bytes <= self._limit_bytes:
            return True
        for path in sorted(self._files.keys() - self._used, key=lambda path: self._files[path].st_mtime):
            path.unlink(missing_ok=True)
            self._taken_bytes -= self._files.pop(path).st_size
            if self._taken_bytes + needed_bytes <= self._limit_bytes:
                return True
        return False

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key[2:]}.state"


def states_in(folder: Path) -> list[Path]:
    """The files of a state cache."""
    return sorted(folder.glob("*/*.state"))


def is_whole_state(content: bytes) -> bool:
    """Whether a file of a state cache holds what was put into it."""
    return sha256(content[_SUM_BYTES:]).digest() == content[:_SUM_BYTES]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(draft).replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(draft).unlink()
