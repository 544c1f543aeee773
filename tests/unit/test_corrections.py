"""What people decided, as they write it: tables, JSONL, Label Studio's exports."""

import json
from pathlib import Path
from typing import Any

import pytest

from attune.corrections import Correction, read_corrections
from attune.errors import DataError


def put(folder: Path, name: str, content: str | list[Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def verdicts(folder: Path) -> dict[str, tuple[str, str | None]]:
    return {name: (each.verdict, each.text) for name, each in read_corrections(folder).items()}


def test_an_empty_folder_and_one_that_is_not_there_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# not a list")
    assert read_corrections(tmp_path) == {}
    assert read_corrections(tmp_path / "nowhere") == {}


def test_jsonl_rows_are_edited_confirmed_or_discarded(tmp_path: Path) -> None:
    lines = [
        {"id": "a", "text": "Two  tablets."},
        {"utterance": "b", "id": 17, "status": "Confirmed", "text": "a fever"},
        {"id": "c", "transcript": "a\u2028cough"},
        {"id": "d", "status": "discarded", "text": "whatever"},
        {"id": "e", "text": "", "status": None},
    ]
    put(tmp_path, "may.jsonl", "\n".join(map(json.dumps, lines)))
    assert verdicts(tmp_path) == {
        "a": ("edited", "Two tablets."),
        "b": ("confirmed", "a fever"),
        "c": ("edited", "a cough"),
        "d": ("discarded", None),
    }
    assert read_corrections(tmp_path)["b"] == Correction("b", "confirmed", "a fever", f"{tmp_path / 'may.jsonl'}:2")


def test_a_table_as_a_spreadsheet_saves_it(tmp_path: Path) -> None:
    put(tmp_path, "may.csv", '\ufeffID;heard;text;status\r\na;x;"no; pain";\r\nb;y;;discarded\r\nc;z;;\r\n')
    assert verdicts(tmp_path) == {"a": ("edited", "no; pain"), "b": ("discarded", None)}


def test_label_studio_exports_both_ways(tmp_path: Path) -> None:
    def task(name: str, *results: Any, **more: Any) -> dict[str, Any]:
        data = {"id": name, "audio": f"/data/{name}.flac", "heard": "as heard", "proposal": "as proposed"}
        return {"data": data, "annotations": [{"result": list(results), **more}] if results else []}

    text = {"from_name": "text", "type": "textarea", "value": {"text": ["as", "edited"]}}
    choice = lambda status: {"from_name": "status", "type": "choices", "value": {"choices": [status]}}  # noqa: E731
    full = [
        task("a", text, choice("edited")), task("b", text, choice("confirmed")), task("c", choice("discarded")), task("d"),
        task("e", text, was_cancelled=True),
    ]  # fmt: skip
    flat = [
        {"id": 3, "utterance": "f", "audio": "f.flac", "annotation_id": 1, "heard": "x", "text": "flat text", "status": "edited"}
    ]
    put(tmp_path, "1.json", full)
    put(tmp_path, "2.json", flat)
    assert verdicts(tmp_path) == {
        "a": ("edited", "as edited"),
        "b": ("confirmed", "as edited"),
        "c": ("discarded", None),
        "f": ("edited", "flat text"),
    }


def test_what_was_imported_last_wins_over_all(tmp_path: Path) -> None:
    put(tmp_path, "imported.jsonl", '{"id": "a", "text": "newest"}')
    put(tmp_path, "june.json", '{"a": "older", "b": "yes"}')
    assert verdicts(tmp_path) == {"a": ("edited", "newest"), "b": ("edited", "yes")}


def test_texts_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "x.jsonl", '{"id": "a", "text": "fever\\ud800"}')
    put(tmp_path, "y.json", "[" * 100_000)
    with pytest.raises(DataError, match=r"2 row\(s\).*x\.jsonl:1 has the character.*y\.json:1 is no JSON"):
        read_corrections(tmp_path)


def test_the_later_row_wins_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    put(tmp_path, "2.jsonl", '{"id": "a", "text": "newest"}')
    put(tmp_path, "1.jsonl", '{"id": "a", "text": "old"}\n{"id": "a", "text": "newer"}')
    assert verdicts(tmp_path) == {"a": ("edited", "newest")}


def test_rows_that_cannot_be_understood_are_all_named(tmp_path: Path) -> None:
    put(tmp_path, "1.jsonl", '{"id": "a", "status": "maybe"}\n{"text": "whose?"}\n{half\n{"id": "b", "status": "edited"}')
    with pytest.raises(DataError) as caught:
        read_corrections(tmp_path)
    said = str(caught.value)
    for part in (
        "4 row(s)",
        "1.jsonl:1 has status 'maybe'",
        "1.jsonl:2 has no id",
        "1.jsonl:3 is no JSON",
        "1.jsonl:4 is edited and",
    ):
        assert part in said
    assert "\n" not in said


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\xfa\x00")
    with pytest.raises(DataError, match=r"x\.csv"):
        read_corrections(tmp_path)
