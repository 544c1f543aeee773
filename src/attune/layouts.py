"""What lies in a raw folder: which recordings, who speaks, in which condition, and what a human wrote of them.

Any nesting is read. A folder `clean` or `noisy` in the path tells the condition, a folder `test` who is tested on. A transcript
is `x.txt` beside `x.wav`, or `transcripts/x.txt` for `audio/x.wav`, or a row of a list (see `manifests`), which wins; a row may
also be a piece of a longer recording; see `listings` for how a row finds its file. Nothing is decoded here; see `clips` for that.

Who speaks, by the first of these rules that gives an answer (`Recording.speaker_from` says which did):
- `manifest`: the row's speaker.
- `folder`: the folder below the last `clean`, `noisy` or `audio`, else the topmost one besides these:
  `clean/anna/x.wav`, `anna/clean/x.wav` and `anna/x.wav` are all anna's. A folder that holds everything and its list is nobody's.
- `session`: the row's session.
- `file_name`: what stands before the first `_` or `-`, if there is a letter in it: `clean/anna_001.wav`.
- `recording`: the file itself, with all its pieces. Who speaks in several files may then be on two sides; `intake` warns of it.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from attune import manifests, saved_datasets
from attune.errors import DataError
from attune.listings import read_lists
from attune.packs import open_packs
from attune.raw_files import ADDED_FOLDER, AUDIO, UPLOAD_PREFIX, is_audio, name_below, spelled, suffix, walk
from attune.records import Condition, Rejection
from attune.soundcache import SoundCache

SpeakerRule = Literal["manifest", "folder", "session", "file_name", "recording"]

TEST_FOLDER = "test"
"""Who is recorded below a folder of this name is tested on."""
_CONTAINERS = frozenset(
    {TEST_FOLDER, "train", "validation", "valid", "dev", "data", "clean", "noisy", "audio", "clips", "wav", "wavs"}
) | {"speech", "nonspeech"}
_SOUND_FOLDERS = frozenset({"audio", "clips", "wav", "wavs", "sounds", "recordings"})
_TEXT_FOLDERS = frozenset({"transcripts", "transcript", "transcriptions", "text", "texts", "txt"})
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
    session: str | None = None
    snr_db: float | None = None
    """As the list says; None where it is to be measured."""
    start_s: float | None = None
    end_s: float | None = None
    """The piece of the file that this is; both None for the whole."""
    content_s: float | None = None
    """How much of it matters, as the list says; the rest is padding around."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """The list's other columns."""


@dataclass(frozen=True)
class Inventory:
    """Everything found in a raw folder: each file is a recording, a transcript, a manifest, rejected or ignored."""

    recordings: tuple[Recording, ...]
    rejected: tuple[Rejection, ...]
    ignored_files: int
    empty_transcripts: int


def tested(recording: Recording) -> bool:
    """Whether it lies below a folder `test`; what `attune data add` was given is none by its name alone."""
    return TEST_FOLDER in [folder.lower() for folder in _folders(recording.source)]


def named(recording: Recording) -> str:
    """The recording as people are told of it: its source, and of a piece the seconds."""
    if recording.start_s is None:
        return recording.source
    return f"{recording.source} from {recording.start_s:g} s" + (f" to {recording.end_s:g} s" if recording.end_s else "")


def take_inventory(raw: Path, packed: SoundCache | None = None) -> Inventory:
    """The recordings below `raw`, ordered by source. Raises DataError if the folder is missing or has none.

    What stands inside of packs and saved datasets is laid into `packed`, by default the user's cache.
    """
    if not raw.is_dir():
        raise DataError(f"{raw} is not a folder; put your recordings there, or run: attune demo corpus")
    rejected: list[Rejection] = []
    files = {name_below(path, raw): path for path in walk(raw, rejected)}
    kept = packed or SoundCache()
    packs = open_packs(files, kept, rejected)
    lists, entries = read_lists(files, raw, kept, rejected)
    sounds = sorted(source for source in files if is_audio(source) or spelled(source) in entries)
    texts = _written_texts(files, sounds, entries, rejected)
    if not sounds:
        why = f"; {len(rejected)} rejected, first {rejected[0].source}: {rejected[0].detail}" if rejected else ""
        kinds = ", ".join(sorted(AUDIO))
        raise DataError(f"{raw} has no recordings ({kinds}){why}; put some there, or run: attune demo corpus")
    shared = _shared_folder(sounds, lists)
    recordings = tuple(
        _recording(sound, files[sound], entry, texts.get(sound), shared)
        for sound in sounds
        for entry in _pieces_or_whole(entries.get(spelled(sound), []))
    )
    given = [*texts.values(), *(e.text for rows in entries.values() for e in rows)]
    used = {*sounds, *lists, *packs, *filter(_is_transcript, files)}
    return Inventory(recordings, tuple(rejected), len(files) - len(used), sum(t is not None and not t.strip() for t in given))


def _pieces_or_whole(rows: list[manifests.Entry]) -> list[manifests.Entry | None]:
    """Of a file's rows the pieces, with what a row for the whole says of them all; else that row, or nothing."""
    whole = next((row for row in rows if row.start_s is None), None)
    pieces = [row for row in rows if row.start_s is not None]
    if whole is not None and pieces:
        pieces = [_completed(piece, whole) for piece in pieces]
    return [*pieces] or [whole]


