"""Files of the report: curves read back, data of plots, and a report between two commits of a real repository."""

import csv
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from evaluations import evaluated, four
from pages import TRAINING, Tones, evaluation
from shipped import SHIPPED

from attune.cli import main
from attune.errors import DataError
from attune.files import write_csv, write_jsonl
from attune.operations.showing import read_training, write_plots, write_reports
from attune.params import load_params
from attune.report.evaluation import Evaluation
from attune.report.results import write_results


def _git(*words: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], check=True, capture_output=True)


def _write(found: Evaluation) -> None:
    metrics = Path("metrics")
    write_csv(metrics / "plots/training_loss.csv", ("step", "loss"), [{"step": s, "loss": v} for s, v in TRAINING.losses])
    wers = [{"step": s, "validation_wer": v} for s, v in TRAINING.validation_wers]
    write_csv(metrics / "plots/validation_wer.csv", ("step", "validation_wer"), wers)
    write_results(metrics / "evaluation_results.json", found.results)
    write_jsonl(metrics / "evaluation/utterances.jsonl", found.utterances)
    write_reports(metrics, found.results, found.utterances, Tones(0.1), TRAINING, load_params(SHIPPED))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose first commit, `v1`, holds a worse tuned model than what is in it now."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes(SHIPPED.read_bytes())
    _git("init", "--quiet")
    utterances, base, tuned = four()
    _write(evaluated(utterances, base, base))
    _git("add", ".")
    _git("commit", "--quiet", "-m", "worse")
    _git("tag", "v1")
    _write(evaluated(utterances, base, tuned))
    return tmp_path


def test_the_report_compares_with_another_commit(project: Path) -> None:
    done = CliRunner().invoke(main, ["report", "--against", "v1", "--images-at", "https://github.com/me/stt/blob/v2/metrics/"])
    assert done.exit_code == 0, done.output
    assert "### Tuned model against v1" in done.output
    assert "| WER | 60.00% | 10.00% |" in done.output.partition("### Tuned")[2]
    assert "On the 4 utterances that both tested" in done.output
    assert "(https://github.com/me/stt/blob/v2/metrics/figures/wer_by_condition.svg?raw=true)" in done.output


def test_without_another_commit_it_is_what_the_stage_wrote(project: Path) -> None:
    done = CliRunner().invoke(main, ["report", "--to", "again.md"])
    assert done.exit_code == 0, done.output
    assert Path("again.md").read_bytes() == Path("metrics/report.md").read_bytes()


@pytest.mark.parametrize(("revision", "said"), [("nowhere", "cannot be read"), ("--output=x", "is no revision of git")])
def test_what_is_no_commit_is_said_in_one_line(project: Path, revision: str, said: str) -> None:
    done = CliRunner().invoke(main, ["report", f"--against={revision}"])
    assert done.exit_code == 2
    assert said in done.output
    assert not Path("x").exists()


def test_metrics_of_an_older_version_are_refused_with_the_remedy(project: Path) -> None:
    Path("metrics/evaluation_results.json").write_text('{"format": "attune-evaluation-1"}')
    _git("commit", "--quiet", "--all", "-m", "old")
    _git("tag", "old")
    _write(evaluation())
    done = CliRunner().invoke(main, ["report", "--against", "old"])
    assert done.exit_code == 2
    assert "has format 'attune-evaluation-1'" in done.output


def test_plots_have_a_row_for_each_slice_and_model(tmp_path: Path) -> None:
    found = evaluation()
    write_plots(tmp_path / "plots", found.results, found.utterances)
    rows = list(csv.DictReader((tmp_path / "plots/wer_by_condition.csv").read_text().splitlines()))
    assert [(row["slice"], row["model"]) for row in rows] == [
        (s, m) for s in ("all", "clean", "noisy") for m in ("base", "tuned")
    ]
    assert all(float(row["wer_low"]) <= float(row["wer"]) <= float(row["wer_high"]) for row in rows)
    assert {file.name for file in (tmp_path / "plots").iterdir()} == {
        "wer_by_condition.csv", "wer_by_snr.csv", "wer_by_duration.csv", "confusions.csv", "reliability.csv",
    }  # fmt: skip


def test_curves_are_read_as_train_writes_them(project: Path) -> None:
    assert read_training(Path("metrics/plots/training_loss.csv"), Path("metrics/plots/validation_wer.csv")) == TRAINING


@pytest.mark.parametrize(("content", "said"), [(None, "does not exist"), ("step\n1\n", "is not what train writes")])
def test_curves_that_are_missing_or_other_name_the_command(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "loss.csv").write_text(content)
    with pytest.raises(DataError, match=rf"{said}.*dvc repro"):
        read_training(tmp_path / "loss.csv", tmp_path / "loss.csv")
