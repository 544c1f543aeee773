"""What a revision says it is made of: the path of an artifact in dvc.yaml, and the digests in dvc.lock or PATH.dvc.

Read from git, so that nothing but the revision itself is asked.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from attune.errors import RegistryError
from attune.files import parse_yaml
from attune.shell import Shell


@dataclass(frozen=True)
class Tracked:
    """An artifact at a revision."""

    path: str
    """From the project's root."""
    digest: str
    """DVC's: the MD5 of a file, or, with `.dir`, of the list of a folder's files."""
    remote: str | None
    """The DVC remote that it is kept in, where it is not the default one."""


def artifact_at(shell: Shell, name: str, revision: str) -> Tracked:
    """The artifact `name` at a revision. Raises RegistryError where dvc.yaml has none or nothing of it is tracked."""
    project = _yaml(shell, revision, "dvc.yaml")
    entry = project.get("artifacts", {}).get(name)
    if not entry or "path" not in entry:
        known = ", ".join(project.get("artifacts", {})) or "none"
        raise RegistryError(f"dvc.yaml of {revision} has no artifact {name} (it has: {known}); say which with --name")
    path = str(entry["path"]).strip("/")
    outs = {**_locked_outs(shell, revision), **_added(shell, revision, path)}
    if path not in outs:
        raise RegistryError(
            f"{path} is in neither dvc.lock nor {path}.dvc of {revision}, so there is no model to name; run: dvc repro && "
            "git add --all && git commit"
        )
    return Tracked(path, outs[path], _remote_of(project, path))


def require_one_run(shell: Shell, revision: str, results: str) -> None:
    """Raises RegistryError where dvc.lock of a revision joins stages of several runs, or the file `results`, from the project's
    root, is not the one that it names: then a verdict would be another model's."""
    stages = _yaml(shell, revision, "dvc.lock").get("stages", {})
    outs = _locked_outs(shell, revision)
    for stage, content in stages.items():
        for dep in content.get("deps", []):
            if dep["path"] in outs and outs[dep["path"]] != dep.get("md5"):
                raise RegistryError(f"{stage} ran on another {dep['path']} than dvc.lock of {revision} has; run: dvc repro && "
                                    "git commit --all")  # fmt: skip
    found = shell.text(revision, results) or ""
    if results in outs and hashlib.md5(found.encode(), usedforsecurity=False).hexdigest() != outs[results]:
        raise RegistryError(
            f"{results} of {revision} is not the one that dvc.lock names; commit both together: dvc repro && git add --all && "
            "git commit"
        )


def _remote_of(project: Mapping[str, Any], path: str) -> str | None:
    """That of the out in dvc.yaml; paths there may be params, so the ending decides where the path itself is not found."""
    for stage in project.get("stages", {}).values():
        for out in stage.get("outs", []):
            if isinstance(out, dict):
                written, options = next(iter(out.items()))
                if options and options.get("remote") and (written == path or _param_of(written) == path.rpartition("/")[2]):
                    return str(options["remote"])
    return None


def _param_of(written: str) -> str:
    """`ct2` of `${paths.ct2}`."""
    return written.removeprefix("${").removesuffix("}").rpartition(".")[2]


def _locked_outs(shell: Shell, revision: str) -> dict[str, str]:
    stages = _yaml(shell, revision, "dvc.lock").get("stages", {})
    return dict(_digests(out for stage in stages.values() for out in stage.get("outs", [])))


def _added(shell: Shell, revision: str, path: str) -> dict[str, str]:
    """The digest that `dvc add` wrote."""
    folder = path.rpartition("/")[0]
    outs = _yaml(shell, revision, f"{path}.dvc").get("outs", [])
    return {f"{folder}/{name}".lstrip("/"): digest for name, digest in _digests(outs)}


def _digests(outs: Any) -> Iterator[tuple[str, str]]:
    for out in outs:
        if "md5" in out:
            yield str(out["path"]), str(out["md5"])


def _yaml(shell: Shell, revision: str, file: str) -> Mapping[str, Any]:
    """The file's content; empty where git has none."""
    try:
        content = parse_yaml(shell.text(revision, file) or "")
    except yaml.YAMLError as error:
        raise RegistryError(f"{file} of {revision} is not readable YAML: {' '.join(str(error).split())}") from error
    return content if isinstance(content, dict) else {}
