"""What storage meant by its error, and the command that mends it."""

import errno
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from attune.errors import AttuneError, StorageError

_CLIENTS = {"gcsfs", "google", "aiohttp", "botocore", "s3fs", "azure", "adlfs", "requests"}
"""Packages that talk to storage; their errors have no common ancestor."""
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}

_SIGNS: Mapping[str, str] = {
    "package": r"MissingDeps|requires '?dvc-|dvc\[\w+\]|ModuleNotFound|missing dependencies",
    "network": r"Cannot connect|Connection(Refused|Reset)?Error|Name or service not known|timed? ?out|EndpointConnection",
    "credentials": r"\b401\b|Anonymous caller|DefaultCredentials|RefreshError|Credentials|credential|service account|valid token",
    "permission": r"\b403\b|Forbidden|Permission|AccessDenied|Read-only",
    "bucket": r"FileNotFound|NoSuchBucket|\b404\b|does not exist",
}
"""Patterns of what libraries say, in the order in which they are looked for."""
_MEANINGS: Mapping[str, str] = {
    "package": "DVC lacks what {scheme}:// needs; run: pip install dvc-{scheme}",
    "network": "it cannot be reached; check the network, a proxy (HTTPS_PROXY), and --endpoint",
    "credentials": "there are no credentials for it, or they have lapsed; see: dvc remote modify --help",
    "credentials gs": "there are no credentials for it, or they have lapsed; run: gcloud auth application-default login, or name "
    "the key of a service account: --credentials FILE",
    "credentials s3": "there are no credentials for it; run: aws configure",
    "permission": "it may not be written to; change its permissions, or ask its owner",
    "permission gs": "you may not write to it; its owner runs: gcloud storage buckets add-iam-policy-binding gs://{bucket} "
    "--member=user:YOUR_ADDRESS --role=roles/storage.objectAdmin",
    "bucket": "there is no such place; make it, or correct the address",
    "bucket gs": "there is no bucket {bucket}; make it with: gcloud storage buckets create gs://{bucket} --location=REGION",
    "bucket s3": "there is no bucket {bucket}; make it with: aws s3 mb s3://{bucket}",
}
_MOST_CAUSES, _MOST_LETTERS = 5, 200


@contextmanager
def explained(url: str, *besides: type[BaseException]) -> Iterator[None]:
    """Raises StorageError in place of what goes wrong with `url` inside; `besides` pass as they are, and so does a full disk."""
    from dvc.exceptions import DvcException

    passing: tuple[type[BaseException], ...] = (AttuneError, *besides)
    try:
        with _clients_silent():
            yield
    except passing:
        raise
    except (OSError, ValueError, ImportError, DvcException) as error:
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise
        raise StorageError(explain(url, error)) from error
    except Exception as error:
        if not _CLIENTS & {type(error).__module__.split(".")[0], _raised_in(error)}:
            raise
        raise StorageError(explain(url, error)) from error


@contextmanager
def _clients_silent() -> Iterator[None]:
    """They log with tracebacks what they raise afterwards."""
    loggers = [logging.getLogger(name) for name in sorted(_CLIENTS)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _raised_in(error: BaseException) -> str:
    """The package whose code raised it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")).split(".")[0] if frames else ""


def explain(url: str, error: BaseException) -> str:
    """One sentence: what is missing at `url`, what to do, what was seen."""
    causes = _causes(error)
    parts = urlsplit(url)
    for lack, signs in _SIGNS.items():
        if any(re.search(signs, cause) for cause in causes):
            meaning = _MEANINGS.get(f"{lack} {parts.scheme}", _MEANINGS[lack])
            return f"{url}: {meaning.format(scheme=parts.scheme, bucket=parts.netloc)} (it said: {causes[0][:_MOST_LETTERS]})"
    return f"{url} cannot be used: {causes[0][:_MOST_LETTERS]}; correct the address, or see: dvc remote --help"


def _causes(error: BaseException) -> list[str]:
    """The error and what it came from, with the names of their kinds."""
    found, current = list[str](), error
    while len(found) < _MOST_CAUSES:
        found.append(" ".join(f"{type(current).__name__}: {current}".split()))
        before = current.__cause__ or current.__context__
        if before is None:
            break
        current = before
    return found
