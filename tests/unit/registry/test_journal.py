"""What follows from the tags: versions, stages, the way back, and what pruning leaves."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from projects import commit, git
from registries import GIT

from attune.errors import RegistryError
from attune.registry.journal import ROLLBACK, Event, Journal, journal, read_journal, version_order
from attune.registry.pruning import leaving
from attune.shell import Shell


def tagged(*happenings: str) -> Journal:
    """From `v1.0.0` (registered), `v1.0.0 > prod`, `v1.0.0 < prod` (rolled back to), `v1.0.0 x prod` (out of it) and `v1.0.0 !`
    (pruned); one a second."""
    kinds = {">": "assignment", "<": "assignment", "x": "unassignment", "!": "deregistration"}
    events = []
    for number, happening in enumerate(happenings):
        version, sign, stage = (*happening.split(), "", "")[:3]
        events.append(
            Event(
                kinds.get(sign, "registration"),
                f"2026-11-22T03:{number // 60:02}:{number % 60:02}+00:00",
                version,
                stage or None,
                f"commit of {version}",
                "anna",
                f"{ROLLBACK} of stt" if sign == "<" else "Promotion",
                f"stt#{stage}#{number}" if stage else f"stt@{version}",
            )
        )
    return journal("stt", reversed(events))


def test_two_rollbacks_in_a_row_go_back_two_steps() -> None:
    known = tagged("v1.0.0", "v1.1.0", "v1.2.0", "v1.0.0 > prod", "v1.1.0 > prod", "v1.2.0 > prod")
    assert (known.stages(), known.way_back("prod")) == ({"prod": "v1.2.0"}, "v1.1.0")
    back = tagged("v1.0.0", "v1.1.0", "v1.2.0", "v1.0.0 > prod", "v1.1.0 > prod", "v1.2.0 > prod", "v1.1.0 < prod")
    assert (back.stages(), back.way_back("prod")) == ({"prod": "v1.1.0"}, "v1.0.0")
    again = tagged("v1.0.0", "v1.1.0", "v1.0.0 > prod", "v1.1.0 > prod", "v1.0.0 < prod")
    assert (again.stages(), again.way_back("prod")) == ({"prod": "v1.0.0"}, None)


def test_a_version_that_is_promoted_again_goes_back_to_what_was_there() -> None:
    known = tagged("v1.0.0", "v1.1.0", "v1.0.0 > prod", "v1.1.0 > prod", "v1.0.0 > prod")
    assert known.way_back("prod") == "v1.1.0"


def test_stages_do_not_know_of_each_other_and_may_be_emptied() -> None:
    known = tagged("v1.0.0", "v1.1.0", "v1.0.0 > prod", "v1.1.0 > staging", "v1.0.0 x prod")
    assert known.stages() == {"staging": "v1.1.0"}
    with pytest.raises(RegistryError, match=r"no version of stt is in stage prod \(staging: v1\.1\.0\)"):
        known.holder("prod")


def test_tags_of_one_second_count_on() -> None:
    at, later = "2026-11-22T04:00:00+01:00", "2026-11-22T03:00:01+00:00"
    events = [
        *(Event("registration", at, version, None, version, "anna", "", f"stt@{version}") for version in ("v1.0.0", "v1.1.0")),
        *(
            Event("assignment", later, "", "prod", version, "anna", "", f"stt#prod#{count}")
            for version, count in (("v1.1.0", 10), ("v1.0.0", 9))
        ),
    ]
    assert journal("stt", events).stages() == {"prod": "v1.1.0"}


_WRITTEN = (
    "commit",
    "register stt --version v1.0.0",
    "register stt-2 --version v7.0.0",
    "assign stt --version v1.0.0 --stage prod",
    "commit",
    "register stt --version v1.1.0-rc.1",
    "assign stt --version v1.1.0-rc.1 --stage pre-prod",
    "assign stt --version v1.1.0-rc.1 --stage prod",
    "deprecate stt v1.0.0 prod",
    "assign stt --version v1.0.0 --stage prod --force",
    "deprecate stt v1.1.0-rc.1",
    "commit",
    "register stt --version v2.0.0",
)


def test_tags_are_read_as_gto_reads_them(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    for number, command in enumerate(_WRITTEN):
        when = {**GIT, "GIT_COMMITTER_DATE": f"2026-11-22T03:00:{number:02}+0130"}
        if command == "commit":
            commit(tmp_path, f"commit {number}")
        else:
            gto(tmp_path, when, *command.split(), *(() if command.startswith("deprecate") else ("-m", f"told\n\nof {command}")))
    git(tmp_path, "tag", "stt@v3.0.0")  # GTO makes no tags without a message, and reads none
    git(tmp_path, "tag", "--annotate", "--message", "of another form", "stt@newest")
    printed = gto(tmp_path, GIT, "history", "stt", "--json")
    told = {
        (row["ref"], row["event"], row["version"], row["stage"], row["commit"], row["author"], row["message"])
        for row in json.loads(printed[printed.index("[") :]) if row["event"] != "commit"
    }  # fmt: skip
    read = read_journal(Shell(tmp_path, lambda line: None), "stt").events
    assert len(read) == 9
    assert {(e.tag, e.kind, e.version, e.stage, e.commit, e.author, e.message) for e in read} == told
    assert [datetime.fromisoformat(e.made_at).timestamp() for e in read] == sorted(
        datetime.fromisoformat(row["timestamp"]).timestamp() for row in json.loads(printed[printed.index("[") :])
        if row["event"] != "commit"
    )  # fmt: skip


def gto(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    command = [sys.executable, "-c", "from gto.cli import app; app(prog_name='gto')", *arguments]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_versions_sort_as_numbers() -> None:
    versions = ["v1.10.0", "v1.9.0", "v1.10.0-rc.1", "v2.0.0", "v1.9.1"]
    assert sorted(versions, key=version_order) == ["v1.9.0", "v1.9.1", "v1.10.0-rc.1", "v1.10.0", "v2.0.0"]


def test_pruning_leaves_the_newest_and_what_a_stage_has_or_would_go_back_to() -> None:
    versions = [f"v1.{number}.0" for number in range(8)]
    known = tagged(*versions, "v1.0.0 > prod", "v1.1.0 > prod", "v1.2.0 > prod", "v1.3.0 > staging", "v1.7.0 !")
    assert [event.version for event in leaving(known, 2)] == ["v1.0.0", "v1.4.0"]
    assert leaving(known, 5)[0].version == "v1.0.0"
    assert not leaving(known, 7)
    assert not leaving(tagged(), 1)


def test_pruning_leaves_what_was_taken_back_last_as_somebody_may_want_it_again() -> None:
    versions = [f"v1.{number}.0" for number in range(6)]
    known = tagged(*versions, "v1.0.0 > prod", "v1.1.0 > prod", "v1.0.0 < prod", "v1.2.0 > staging", "v1.2.0 x staging")
    assert [event.version for event in leaving(known, 2)] == ["v1.3.0"]
