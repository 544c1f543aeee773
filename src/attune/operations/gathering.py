"""Brings recordings into the raw folder without ever overwriting one, and tells what a raw folder would give."""

import filecmp
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attune.clips import make_clips
from attune.errors import DataError
from attune.intake import IntakeReport, plan_corpus
from attune.layouts import take_inventory
from attune.params import SplitParams
from attune.progress import track
from attune.raw_files import ADDED_FOLDER, walk
from attune.records import Rejection
from attune.soundcache import SoundCache
from attune.workcache import WorkCache

_NAMED = 20


@dataclass(frozen=True)
class Added:
    """What became of the files of a folder, as paths below it."""

    new: tuple[str, ...]
    known: tuple[str, ...]
    """Were there already, with the same content."""
    refused: tuple[tuple[str, str], ...]
    """With the reason why."""

    def sentence(self, raw: Path) -> str:
        """One line for people."""
        names = ", ".join(self.new[:_NAMED]) + (f" and {len(self.new) - _NAMED} more" if len(self.new) > _NAMED else "")
        said = f"{len(self.new)} new file(s) in {raw}" + (f" ({names})" if names else "")
        refused = f", {len(self.refused)} refused" if self.refused else ""
        return f"{said}, {len(self.known)} were there already{refused}."


def add(folder: Path, raw: Path, *, link: bool) -> Added:
    """Copies (or links, which takes no space on the same disk) all files of `folder` to `raw/added/NAME`, hidden ones left out.

    Folders that are linked to are followed. Raises DataError where the one folder lies in the other, or `folder` holds nothing.
    """
    inside, outside = folder.resolve(), raw.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise DataError(f"{folder} and {raw} must be folders apart from each other")
    faults: list[Rejection] = []
    paths = sorted(path.relative_to(folder) for path in walk(folder, faults))
    names = [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]
    if not names:
        raise DataError(f"{folder} has no files")
    target = raw / ADDED_FOLDER / (inside.name.lstrip(".") or "recordings")
    new, known, refused = list[str](), list[str](), [(fault.source, fault.detail) for fault in faults]
    for name in track(iter(names), f"adding {folder}", len(names)):
        why = _bring(folder / name, target / name, link=link)
        if why:
            refused.append((name, why))
        else:
            (known if why is None else new).append(name)
    return Added(tuple(new), tuple(known), tuple(refused))


Plan = Callable[[Path, SplitParams, WorkCache, SoundCache], IntakeReport]
"""What would become of a raw folder; a task may want more of it than sound."""


def check(
    raw: Path, params: SplitParams, cache: WorkCache, sounds: SoundCache, plan: Plan = plan_corpus
) -> tuple[list[str], DataError | None]:
    """What `split_clean_noisy` would take of `raw` and what not, in lines for people; and what would stop it, if anything.

    Nothing is written but the work cache. Raises DataError where there are no recordings.
    """
    try:
        report = plan(raw, params, cache, sounds)
    except DataError as fault:
        inventory = take_inventory(raw, sounds)
        clips, refused = make_clips(inventory.recordings, params, cache, sounds)
        found = [(c.duration_s, c.recording.speaker, c.recording.reference) for c in clips]
        return _summary(found, [*inventory.rejected, *refused]), fault
    found = [(u.duration_s, u.speaker, u.reference) for u in report.utterances]
    return [*_summary(found, report.rejected), *(f"warning: {warning}" for warning in report.warnings)], None


def _summary(found: Sequence[tuple[float, str, str | None]], rejected: Sequence[Rejection]) -> list[str]:
    """A line for each rejection, then one for all; `found` are length in seconds, speaker and transcript of what is usable."""
    hours, spoken = sum(length_s for length_s, _, _ in found) / 3600, {speaker for _, speaker, _ in found}
    written = sum(text is not None for _, _, text in found)
    reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(r.reason for r in rejected).most_common())
    return [
        *(f"{r.source}: {r.reason}: {r.detail}" for r in sorted(rejected, key=lambda r: r.source)),
        f"{len(found)} usable clips ({hours:.2f} h) of {len(spoken)} speakers, {written} with a transcript; "
        + (f"{len(rejected)} rejected: {reasons}." if rejected else "nothing rejected."),
    ]


def _bring(source: Path, target: Path, *, link: bool) -> str | None:
    """Why it cannot be brought; empty where it was, None where it is there already. Raises OSError, as for a full disk."""
    try:
        return _brought(source, target, link=link)
    except (FileExistsError, NotADirectoryError):
        return "something else of that name is there already"
    except PermissionError as error:
        return f"cannot be copied: {error.strerror}"


def _brought(source: Path, target: Path, *, link: bool) -> str | None:
    if target.is_file() and filecmp.cmp(source, target, shallow=False):
        return None
    if target.exists():
        raise FileExistsError
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        if link:
            _link(source, draft)
        else:
            shutil.copy2(source, draft)
        os.link(draft, target)  # unlike a rename, never onto a file that has come to be there
    finally:
        draft.unlink(missing_ok=True)
    return ""


def _link(source: Path, draft: Path) -> None:
    try:
        os.link(source.resolve(), draft)
    except OSError:
        shutil.copy2(source, draft)  # another disk, or one without links
