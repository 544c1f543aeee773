"""The files below a raw folder and their names: each regular file once, in a fixed order, links and faults told."""

import os
import posixpath
import re
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from attune.records import Rejection

AUDIO = frozenset(
    [
        ".wav", ".w64", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".m4b", ".mp4", ".mov", ".webm", ".mka", ".mkv",
        ".aac", ".aif", ".aiff", ".caf", ".au", ".amr", ".3gp", ".wma",
    ]
)  # fmt: skip
"""Endings of files that should be sound."""
ADDED_FOLDER = "added"
"""`attune data add` puts what comes in into folders below this one; their names are nobody's."""
UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""


def walk(raw: Path, rejected: list[Rejection]) -> Iterator[Path]:
    """Every regular file once, in a fixed order. Linked folders come last; those that lead back or upwards are rejected."""
    real, linked = [raw], list[Path]()
    seen = {_identity(folder) for folder in raw.resolve().parents}
    while real or linked:
        folder = real.pop() if real else linked.pop(0)
        if _identity(folder) in seen:
            rejected.append(Rejection(name_below(folder, raw), "link_loop", "leads to a folder that is read already"))
            continue
        seen.add(_identity(folder))
        for child in _children(folder, raw, rejected):
            mode = _mode(child, raw, rejected)
            if stat.S_ISREG(mode):
                yield child
            elif stat.S_ISDIR(mode) and not child.name.startswith("."):
                (linked if child.is_symlink() else real).append(child)
            elif mode and not stat.S_ISDIR(mode):
                rejected.append(Rejection(name_below(child, raw), "unreadable", "is neither a file nor a folder"))


def _children(folder: Path, raw: Path, rejected: list[Rejection]) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        rejected.append(Rejection(name_below(folder, raw), "unreadable", f"cannot be listed: {error.strerror}"))
        return []


def _mode(path: Path, raw: Path, rejected: list[Rejection]) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        rejected.append(Rejection(name_below(path, raw), "unreadable", f"cannot be opened: {error.strerror}"))
        return 0


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def name_below(path: Path, raw: Path) -> str:
    return os.fsencode(path.relative_to(raw).as_posix()).decode("utf-8", errors="backslashreplace")


def spelled(name: str) -> str:
    """One spelling for names that look the same: macOS writes letters and their accents apart, manifests rarely do."""
    return unicodedata.normalize("NFC", name)


def is_audio(source: str) -> bool:
    return suffix(source) in AUDIO


def suffix(source: str) -> str:
    """The lower-case ending of a file's name; nothing for hidden files, such as macOS's `._x.wav`."""
    name = posixpath.basename(source)
    return "" if name.startswith(".") else posixpath.splitext(name)[1].lower()
