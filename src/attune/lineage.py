"""What an output was made from: `lineage.json` in each stage's folder names the digests of every list upstream.

A stage declares to DVC only the folder of the stage before it, so that the graph is a line. What it reads from further
up (the recordings, say) is pinned here instead: the digest travels along the line, so a change upstream changes every
folder below it and reruns its readers, and a folder that is not the pinned one is refused.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from attune.errors import DataError
from attune.files import file_digest, write_json

LINEAGE = "lineage.json"


def record_lineage(folder: Path, parent: Path | None, made_from: Iterable[Path]) -> None:
    """Writes into `folder` the lineage of `parent` and the digests of the files `made_from`, by file name."""
    inherited = read_lineage(parent) if parent else {}
    write_json(folder / LINEAGE, {**inherited, **{path.name: file_digest(path) for path in made_from}})


def check_lineage(parent: Path, read_from: Iterable[Path]) -> None:
    """Raises DataError unless each file is the very one that `parent`, a declared dependency, was made from."""
    pinned = read_lineage(parent)
    for path in read_from:
        if not path.exists():
            raise DataError(
                f"{path} is missing; fetch what the graph made: dvc checkout {path.parent} (or dvc pull {path.parent})"
            )
        if pinned.get(path.name) != file_digest(path):
            raise DataError(f"{path} is not what {parent} was made from; bring them together again: dvc repro")


def read_lineage(folder: Path) -> Mapping[str, str]:
    """File names upstream and their SHA-256 digests. Raises DataError when the folder has no lineage."""
    try:
        content: dict[str, str] = json.loads((folder / LINEAGE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise DataError(f"{folder / LINEAGE} is missing or damaged; run: dvc repro") from error
    return content
