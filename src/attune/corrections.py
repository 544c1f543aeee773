"""What people said of utterances after listening: edited, confirmed or discarded, in files of `data/corrections`.

Read are JSONL and CSV (`id`, `text`, `status`), as `attune gold export-review` lays them out, and exports of Label Studio. A row
belongs to an utterance by its id, which is its sound's digest: changed sound is another utterance, and the row is void.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from attune import label_studio
from attune.errors import DataError
from attune.tables import csv_rows
from attune.text import is_writable, normalize

Verdict = Literal["edited", "confirmed", "discarded"]

IMPORTED = "imported.jsonl"
"""The file that `attune gold import-review` keeps."""
_VERDICTS = ("edited", "confirmed", "discarded")
_TEXTS = ("text", "transcript", "transcription")
_NAMED_IN_ERRORS = 5


@dataclass(frozen=True)
class Correction:
    """A person's verdict on one utterance."""

    id: str
    verdict: Verdict
    text: str | None
    """What was said; None exactly when the utterance is discarded."""
    row: str
    """Where it stands, as `data/corrections/may.jsonl:12`."""


def read_corrections(folder: Path) -> dict[str, Correction]:
    """All of them by utterance id; of several for one utterance the last counts, files in the order of their names, what was
    imported last of all.

    Rows that nobody filled in are passed over. Raises DataError naming the rows that cannot be understood.
    """
    found = (p for p in folder.glob("*") if p.suffix.lower() in (".jsonl", ".json", ".csv") and p.is_file())
    files = sorted(found, key=lambda path: (path.name == IMPORTED, path.name))
    outcomes = [outcome for file in files for outcome in read_file(file)]
    faults = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if faults:
        raise DataError(
            f"{len(faults)} row(s) of {folder} cannot be understood: {'; '.join(faults[:_NAMED_IN_ERRORS])}; "
            "correct or remove them"
        )
    return {outcome.id: outcome for outcome in outcomes if isinstance(outcome, Correction)}


def read_file(path: Path) -> list[Correction | str]:
    """The corrections in one file, and what is wrong with its other rows. Raises DataError where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({error}); save it so, or remove it") from error
    found = (_read_row(row, f"{path}:{number}") for number, row in _rows(path, text))
    return [outcome for outcome in found if outcome is not None]


def _rows(path: Path, text: str) -> Iterator[tuple[int, object]]:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        yield from csv_rows(text.replace("\r\n", "\n").replace("\r", "\n"))
        return
    if suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield number, _parsed(line)
        return
    content = _parsed(text)
    rows = content if isinstance(content, list) else [content]
    if isinstance(content, dict) and not {"id", "utterance", "data"} & content.keys():
        rows = [{"id": name, "text": said} if isinstance(said, str) else said for name, said in content.items()]
    yield from enumerate((_of_task(row) for row in rows), start=1)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"is no JSON: {error}"


def _of_task(task: object) -> object:
    """A row of a Label Studio task as the others are; anything else as it is."""
    if not (label_studio.is_task(task) or label_studio.is_flat_task(task)):
        return task
    given: Mapping[str, Any] = task["data"] if label_studio.is_task(task) else task
    about = {key: given[key] for key in ("id", "utterance") if key in given}
    return {**about, **label_studio.verdict(task)}


def _read_row(row: object, where: str) -> Correction | str | None:
    if not isinstance(row, Mapping):
        return f"{where} {row if isinstance(row, str) else 'is no object'}"
    given = {str(key).strip().lower(): " ".join(str(value).split()) for key, value in row.items() if value is not None}
    text = next((given[column] for column in _TEXTS if given.get(column)), "")
    name, status = given.get("utterance") or given.get("id", ""), given.get("status", "").lower()  # some tools number by `id`
    if not text and not status:
        return None  # nobody looked at it yet
    if not name:
        return f"{where} has no id"
    if status and status not in _VERDICTS:
        return f"{where} has status {status!r}, allowed are {', '.join(_VERDICTS)}"
    verdict = cast(Verdict, status or "edited")
    if verdict == "discarded":
        return Correction(name, verdict, None, where)
    if not normalize(text):
        return f"{where} is {verdict} and has no text; write (or copy) what was said into it, or the status discarded"
    if strange := next((c for c in text if not is_writable(c)), None):
        return f"{where} has the character {strange!r} in its text"
    return Correction(name, verdict, text, where)
