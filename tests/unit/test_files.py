"""Files are whole or not there, and records come back as they went."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attune.errors import DataError
from attune.files import read_jsonl, whole_folder, write_json, write_jsonl, write_text
from attune.records import Alternative, Hypothesis, Rejection, Word


def test_a_whole_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    with whole_folder(tmp_path / "out") as draft:
        (draft / "new").touch()
        assert (tmp_path / "out" / "old").exists()
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "new"]


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
def test_a_folder_that_fails_leaves_the_old_one_and_no_draft(tmp_path: Path, stop: type[BaseException]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    with pytest.raises(stop):
        _half_write(tmp_path / "out", stop)
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "old"]


def _half_write(target: Path, stop: type[BaseException]) -> None:
    with whole_folder(target) as draft:
        (draft / "half").touch()
        raise stop


def test_text_is_replaced_in_one_step_and_leaves_no_draft(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "x.txt", "one")
    write_text(tmp_path / "a" / "x.txt", "twö")
    assert (tmp_path / "a" / "x.txt").read_text(encoding="utf-8") == "twö"
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    write_text(tmp_path / "x.txt", "one")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "x.txt", "\ud800")
    assert (tmp_path / "x.txt").read_text() == "one"
    assert len(list(tmp_path.iterdir())) == 1


def test_numbers_that_json_lacks_become_null_at_any_depth(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"a": float("nan"), "b": {"c": [float("inf"), 0.12345678]}, "d": 3})
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": None, "b": {"c": [None, 0.123457]}, "d": 3}


def test_nested_records_come_back_equal(tmp_path: Path) -> None:
    some = [
        Hypothesis("a", "line\nbreak\u2028 ü", 0.5, (Word("x", 0.1, 0.0, None),), (Alternative("y", -1.5),)),
        Hypothesis("b", "", 1.0),
    ]
    write_jsonl(tmp_path / "h.jsonl", some)
    assert len((tmp_path / "h.jsonl").read_text(encoding="utf-8").split("\n")) == 3
    assert read_jsonl(tmp_path / "h.jsonl", Hypothesis) == some


@pytest.mark.parametrize("line", ["{", "[]", '{"source": "x"}', '{"source": "x", "reason": "r", "detail": "d", "more": 1}'])
def test_a_line_that_does_not_fit_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    write_jsonl(tmp_path / "r.jsonl", [Rejection("a", "b", "c")])
    with (tmp_path / "r.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=r"r\.jsonl:2 is not a Rejection"):
        read_jsonl(tmp_path / "r.jsonl", Rejection)


def test_a_missing_list_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="dvc repro"):
        read_jsonl(tmp_path / "r.jsonl", Rejection)


def test_what_a_dead_process_left_is_cleared_and_another_writer_is_left_alone(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    for owner in (dead.stdout.strip(), str(os.getppid())):
        (tmp_path / f".out.{owner}.draft").mkdir()
    with whole_folder(tmp_path / "out") as draft:
        (draft / "new").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".out.{os.getppid()}.draft", "out"]
