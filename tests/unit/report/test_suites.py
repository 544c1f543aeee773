"""Regression suites: which utterances, compared with what, and what is missing."""

from pathlib import Path

import pytest
from evaluations import evaluated, four, utterance

from attune.errors import DataError
from attune.report.results import SuiteScores, Verdict
from attune.report.suites import read_suites


def _judged(folder: Path, text: str, **changes: object) -> tuple[SuiteScores, Verdict]:
    (folder / "doses.yaml").write_text(text)
    utterances, base, tuned = four()
    others = [utterance("t", "x", split="train"), utterance("s", None)]
    found = evaluated([*utterances, *others], base, tuned, beside={"suites": read_suites(folder)}, **changes).results
    return found.suites[0], found.verdict


def test_a_suite_is_compared_with_the_scores_it_had(tmp_path: Path) -> None:
    text = "kind: benchmark\nbaseline: {wer: 0.5, cer: 0.2, version: v1}\nutterances: [n1, n2.wav]"
    suite, _ = _judged(tmp_path, text)
    assert (suite.name, suite.kind, suite.version, suite.utterances) == ("doses", "benchmark", "v1", 2)
    assert suite.wer == pytest.approx(1 / 6)
    assert suite.degradation == pytest.approx(1 / 3 - 1)
    assert not suite.degraded
    assert suite.worst == ("n1",)


@pytest.mark.parametrize(("before", "degraded"), [(0.16, False), (0.15, True), (0.0, True)])
def test_more_than_the_threshold_is_a_degradation(tmp_path: Path, before: float, degraded: bool) -> None:
    text = f"kind: critical\nbaseline: {{wer: {before}, version: v1}}\nwhere: {{condition: noisy}}"
    suite, verdict = _judged(tmp_path, text)
    assert suite.utterances == 2
    assert (suite.degraded, suite.failed) == (degraded, degraded)
    assert any("critical suite doses: WER rose" in failure for failure in verdict.failures) == degraded


@pytest.mark.parametrize(("cer", "degraded"), [("0.001", True), ("0.5", False), ("null", False)])
def test_a_cer_that_the_file_gives_is_held_too(tmp_path: Path, cer: str, degraded: bool) -> None:
    text = f"kind: critical\nbaseline: {{wer: 0.5, cer: {cer}, version: v1}}\nwhere: {{condition: noisy}}"
    suite, verdict = _judged(tmp_path, text)
    assert (suite.degraded, suite.failed) == (degraded, degraded)
    assert any("critical suite doses: CER rose from 0.10% (v1) to" in failure for failure in verdict.failures) == degraded


@pytest.mark.parametrize("which", ["where: {speaker: nobody}", "utterances: [gone]"])
def test_a_suite_of_which_the_test_has_nothing_is_told(tmp_path: Path, which: str) -> None:
    suite, verdict = _judged(tmp_path, f"kind: benchmark\nbaseline: null\n{which}")
    assert suite.utterances == 0
    assert "benchmark suite doses has no utterance left in the test" in verdict.warnings


def test_the_threshold_is_a_param(tmp_path: Path) -> None:
    text = "kind: critical\nbaseline: {wer: 0.15, version: v1}\nwhere: {condition: noisy}"
    assert not _judged(tmp_path, text, suites={"critical_degradation_threshold": 0.2})[0].degraded


def test_what_is_not_critical_is_told_and_does_not_fail(tmp_path: Path) -> None:
    suite, verdict = _judged(tmp_path, "kind: edge_cases\nbaseline: {wer: 0.01, version: v1}\nutterances: [n1]")
    assert suite.degraded
    assert not suite.failed
    assert not any("doses" in failure for failure in verdict.failures)
    assert any("edge_cases suite doses: WER rose from 1.00% (v1)" in warning for warning in verdict.warnings)


def test_without_a_baseline_it_is_the_base_model(tmp_path: Path) -> None:
    suite, _ = _judged(tmp_path, "kind: critical\nbaseline: null\nwhere: {speaker: [anna, ben]}")
    assert (suite.version, suite.baseline_wer, suite.utterances) == ("base model", 0.6, 4)


def test_missing_utterances_are_named_with_the_reason(tmp_path: Path) -> None:
    suite, verdict = _judged(tmp_path, "kind: benchmark\nbaseline: null\nutterances: [n1, nowhere.wav, t, s.wav]")
    assert suite.missing == ("nowhere.wav: no such utterance", "t: is on the train side", "s.wav: has no reference")
    assert any("suite doses lacks 3 utterances" in warning for warning in verdict.warnings)


def test_a_critical_suite_of_which_nothing_is_left_fails(tmp_path: Path) -> None:
    suite, verdict = _judged(tmp_path, "kind: critical\nbaseline: {wer: 0.1, version: v1}\nutterances: [gone]")
    assert suite.failed
    assert suite.wer is None
    assert "critical suite doses has no utterance left in the test" in verdict.failures


@pytest.mark.parametrize(("name", "content"), [("list.txt", "# ours\nn1\n\nn2.wav\n"), ("list.csv", "id,why\nn1,a\nn2,b\n")])
def test_a_manifest_beside_it_lists_them(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    suite, _ = _judged(tmp_path, f"kind: benchmark\nbaseline: null\nmanifest: {name}")
    assert (suite.utterances, suite.missing) == (2, ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: fatal\nbaseline: null\nutterances: [a]", "doses.yaml is not a suite: kind: Input should be"),
        ("kind: critical\nbaseline: null", "exactly one of utterances, manifest and where"),
        ("kind: critical\nutterances: [a]", "baseline: Field required"),
        ("kind: critical\nbaseline: null\nutterances: [a]\nsize: 3", "size: Extra inputs"),
        ("kind: critical\nbaseline: null\nutterances: []", "utterances: Tuple should have at least 1 item"),
        ("- a", "must hold kind, baseline"),
        ("kind: [", "cannot be read as a suite"),
        ("kind: critical\nbaseline: null\nmanifest: none.txt", "cannot be read as a suite: .*none.txt"),
        ("kind: critical\nbaseline: null\nwhere: {mood: glad}", "asks for 'mood', which no test utterance has"),
    ],
)
def test_a_faulty_suite_names_the_file_and_the_fault(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        _judged(tmp_path, text)


def test_no_suites_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("how to")
    assert read_suites(tmp_path) == []
