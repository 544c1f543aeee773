"""A folder of sounds to train with: noises, or the impulse responses of rooms. Read at the start, and kept as memory allows."""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attune.audio import UnusableAudio, check_audible, read_audio, sound_digest
from attune.dataset import Samples
from attune.errors import TrainingError
from attune.raw_files import is_audio, name_below, walk
from attune.records import Rejection

_LOG = logging.getLogger(__name__)
_KEPT_BYTES = 1 << 29
_LONGEST_S = 3600.0
_SHORTEST_S = 0.01
_SILENT_DBFS = -80.0
_NAMED = 10
_FULL_SCALE = 32767.0


class SoundFolder:
    """Every usable sound below a folder, in the order of their names, at 16 kHz."""

    def __init__(self, folder: Path, param: str) -> None:
        """`param` is the key of params.yaml that names `folder`. Raises TrainingError where there is nothing to hear in it."""
        self.refused: Mapping[str, str]
        """Files that cannot be used, with one word for why; their names are logged too."""
        self._kept: dict[int, NDArray[np.int16]] = {}
        self._free_bytes = _KEPT_BYTES
        if not folder.is_dir():
            raise TrainingError(f"{param} is {folder}, which is no folder; correct it, or set it to null")
        unread = list[Rejection]()
        files = sorted(path for path in walk(folder, unread) if is_audio(path.name))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(_looked_at, files))
        refused = {each.source: each.reason for each in unread}
        refused |= {name_below(f, folder): why for f, why in zip(files, found, strict=True) if isinstance(why, str)}
        self.refused = refused
        self._files = [f for f, digest in zip(files, found, strict=True) if not isinstance(digest, str)]
        if not self._files:
            raise TrainingError(
                f"{param} is {folder}, which holds no sound that can be used{_named(refused)}; add some, or set it to null"
            )
        if refused:
            _LOG.warning("%d file(s) below %s (%s) are left out%s.", len(refused), folder, param, _named(refused))
        names = [name_below(f, folder).encode() for f in self._files]
        digests = [digest for digest in found if isinstance(digest, bytes)]
        self.digest = hashlib.sha256(b"\0".join(part for pair in zip(names, digests, strict=True) for part in pair)).hexdigest()
        self._keep_some()

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> Samples:
        """Samples of the file with this number, shape (time,)."""
        kept = self._kept.get(number)
        return _read(self._files[number]) if kept is None else kept.astype(np.float32) / np.float32(_FULL_SCALE)

    def _keep_some(self) -> None:
        """Before loaders fork, so that they share it."""
        for number, path in enumerate(self._files):
            samples = _read(path)
            if samples.size * 2 > self._free_bytes:
                break
            self._kept[number] = np.clip(samples * _FULL_SCALE, -_FULL_SCALE, _FULL_SCALE).astype(np.int16)
            self._free_bytes -= samples.size * 2


def _looked_at(path: Path) -> bytes | str:
    """A digest of the sound, or why it cannot be used."""
    try:
        samples = read_audio(path, _LONGEST_S)
        check_audible(path, samples, _SHORTEST_S, _SILENT_DBFS)
    except UnusableAudio as error:
        return error.reason
    return bytes.fromhex(sound_digest(samples))


def _read(path: Path) -> Samples:
    return read_audio(path, _LONGEST_S)


def _named(refused: Mapping[str, str]) -> str:
    names: Sequence[str] = [f"{name} ({why})" for name, why in sorted(refused.items())]
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f": {', '.join(names[:_NAMED])}{more}" if names else ""
