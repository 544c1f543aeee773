"""DVC's remotes: one for everything, and, where somebody wants it, others for the models and for what holds test people's voices.

An out of dvc.yaml goes to the default remote unless it names another one; so do recordings that `dvc add` has put under DVC.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import yaml

from attune.errors import StorageError
from attune.files import write_text
from attune.shell import Shell
from attune.storage.probing import probe

Role = Literal["storage", "models", "test"]
DEFAULT: Role = "storage"
MODELS: Role = "models"
TEST: Role = "test"
_OUTS: Mapping[Role, Sequence[str]] = {
    MODELS: ("${paths.finetuned}", "${paths.ct2}"),
    TEST: ("${paths.prepared}", "${paths.baseline}", "${paths.gold}", "${paths.metrics}/report.html"),
}
"""What goes there, as dvc.yaml writes it; to TEST sounds of people who are tested on, and what was heard or written of them."""
_KEY = {"client_email", "private_key", "token_uri"}
"""What a service account's key has."""
_HEADING = re.compile(r"^    (\w+):")
_OUT = re.compile(r"^(?P<head>\s+- )(?P<out>[^:\s]+)(: *\{(?P<options>.*)\})? *$")


@dataclass(frozen=True)
class Access:
    """How to get at a place, where that is not by the credentials of the machine."""

    endpoint: str | None
    credentials: Path | None
    """Kept in .dvc/config.local, which git does not see."""
    anonymous: bool


def use(shell: Shell, urls: Mapping[Role, str], access: Access, raw: Path) -> None:
    """Tries every place, then writes DVC's remotes and which outs go where. Raises StorageError; nothing is changed where a
    place cannot be used."""
    if not (shell.folder / ".dvc").is_dir():
        raise StorageError(f"{shell.folder.resolve()} has no .dvc; run from the project's root, or: dvc init")
    if access.credentials is not None and not access.credentials.is_file():
        raise StorageError(f"{access.credentials} is not a file; --credentials names the JSON key of a service account")
    places = {role: _whole(shell.folder, url) for role, url in urls.items()}
    for url in dict.fromkeys(places.values()):
        _require_address(url, access)
        probe(url, _settings(url, access))
    with _as_it_was(shell.folder / ".dvc" / "config", shell.folder / ".dvc" / "config.local", shell.folder / "dvc.yaml"):
        for role, url in places.items():
            _write(shell, role, url, access)
        moved = {out: role for role in urls for out in _OUTS.get(role, ())}
        if moved:
            _send(shell, moved)
    if TEST in urls:
        _send_recordings(shell, raw)


def _require_address(url: str, access: Access) -> None:
    """Raises StorageError for what can be told without asking anybody."""
    parts = urlsplit(url)
    if not url.isascii():
        raise StorageError(
            f"{url} has letters beyond ASCII, which DVC cannot write into its settings; use another name or a link"
        )
    if "://" in url and not parts.netloc:
        raise StorageError(f"{url} names no bucket or host; write {parts.scheme or 'gs'}://bucket/prefix")
    if parts.scheme in ("gs", "gcs") and access.credentials is not None:
        _require_key(access.credentials)


def _require_key(file: Path) -> None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        missing = sorted(_KEY - content.keys()) if content.get("type") == "service_account" else []
    except (ValueError, AttributeError):
        missing = ["type"]
    if missing or "type" not in content:
        lacks = f"it lacks {', '.join(missing or ['type'])}"
        raise StorageError(
            f"{file} is no key of a service account: {lacks}; make one: gcloud iam service-accounts keys create FILE"
        )


@contextmanager
def _as_it_was(*files: Path) -> Iterator[None]:
    """Puts the files back where the block fails: DVC empties its settings before it writes them."""
    before = {file: file.read_bytes() if file.is_file() else None for file in files}
    try:
        yield
    except BaseException:
        for file, content in before.items():
            if content is None:
                file.unlink(missing_ok=True)
            else:
                file.write_bytes(content)
        raise


def _write(shell: Shell, role: Role, url: str, access: Access) -> None:
    first = ("--default",) if role == DEFAULT else ()
    shell.run("dvc", "remote", "add", "--force", *first, role, url)
    shell.run("dvc", "remote", "modify", role, "verify", "true")  # what comes back is compared with its digest
    for key, value in _settings(url, access).items():
        local = ("--local",) if key == "credentialpath" else ()
        shell.run("dvc", "remote", "modify", *local, role, key, str(value).lower() if isinstance(value, bool) else value)


def _settings(url: str, access: Access) -> dict[str, str | bool]:
    """Of a DVC remote."""
    if "://" not in url:
        return {}
    settings: dict[str, str | bool] = {}
    if access.endpoint:
        settings["endpointurl"] = access.endpoint
    if access.credentials:
        settings["credentialpath"] = str(access.credentials.resolve())
    if access.anonymous:
        settings["allow_anonymous_login"] = True
    return settings


def _whole(folder: Path, url: str) -> str:
    """A local folder as an absolute path, as a clone of the project may lie elsewhere; an address as it is."""
    if "://" in url:
        return url.rstrip("/") if urlsplit(url).netloc else url
    place = Path(url).expanduser()
    return str(place if place.is_absolute() else (folder / place).resolve())


def _send(shell: Shell, moved: Mapping[str, str]) -> None:
    """Names the remotes in dvc.yaml and leaves all else of it as it is. Raises StorageError where an out is not to be found."""
    file = shell.folder / "dvc.yaml"
    lines, section, sent = file.read_text(encoding="utf-8").splitlines(), "", set[str]()
    for number, line in enumerate(lines):
        heading, match = _HEADING.match(line), _OUT.match(line)
        section = heading[1] if heading else section
        if section == "outs" and match and match["out"] in moved:
            lines[number] = f"{match['head']}{match['out']}: {{{_with_remote(match['options'], moved[match['out']])}}}"
            sent.add(match["out"])
    if missing := sorted(moved.keys() - sent):
        raise StorageError(f"dvc.yaml has no out {', '.join(missing)} on a line of its own; write {{remote: NAME}} there")
    yaml.safe_load("\n".join(lines))
    write_text(file, "\n".join(lines) + "\n")
    shell.tell(f"# dvc.yaml: {', '.join(f'{out} goes to {role}' for out, role in moved.items())}")


def _with_remote(options: str | None, remote: str) -> str:
    """`cache: false` becomes `cache: false, remote: models`."""
    kept = [part.strip() for part in (options or "").split(",") if part.strip()]
    return ", ".join([*(part for part in kept if not part.startswith("remote:")), f"remote: {remote}"])


def _send_recordings(shell: Shell, raw: Path) -> None:
    """What `dvc add` tracks of the test people: the folder `test` of the raw one, or all where that is not tracked by itself."""
    apart, whole = shell.folder / raw / "test.dvc", shell.folder / f"{raw}.dvc"
    file = apart if apart.is_file() else whole
    if not file.is_file():
        shell.tell(f"# {raw} is not under DVC yet; run dvc add {raw}, then this command again")
        return
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for out in content["outs"]:
        out["remote"] = TEST
    write_text(file, yaml.safe_dump(content, sort_keys=False))
    shell.tell(f"# {file.relative_to(shell.folder)}: goes to {TEST}")
