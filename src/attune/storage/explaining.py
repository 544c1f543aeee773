"""What storage meant by its error, and the command that mends it."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

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
