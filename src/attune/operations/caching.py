"""The work cache as its owner sees it: how much it holds, what may go, and whether what it holds is still whole.

It has four parts: results (one SQLite file), encoded sounds, what frozen parts of models say of sounds, and models converted
for recognition. All can be made anew.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from attune.audio import sound_digest
from attune.checkpoint_files import files_digest
from attune.dataset import decode_flac
from attune.progress import track
from attune.soundcache import SoundCache
from attune.statecache import STATES, is_whole_state, states_in
from attune.workcache import WorkCache, default_cache_folder

CONVERTED = "converted"
_SUM = ".sha256"
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Part:
    """One part of the cache: how many things are in it, and how much space they take on disk."""

    name: str
    things: int
    bytes: int


def parts(folder: Path | None = None) -> list[Part]:
    """The parts of the cache in `folder`, or in the default one."""
    home = folder or default_cache_folder()
    sounds, states = list(_sounds(home)), states_in(home / STATES)
    models = [(path, _size(path)) for path in [*_models(home), *_drafts(home)]]
    results = WorkCache(home)
    count = results.count()
    results.close()
    database = sum(path.stat().st_size for path in home.glob("cache.db*"))
    return [
        Part("results", count, database),
        Part("sounds", len(sounds), sum(path.stat().st_size for path in sounds)),
        Part("converted models", len(models), sum(size for _, size in models)),
        Part("training states", len(states), sum(path.stat().st_size for path in states)),
    ]


def prune(days: float, folder: Path | None = None) -> int:
    """Removes sounds, states and converted models not used for so many days, and results made before; the bytes set free."""
    home, latest_s = folder or default_cache_folder(), time.time() - days * _DAY_S
    before = sum(part.bytes for part in parts(home))
    for file in [*_sounds(home), *states_in(home / STATES)]:
        if file.stat().st_mtime <= latest_s:
            file.unlink(missing_ok=True)
    for model in _models(home):
        if model.stat().st_mtime <= latest_s:
            drop_model(model)
    for draft in _drafts(home):
        if draft.stat().st_mtime <= min(latest_s, time.time() - _DAY_S):  # else it may be at work
            shutil.rmtree(draft, ignore_errors=True)
    results = WorkCache(home)
    results.forget_before(latest_s)
    results.close()
    return before - sum(part.bytes for part in parts(home))


def verify(folder: Path | None = None) -> list[str]:
    """What is damaged, as paths below the cache; it is removed, so that it is made anew when it is wanted."""
    home = folder or default_cache_folder()
    damaged = []
    sounds = list(_sounds(home))
    for sound in track(iter(sounds), "verifying", len(sounds)):
        if not _is_whole(sound):
            sound.unlink(missing_ok=True)
            damaged.append(sound)
    for state in states_in(home / STATES):
        if not is_whole_state(state.read_bytes()):
            state.unlink(missing_ok=True)
            damaged.append(state)
    for model in _models(home):
        if not is_whole(model):
            drop_model(model)
            damaged.append(model)
    results = WorkCache(home)
    unreadable = results.drop_unreadable()
    results.close()
    return [str(path.relative_to(home)) for path in damaged] + [f"result {key}" for key in unreadable]


def is_whole(model: Path) -> bool:
    """Whether a converted model is what it was when it was put into the cache."""
    return sum_of(model).is_file() and sum_of(model).read_bytes() == files_digest(model).encode()


def drop_model(model: Path) -> None:
    """Removes a converted model from the cache."""
    shutil.rmtree(model, ignore_errors=True)
    if model.is_file():
        model.unlink()
    sum_of(model).unlink(missing_ok=True)


def sum_of(model: Path) -> Path:
    """The file beside a converted model that holds its digest."""
    return model.with_name(model.name + _SUM)


def _sounds(home: Path) -> Iterator[Path]:
    yield from sorted((home / "sounds").glob("*/*.flac"))


def _models(home: Path) -> Iterator[Path]:
    yield from sorted(path for path in (home / CONVERTED).glob("*") if path.is_dir() and not path.name.startswith("."))


def _drafts(home: Path) -> Iterator[Path]:
    """Conversions under way, or left by a kill."""
    yield from sorted(path for path in (home / CONVERTED).glob(".*") if path.is_dir())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _is_whole(sound: Path) -> bool:
    """Whether its name is the digest of its content, or of the samples in it."""
    digest = SoundCache.digest_of_path(sound)
    content = sound.read_bytes()
    if sha256(content).hexdigest() == digest:
        return True
    try:
        return sound_digest(decode_flac(content)) == digest
    except (RuntimeError, ValueError):
        return False
