"""Whether a place can be written to and read from: a small object is put there, read and removed, through DVC's own file systems."""

import uuid
from collections.abc import Mapping

from attune.errors import StorageError
from attune.storage.explaining import explain

_PROBE = b"attune was here\n"


def probe(url: str, settings: Mapping[str, str | bool]) -> None:
    """Raises StorageError, with what is missing and the command that mends it, where `url` cannot be used. `settings` are those
    of a DVC remote."""
    from dvc.config import ConfigError
    from dvc.exceptions import DvcException
    from dvc.fs import get_cloud_fs
    from dvc_objects.fs.errors import AuthError
    from dvc_objects.fs.errors import ConfigError as FsConfigError

    try:
        kind, config, folder = get_cloud_fs(None, url=url, **settings)
        there = kind(**config)
        place = there.join(folder, f"attune-probe-{uuid.uuid4().hex}")
        if there.protocol == "local":
            there.makedirs(folder)
        there.pipe_file(place, _PROBE)
        found = there.cat_file(place)
        there.rm_file(place)
    except (OSError, ValueError, ImportError, ConfigError, DvcException, AuthError, FsConfigError) as error:
        raise StorageError(explain(url, error)) from error
    except BaseException as error:
        if not _of_a_client(error):
            raise
        raise StorageError(explain(url, error)) from error
    if found != _PROBE:
        raise StorageError(f"{url} gives back other bytes than it was given; use another place")


def _of_a_client(error: BaseException) -> bool:
    """Whether it comes from a library that talks to storage; those have no common ancestor."""
    return type(error).__module__.split(".")[0] in {
        "gcsfs",
        "google",
        "aiohttp",
        "botocore",
        "s3fs",
        "azure",
        "adlfs",
        "requests",
    }
