"""The lists of a raw folder, and the recordings that their rows mean: see `manifests` for what a row may say.

A row names its file by a path from its list's folder; where there is none, by that path in a folder `clips`, with the ending
left out, or by the file's name alone: of the only file that bears it, among those added with the list, or below its folder.

A recording of which a row says a number that is none, and no other row anything, is left out: who speaks in it, what it is called
and how much of it counts would be guessed from its path otherwise, and a voice could be on two sides.
"""

import posixpath
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from attune import manifests, saved_datasets
from attune.raw_files import ADDED_FOLDER, UPLOAD_PREFIX, is_audio, spelled, suffix
from attune.records import Rejection
from attune.soundcache import SoundCache

_TABLES = frozenset({".parquet", ".xlsx", ".xls", ".ods", ".feather"})


def read_lists(
    files: dict[str, Path], raw: Path, packed: SoundCache, rejected: list[Rejection]
) -> tuple[list[str], dict[str, list[manifests.Entry]]]:
    """Which files are lists, and their usable rows by the key of the recording they mean, which is there.

    What stands inside of a list is added to `files`; what a row says an impossible number of is taken from them.
    """
    lists, found, unread = list[str](), dict[str, list[manifests.Entry]](), dict[str, str]()
    places = _Places(files)
    for source in sorted(s for s in files if suffix(s) in manifests.SUFFIXES):
        try:
            read = manifests.read_manifest(files[source], source, raw, places.only_one_beside(source))
        except OSError as error:
            rejected.append(Rejection(source, "unreadable", f"cannot be opened: {error.strerror}"))
            continue
        if read is None:
            if unknown := manifests.why_unread(files[source]):
                rejected.append(Rejection(source, "unknown_list", unknown))
        else:
            lists.append(source)
            for fault in read[1]:
                rejected.append(Rejection(fault.source, fault.reason, fault.detail))
                key = places.find(fault.recording, source)[0] if isinstance(fault, manifests.UnreadRow) else None
                unread |= {} if key is None else {key: fault.source}
            for entry in read[0]:
                _file(entry, *places.find(entry.source, source), found, rejected)
    why = "is a kind of table that is not read; save it as CSV, in UTF-8"
    rejected += [Rejection(source, "unknown_list", why) for source in sorted(files) if suffix(source) in _TABLES]
    for source in sorted(s for s in files if suffix(s) == saved_datasets.SUFFIX):
        try:
            unpacked = saved_datasets.unpack(files[source], source, raw, packed)
        except OSError as error:
            rejected.append(Rejection(source, "unreadable", f"cannot be opened: {error.strerror or error}"))
            continue
        if unpacked is not None:
            lists.append(source)
            rejected += unpacked.rejected
            files.update(unpacked.files)
            for entry in unpacked.entries:
                told = (spelled(entry.source), "") if entry.source in unpacked.files else places.find(entry.source, source)
                _file(entry, *told, found, rejected)
    _leave_out({key: row for key, row in unread.items() if key not in found}, files, rejected)
    return lists, found


def _leave_out(unread: Mapping[str, str], files: dict[str, Path], rejected: list[Rejection]) -> None:
    """The recordings of rows that cannot be read, by their keys."""
    for source in [source for source in files if spelled(source) in unread]:
        why = f"its row, {unread[spelled(source)]}, cannot be read; mend the row, or take it out of the list"
        rejected.append(Rejection(source, "unread_row", why))
        del files[source]


def _file(
    entry: manifests.Entry, key: str | None, why: str, found: dict[str, list[manifests.Entry]], rejected: list[Rejection]
) -> None:
    """Puts a row to the others of its recording, unless it says again, or otherwise, what one of them says."""
    if key is None:
        rejected.append(Rejection(entry.row, "missing_audio", f"names {entry.source!r}, {why}"))
        return
    same = [known for known in found.get(key, []) if (known.start_s, known.end_s) == (entry.start_s, entry.end_s)]
    if not same:
        found.setdefault(key, []).append(entry)
    elif _says(same[0]) != _says(entry):
        rejected.append(Rejection(entry.row, "listed_twice", f"says other than {same[0].row} of {entry.source!r}"))


class _Places:
    """Finds the recording that a row means."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._keys = {spelled(source) for source in files}
        self._by_stem: dict[str, list[str]] = {}
        self._by_name: dict[str, list[str]] = {}
        folders = Counter(map(posixpath.dirname, filter(is_audio, files)))
        places = (posixpath.split(source) for source in files if is_audio(source))
        self._only = {folder: name for folder, name in places if folders[folder] == 1}
        for source in filter(is_audio, files):
            self._by_stem.setdefault(posixpath.splitext(spelled(source))[0], []).append(spelled(source))
            name = posixpath.basename(spelled(source))
            for known in {name, UPLOAD_PREFIX.sub("", name, count=1)}:
                self._by_name.setdefault(known, []).append(spelled(source))

    def only_one_beside(self, source: str) -> str | None:
        """The name of the recording in the folder of the list `source`, if there is exactly one."""
        return self._only.get(posixpath.dirname(source))

    def find(self, source: str, list_source: str) -> tuple[str | None, str]:
        """The key of the file that a row of this list means; else None, and why."""
        folder, name = posixpath.split(spelled(source))
        for place in (spelled(source), posixpath.join(folder, "clips", name)):
            if place in self._keys:
                return place, ""
            if len(same := self._by_stem.get(place, [])) == 1:
                return same[0], ""
        same = self._by_name.get(name, [])
        beside = [key for key in same if _added_with(key) == _added_with(spelled(list_source))]
        below = [key for key in beside if key.startswith(f"{posixpath.dirname(spelled(list_source))}/")]
        for some in (same, beside, below):
            if len(some) == 1:
                return some[0], ""
        return None, f"which is the name of {len(same)} files, first {min(same)}; give its path" if same else "which is not there"


def _added_with(source: str) -> str:
    """The folder that `attune data add` made for it; empty for what was there otherwise."""
    folders = source.split("/")[:-1]
    return "/".join(folders[:2]) if folders[:1] == [ADDED_FOLDER] else ""


def _says(entry: manifests.Entry) -> tuple[str | None, ...]:
    return entry.text, entry.speaker, entry.tags.get("label", "").upper()
