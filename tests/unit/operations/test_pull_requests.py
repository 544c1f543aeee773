"""The pull-request report between two commits of a real repository."""

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from projects import commit, evaluate_into, git, project, set_params

from attune.cli import main
from attune.report.pull_request import MARKER
from attune.report.results import FORMAT


def attune(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["report", *arguments, "--params", str(folder / "params.yaml")])


def reported(folder: Path, *arguments: str) -> str:
    done = attune(folder, *arguments)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def revisions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Commit `good`, with one error in ten words; now four, by a smaller model with another rank."""
    folder = project(tmp_path_factory.mktemp("revisions"), rank=64)
    evaluate_into(folder, 1, size_mb=20)
    commit(folder, "good")
    git(folder, "tag", "good")
    set_params(folder, 32)
    evaluate_into(folder, 4)
    commit(folder, "worse")
    return folder


def test_two_commits_are_compared_with_arrows_and_significance(revisions: Path) -> None:
    text = reported(revisions, "--against", "good")
    assert text.startswith(f"{MARKER}\n## ")
    assert "### Against good" in text
    assert re.search(
        r"\*\*WER of the tuned model 1\d\.\d\d% → 4\d\.\d\d%: \d+\.\d\d percentage points worse, beyond chance\*\*", text
    )
    assert re.search(r"\| WER \| 1\d\.\d\d% \| 4\d\.\d\d% \| ↑.\+\d+\.\d\d worse \| beyond chance \|", text)
    assert re.search(r"\| CER \| .* ↑.\+\d+\.\d\d worse \| beyond chance \|", text)
    assert re.search(r"\| WER, noisy \| .* worse \| beyond chance \|", text)
    assert re.search(r"\| WER of the base model \| .* = *.0\.00 \|  \|", text)
    assert re.search(r"\| Size, MB \| 20\.0 \| 10\.0 \| ↓.−10\.00 MB better \|", text)
    assert "- train.lora.rank: 32" in text


def test_slices_that_got_worse_come_first(revisions: Path) -> None:
    table = reported(revisions, "--against", "good").partition("#### Slices: ")[2].partition("###")[0]
    steps = [float(step) for step in re.findall(r"\| ↑.\+(\d+\.\d\d) worse \|", table)]
    assert len(steps) > 4
    assert steps == sorted(steps, reverse=True)


def test_slices_by_columns_of_lists_are_compared_too(tmp_path: Path) -> None:
    folder = project(tmp_path / "columns")
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["evaluate"]["slices"]["columns"] = ["accent"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    rows = folder / "metrics/evaluation/utterances.jsonl"
    for errors in (1, 4):
        evaluate_into(folder, errors)
        told = [json.loads(line) for line in rows.read_text().splitlines()]
        accents = ({**row, "columns": {"accent": "welsh" if n % 3 else "scots"}} for n, row in enumerate(told))
        rows.write_text("".join(f"{json.dumps(row)}\n" for row in accents))
        commit(folder, f"{errors} errors")
    text = reported(folder, "--against", "HEAD~1").partition("#### Slices: ")[2].partition("###")[0]
    assert re.search(r"\| accent: welsh \| 16 \| .* worse \| beyond chance \|", text)
    assert "| accent: scots | 8 |" in text


def test_pictures_are_addressed_where_the_report_will_be_read(revisions: Path) -> None:
    text = reported(revisions, "--images-at", "https://github.com/me/stt/raw/v2/metrics/")
    assert "(https://github.com/me/stt/raw/v2/metrics/figures/wer_by_condition.svg?sanitize=true)" in text
    assert "(figures/wer_by_condition.svg)" in reported(revisions)
    assert (revisions / "metrics/figures/wer_by_condition.svg").is_file()


def test_without_another_commit_it_is_what_the_stage_wrote(revisions: Path, tmp_path: Path) -> None:
    assert attune(revisions, "--to", str(tmp_path / "again.md")).output == ""
    assert (tmp_path / "again.md").read_bytes() == (revisions / "metrics/report.md").read_bytes()


def test_the_same_model_makes_the_same_errors(revisions: Path) -> None:
    text = reported(revisions, "--against", "HEAD")
    assert ": the same errors** (paired bootstrap" in text
    assert re.search(r"\| CER .* the same errors \|", text)
    assert "#### Slices" not in text


def test_where_tests_differ_what_both_hold_is_compared(tmp_path: Path) -> None:
    folder = project(tmp_path / "grown")
    evaluate_into(folder, 1)
    commit(folder, "first")
    evaluate_into(folder, 4, count=30)
    text = reported(folder, "--against", "HEAD")
    assert re.search(r"On the 24 utterances that both tested: \*\*WER .* worse, beyond chance\*\*", text)
    assert "The tests differ, and the table holds all of each." in text
    assert re.search(r"\| WER \| .* \| another test \|", text)


def test_tests_without_a_common_utterance_give_no_difference(tmp_path: Path) -> None:
    folder = project(tmp_path / "other")
    evaluate_into(folder, 1)
    rows = folder / "metrics/evaluation/utterances.jsonl"
    written = rows.read_text()
    rows.write_text(written.replace('"reference": "', '"reference": "also '))
    commit(folder, "other references")
    rows.write_text(written)
    text = reported(folder, "--against", "HEAD")
    assert "No utterance was tested in both with the same reference" in text
    assert "beyond chance |" not in text.partition("### Tuned model")[0]


def test_the_first_evaluation_and_one_of_an_older_version_are_not_compared_and_say_why(tmp_path: Path) -> None:
    folder = project(tmp_path / "new")
    commit(folder, "nothing evaluated")
    evaluate_into(folder, 3)
    text = reported(folder, "--against", "HEAD")
    assert "Not compared: HEAD has no metrics/evaluation&#95;results.json" in text
    assert "| WER |" in text
    results = folder / "metrics/evaluation_results.json"
    now = results.read_text()
    results.write_text(now.replace(FORMAT, "attune-evaluation-1"))
    commit(folder, "older")
    done = attune(folder)
    assert done.exit_code == 2
    assert "has format 'attune-evaluation-1'" in done.output
    results.write_text(now)
    assert "has format 'attune-evaluation-1', and this version of Attune reads" in reported(folder, "--against", "HEAD")


@pytest.mark.parametrize("revision", ["nowhere", "--output=x"])
def test_what_is_no_commit_is_said_in_one_line(revisions: Path, revision: str) -> None:
    done = attune(revisions, f"--against={revision}")
    assert done.exit_code == 2
    assert "neither a commit" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path("x").exists()


def test_names_from_outside_are_no_markup(tmp_path: Path) -> None:
    folder = project(tmp_path / "names")
    evaluate_into(folder, 3)
    commit(folder, "first")
    results = folder / "metrics/evaluation_results.json"
    results.write_text(results.read_text().replace('"noisy"', '"a|b <img src=x> @anna [x](y)"'))
    text = reported(folder, "--against", "HEAD")
    assert "a&#124;b &lt;img src=x&gt; &#64;anna &#91;x&#93;(y)" in text
    assert "<img" not in text
    assert "@anna" not in text