def _completed(piece: manifests.Entry, whole: manifests.Entry) -> manifests.Entry:
    return replace(
        piece,
        speaker=piece.speaker or whole.speaker,
        session=piece.session or whole.session,
        condition=piece.condition or whole.condition,
        tags={**whole.tags, **piece.tags},
    )


def _recording(source: str, path: Path, entry: manifests.Entry | None, written: str | None, shared: str) -> Recording:
    row = entry or manifests.Entry(source, None, None, "")
    speaker, rule = _speaker(source, row.speaker, row.session, shared)
    text = written if row.text is None and row.start_s is None else row.text
    reference = " ".join(text.split()) if text else ""
    condition = row.condition or _condition(source)
    return Recording(
        path, source, speaker, rule, condition, reference or None, row.session, row.snr_db,
        row.start_s, row.end_s, row.content_s, row.tags,
    )  # fmt: skip


def _folders(source: str) -> list[str]:
    """The folders above a recording, without that which `attune data add` made for what it was given."""
    folders = source.split("/")[:-1]
    return folders[2:] if folders[:1] == [ADDED_FOLDER] else folders


def _shared_folder(sounds: list[str], lists: list[str]) -> str:
    """The folder that holds a list and all recordings, as in `corpus/metadata.csv`: its name is nobody's. Else empty."""
    holding = (posixpath.dirname(source) for source in lists)
    return next((place for place in holding if place and all(sound.startswith(f"{place}/") for sound in sounds)), "")


def _speaker(source: str, given: str | None, session: str | None, shared: str) -> tuple[str, SpeakerRule]:
    if given:
        return person(given), "manifest"
    folders, name = _folders(source), source.rsplit("/", 1)[-1]
    if any(folder.endswith(saved_datasets.SUFFIX) for folder in folders):
        folders, name, source = [], "", "/".join([*folders[-1:], name])  # those of a dataset are nobody's
    if shared and "/".join(folders).startswith(shared):
        folders = folders[shared.count("/") + 1 :]
    last = max((i for i, folder in enumerate(folders) if folder.lower() in _CONTAINERS), default=-1)
    above = [folder for folder in folders if folder.lower() not in _CONTAINERS]
    if above:
        return person((folders[last + 1 :] or above)[0]), "folder"
    if session:
        return person(session), "session"
    prefix = re.match(r"[^_-]*[^\W\d_][^_-]*(?=[_-])", UPLOAD_PREFIX.sub("", name, count=1))
    return (person(prefix.group()), "file_name") if prefix else (spelled(source), "recording")


def person(name: str) -> str:
    """One spelling for names of people: Anna and anna are not two."""
    return " ".join(spelled(name).casefold().split())


def _condition(source: str) -> Condition | None:
    conditions: tuple[Condition, ...] = ("clean", "noisy")
    folders = [folder.lower() for folder in source.split("/")[:-1]]
    found = [(folders.index(condition), condition) for condition in conditions if condition in folders]
    return min(found)[1] if found else None


def _written_texts(
    files: Mapping[str, Path], sounds: list[str], entries: Mapping[str, list[manifests.Entry]], rejected: list[Rejection]
) -> dict[str, str]:
    """What stands in `x.txt` files, by the recording that it was written of."""
    beside = {posixpath.splitext(source)[0]: source for source in sounds}
    apart = dict[str, str | None]()
    for stem, sound in beside.items():
        place = _without(stem, _SOUND_FOLDERS)
        apart[place] = sound if place not in apart else None
    texts: dict[str, str] = {}
    for source in sorted(filter(_is_transcript, files)):
        stem = posixpath.splitext(source)[0]
        meant = beside.get(stem) or apart.get(_without(stem, _TEXT_FOLDERS))
        text = _read_text(files[source], source, rejected)
        row = next((e for e in entries.get(spelled(meant or ""), []) if e.text is not None), None)
        if meant is None:
            rejected.append(Rejection(source, "transcript_without_audio", "has no recording of the same name beside it"))
        elif text is not None and row and row.text is not None and row.text.split() != text.split():
            rejected.append(Rejection(source, "transcript_overruled", f"{row.row} says other and is believed"))
        elif text is not None and not text.strip():
            rejected.append(Rejection(source, "empty_transcript", "is empty; the recording counts as not transcribed"))
            texts[meant] = text
        elif text is not None:
            texts[meant] = text
    return texts


def _without(stem: str, folders: frozenset[str]) -> str:
    """The path without its folders of these names."""
    *above, name = stem.split("/")
    return "/".join([*(folder for folder in above if folder.lower() not in folders), name])


def _read_text(path: Path, source: str, rejected: list[Rejection]) -> str | None:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        rejected.append(Rejection(source, "transcript_not_utf8", f"{error.reason} at byte {error.start}; save it as UTF-8"))
    except OSError as error:
        rejected.append(Rejection(source, "unreadable", f"cannot be opened: {error.strerror}"))
    return None


def _is_transcript(source: str) -> bool:
    return suffix(source) == ".txt" and posixpath.basename(source)[:-4].lower() not in _NO_TRANSCRIPTS
