"""What follows from the tags: versions, stages, the way back, and what pruning leaves."""

import pytest

from attune.errors import RegistryError
from attune.registry.journal import ROLLBACK, Journal, journal, version_order
from attune.registry.pruning import leaving


def tagged(*happenings: str) -> Journal:
    """From `v1.0.0` (registered), `v1.0.0 > prod`, `v1.0.0 < prod` (rolled back to), `v1.0.0 x prod` (out of it) and `v1.0.0 !`
    (pruned); one a second."""
    kinds = {">": "assignment", "<": "assignment", "x": "unassignment", "!": "deregistration"}
    rows = []
    for number, happening in enumerate(happenings):
        version, sign, stage = (*happening.split(), "", "")[:3]
        rows.append(
            {
                "timestamp": f"2026-11-22T03:{number // 60:02}:{number % 60:02}+00:00",
                "event": kinds.get(sign, "registration"),
                "version": version,
                "stage": stage or None,
                "commit": f"commit of {version}",
                "author": "anna",
                "message": f"{ROLLBACK} of stt" if sign == "<" else "Promotion",
                "ref": f"stt#{stage}#{number}" if stage else f"stt@{version}",
            }
        )
    return journal("stt", reversed(rows))


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
    rows = [
        {"timestamp": "2026-11-22T03:00:00+00:00", "event": "registration", "version": v, "commit": v, "ref": f"stt@{v}"}
        for v in ("v1.0.0", "v1.1.0")
    ] + [
        {"timestamp": "2026-11-22T04:00:00+01:00", "event": "assignment", "version": v, "stage": "prod", "commit": v, "ref": ref}
        for v, ref in (("v1.1.0", "stt#prod#10"), ("v1.0.0", "stt#prod#9"))
    ]
    known = journal("stt", [{"author": "anna", "message": "", "stage": None, **row} for row in rows])
    assert known.stages() == {"prod": "v1.1.0"}


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
