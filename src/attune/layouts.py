"""What lies in a raw folder: which recordings, who speaks, in which condition, and what a human wrote of them.

Any nesting is read. A folder `clean` or `noisy` in the path tells the condition; a transcript is `x.txt` beside `x.wav`
or a row of a manifest, which wins. Nothing is decoded here; see `intake` for that.

Who speaks, by the first of these rules that gives an answer (`Recording.speaker_from` says which did):
- `manifest`: the row's speaker.
- `folder`: the folder below the last `clean`, `noisy` or `audio`, else the topmost one besides these:
  `clean/anna/x.wav`, `anna/clean/x.wav` and `anna/x.wav` are all anna's.
- `file_name`: what stands before the first `_` or `-`, if there is a letter in it: `clean/anna_001.wav`.
- `unnamed`: all the rest is one speaker of that name, so that it stays on one side of the split.
"""

import os
import posixpath
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attune import manifests
from attune.errors import DataError
from attune.records import Condition, Rejection

SpeakerRule = Literal["manifest", "folder", "file_name", "unnamed"]

_AUDIO = frozenset([".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".webm", ".aac", ".aiff"])
_CONTAINERS = frozenset({"clean", "noisy", "audio"})
_NO_TRANSCRIPTS = frozenset({"readme", "license", "licence", "notice", "changelog"})


@dataclass(frozen=True)
class Recording:
    """A file that should be sound, with all that its surroundings say of it."""

    path: Path
    source: str
    """Path below the raw folder, with forward slashes; bytes that are not UTF-8 are written as `\\xff`."""
    speaker: str
    speaker_from: SpeakerRule
    condition: Condition | None
    reference: str | None


@dataclass(frozen=True)
class Inventory:
    """Everything found in a raw folder: each file is a recording, a transcript, a manifest, rejected or ignored."""

    recordings: tuple[Recording, ...]
    rejected: tuple[Rejection, ...]
    ignored_files: int
    empty_transcripts: int


def take_inventory(raw: Path) -> Inventory:
    """The recordings below `raw`, ordered by source. Raises DataError if the folder is missing or has none."""
    if not raw.is_dir():
        raise DataError(f"{raw} is not a folder; put your recordings there, or run: attune demo corpus")
    rejected: list[Rejection] = []
    files = {_name(path, raw): path for path in _walk(raw, rejected)}
    entries = _manifest_entries(files, raw, rejected)
    sounds = sorted(source for source in files if _is_audio(source) or _key(source) in entries)
    texts = _beside_texts(files, sounds, entries, rejected)
    if not sounds:
        raise DataError(f"{raw} has no recordings ({', '.join(sorted(_AUDIO))}); put some there, or run: attune demo corpus")
    recordings = tuple(_recording(s, files[s], entries.get(_key(s)), texts.get(posixpath.splitext(s)[0])) for s in sounds)
    given = [*texts.values(), *(e.text for e in entries.values())]
    used = {*sounds, *(s for s in files if _is_transcript(s) or _is_manifest(s))}
    return Inventory(recordings, tuple(rejected), len(files) - len(used), sum(t is not None and not t.strip() for t in given))


def _recording(source: str, path: Path, entry: manifests.Entry | None, beside: str | None) -> Recording:
    speaker, rule = _speaker(source, entry.speaker if entry else None)
    text = beside if entry is None or entry.text is None else entry.text
    reference = " ".join(text.split()) if text else ""
    return Recording(path, source, speaker, rule, _condition(source), reference or None)


def _speaker(source: str, given: str | None) -> tuple[str, SpeakerRule]:
    if given:
        return _key(given), "manifest"
    *folders, name = source.split("/")
    last = max((i for i, folder in enumerate(folders) if folder.lower() in _CONTAINERS), default=-1)
    above = [folder for folder in folders if folder.lower() not in _CONTAINERS]
    if above:
        return _key((folders[last + 1 :] or above)[0]), "folder"
    prefix = re.match(r"[^_-]*[^\W\d_][^_-]*(?=[_-])", name)
    return (_key(prefix.group().strip()), "file_name") if prefix else ("unnamed", "unnamed")


def _condition(source: str) -> Condition | None:
    conditions: tuple[Condition, ...] = ("clean", "noisy")
    folders = [folder.lower() for folder in source.split("/")[:-1]]
    found = [(folders.index(condition), condition) for condition in conditions if condition in folders]
    return min(found)[1] if found else None


def _manifest_entries(files: Mapping[str, Path], raw: Path, rejected: list[Rejection]) -> dict[str, manifests.Entry]:
    """The usable rows by the key of the recording they name, which is there."""
    entries: dict[str, manifests.Entry] = {}
    there = {_key(source) for source in files}
    for source in sorted(filter(_is_manifest, files)):
        try:
            rows, broken = manifests.read_manifest(files[source], source, raw)
        except OSError as error:
            rows, broken = [], [Rejection(source, "unreadable", f"cannot be opened: {error.strerror}")]
        rejected += broken
        for entry in rows:
            key = _key(entry.source)
            if key not in there:
                rejected.append(Rejection(entry.row, "missing_audio", f"names {entry.source!r}, which is not there"))
            elif (known := entries.setdefault(key, entry)) is not entry and _says(known) != _says(entry):
                rejected.append(Rejection(entry.row, "listed_twice", f"says other than {known.row} of {entry.source!r}"))
    return entries


def _says(entry: manifests.Entry) -> tuple[str | None, str | None]:
    return entry.text, entry.speaker


def _beside_texts(
    files: Mapping[str, Path], sounds: list[str], entries: Mapping[str, manifests.Entry], rejected: list[Rejection]
) -> dict[str, str]:
    """Texts of `x.txt` files by `x`, for the recordings beside them."""
    beside = {posixpath.splitext(source)[0]: source for source in sounds}
    texts: dict[str, str] = {}
    for source in sorted(filter(_is_transcript, files)):
        stem = posixpath.splitext(source)[0]
        text = _read_text(files[source], source, rejected)
        entry = entries.get(_key(beside.get(stem, "")))
        if stem not in beside:
            rejected.append(Rejection(source, "transcript_without_audio", "has no recording of the same name beside it"))
        elif text is not None and entry and entry.text is not None and entry.text.split() != text.split():
            rejected.append(Rejection(source, "transcript_overruled", f"{entry.row} says other and is believed"))
        elif text is not None:
            texts[stem] = text
    return texts


def _read_text(path: Path, source: str, rejected: list[Rejection]) -> str | None:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        rejected.append(Rejection(source, "transcript_not_utf8", f"{error.reason} at byte {error.start}; save it as UTF-8"))
    except OSError as error:
        rejected.append(Rejection(source, "unreadable", f"cannot be opened: {error.strerror}"))
    return None


def _walk(raw: Path, rejected: list[Rejection]) -> Iterator[Path]:
    """Every regular file once, in a fixed order. Linked folders come last; those that lead back or upwards are rejected."""
    real, linked = [raw], list[Path]()
    seen = {_identity(folder) for folder in raw.resolve().parents}
    while real or linked:
        folder = real.pop() if real else linked.pop(0)
        if _identity(folder) in seen:
            rejected.append(Rejection(_name(folder, raw), "link_loop", "leads to a folder that is read already"))
            continue
        seen.add(_identity(folder))
        for child in _children(folder, raw, rejected):
            mode = _mode(child, raw, rejected)
            if stat.S_ISREG(mode):
                yield child
            elif stat.S_ISDIR(mode) and not child.name.startswith("."):
                (linked if child.is_symlink() else real).append(child)
            elif mode and not stat.S_ISDIR(mode):
                rejected.append(Rejection(_name(child, raw), "unreadable", "is neither a file nor a folder"))


def _children(folder: Path, raw: Path, rejected: list[Rejection]) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        rejected.append(Rejection(_name(folder, raw), "unreadable", f"cannot be listed: {error.strerror}"))
        return []


def _mode(path: Path, raw: Path, rejected: list[Rejection]) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        rejected.append(Rejection(_name(path, raw), "unreadable", f"cannot be opened: {error.strerror}"))
        return 0


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _name(path: Path, raw: Path) -> str:
    return os.fsencode(path.relative_to(raw).as_posix()).decode("utf-8", errors="backslashreplace")


def _key(name: str) -> str:
    """One spelling for names that look the same: macOS writes letters and their accents apart, manifests rarely do."""
    return unicodedata.normalize("NFC", name)


def _is_audio(source: str) -> bool:
    return _suffix(source) in _AUDIO


def _is_transcript(source: str) -> bool:
    return _suffix(source) == ".txt" and posixpath.basename(source)[:-4].lower() not in _NO_TRANSCRIPTS


def _is_manifest(source: str) -> bool:
    return posixpath.basename(source).lower() in manifests.NAMES


def _suffix(source: str) -> str:
    """The lower-case ending of a file's name; nothing for hidden files, such as macOS's `._x.wav`."""
    name = posixpath.basename(source)
    return "" if name.startswith(".") else posixpath.splitext(name)[1].lower()
