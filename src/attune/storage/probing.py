"""Whether a place can be written to and read from: a small object is put there, read and removed, as DVC would."""

import uuid
from collections.abc import Mapping

from attune.errors import StorageError
from attune.storage.explaining import explained

_PROBE = b"attune was here\n"


def probe(url: str, settings: Mapping[str, str | bool]) -> None:
    """Raises StorageError, with what is missing and the command that mends it, where `url` cannot be used. `settings` are those
    of a DVC remote."""
    with explained(url):
        found = _through(url, settings)
    if found != _PROBE:
        raise StorageError(f"{url} gives back other bytes than it was given; use another place")


def _through(url: str, settings: Mapping[str, str | bool]) -> bytes:
    """What comes back of the probe."""
    from dvc.fs import get_cloud_fs

    kind, config, folder = get_cloud_fs(None, url=url, **settings)
    there = kind(**config)
    place = there.join(folder, f"attune-probe-{uuid.uuid4().hex}")
    if there.protocol == "local":
        there.makedirs(folder)
    there.pipe_file(place, _PROBE)
    found = bytes(there.cat_file(place))
    there.rm_file(place)
    return found
