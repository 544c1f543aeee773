"""Records on disk: JSONL for what people read and diff, JSON for metrics, all written whole or not at all."""

import csv
import dataclasses
import glob
import hashlib
import io
import json
import os
import shutil
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from attune.errors import DataError

_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where there is one; Python's own takes eight times as long."""
_STATES = ("draft", "former")
R = TypeVar("R")


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A fresh folder beside `target` that takes its place when the block ends well, and vanishes when it does not.

    What a killed process left half done is cleared by the next one. Of two writers at once the one that ends last counts.
    """
    _clear_leftovers(target)
    draft, former = (target.with_name(f".{target.name}.{os.getpid()}.{state}") for state in _STATES)
    for leftover in (draft, former):
        shutil.rmtree(leftover, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        if target.exists():
            target.rename(former)
        draft.rename(target)
    finally:
        for leftover in (draft, former):
            shutil.rmtree(leftover, ignore_errors=True)


def _clear_leftovers(target: Path) -> None:
    """Removes what processes left that are no more."""
    for state in _STATES:
        for leftover in target.parent.glob(f".{glob.escape(target.name)}.*.{state}"):
            owner = leftover.name.split(".")[-2]
            if owner.isdigit() and not process_runs(int(owner)):
                shutil.rmtree(leftover, ignore_errors=True)


def process_runs(process: int) -> bool:
    """Whether there is a process with that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Digest of the content, as hex. Raises OSError."""
    digest, block = hashlib.new(algorithm, usedforsecurity=False), memoryview(bytearray(1 << 18))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(block):  # into the same memory: fresh memory for each block costs a tenth more
            digest.update(block[:size])
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Replaces `path` in one step; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Indented JSON with the keys in the order given. NaN and infinity, which JSON lacks, are written as null."""
    write_text(path, json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_jsonl(path: Path, records: Iterable[Any]) -> None:
    """One dataclass record a line, in the order given."""
    lines = (json.dumps(dataclasses.asdict(r), ensure_ascii=False, allow_nan=False) for r in records)
    write_text(path, "".join(f"{line}\n" for line in lines))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows under a heading of `columns`; None is an empty cell, and what `columns` does not name is left out."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def parse_yaml(text: str) -> Any:
    """The content. Raises yaml.YAMLError where the text is no YAML."""
    return yaml.load(text, Loader=_YAML)  # noqa: S506, a safe one


def read_jsonl(path: Path, kind: type[R]) -> list[R]:
    """The records of `path`. Raises DataError naming the line that does not fit `kind`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; run the stage that makes it: dvc repro") from error
    return parse_jsonl(text, str(path), kind)


def parse_jsonl(text: str, where: str, kind: type[R]) -> list[R]:
    """The same from text; `where` is named in errors."""
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line:
            try:
                records.append(build(kind, json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                raise DataError(f"{where}:{number} is not a {kind.__name__}: {error}") from error
    return records


def build(kind: type[R], content: Any) -> R:
    """A dataclass record out of parsed JSON, by its type hints. Raises TypeError or KeyError where it does not fit."""
    return _build(kind, content)  # type: ignore[no-any-return]


def _build(kind: Any, content: Any) -> Any:
    """Dataclasses and tuples of them out of parsed JSON, by their type hints."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(content, Mapping):
            raise TypeError("it is not an object of keys and values")
        hints = get_type_hints(kind)
        return kind(**{name: _build(hints[name], value) for name, value in content.items()})
    if get_origin(kind) is tuple:
        return tuple(_build(get_args(kind)[0], item) for item in content)
    if get_origin(kind) in (types.UnionType,) and content is not None:
        return _build(next(a for a in get_args(kind) if a is not type(None)), content)
    return content


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float):
        return round(value, 6) if abs(value) < float("inf") else None
    return value
