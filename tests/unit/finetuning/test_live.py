"""Figures can be watched while training runs, a resumed run goes on in them, and nothing else is left in the project."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_training import EXAMPLES, Tones, params, tiny

from attune.finetuning import training
from attune.finetuning.live import Watched
from attune.finetuning.training import finetune


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in Attune's own repository, which DVCLive would find."""
    monkeypatch.chdir(tmp_path)


def _watched(folder: Path) -> Watched:
    return Watched(folder / "live", folder / "train.json", folder / "loss.csv", folder / "wer.csv")


def _train(folder: Path, **changes: Any) -> training.TrainingReport:
    settings = params(**{"epochs": 3, "batch_size": 2, "evaluations_per_epoch": 1} | changes)
    out, work, live = folder / "out", folder / "work", _watched(folder)
    return finetune(tiny("ctc"), EXAMPLES, EXAMPLES, Tones(), settings, None, out, work, live=live)


def _at_step(number: int, action: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, steps = training.WerTrainer.training_step, 0

    def stepped(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == number:
            action()
        return plain(self, *arguments, **named)

    monkeypatch.setattr(training.WerTrainer, "training_step", stepped)


def _rows(path: Path) -> list[list[str]]:
    return [line.replace("\t", ",").split(",") for line in path.read_text().split("\n") if line]


def test_figures_stand_there_while_training_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def look() -> None:
        seen["metrics"] = json.loads((tmp_path / "train.json").read_text())
        seen["live"] = json.loads((tmp_path / "live/metrics.json").read_text())
        seen["wer"], seen["loss"] = _rows(tmp_path / "wer.csv"), _rows(tmp_path / "loss.csv")

    _at_step(4, look, monkeypatch)
    report = _train(tmp_path)
    assert seen["metrics"]["step"] == seen["live"]["step"] == 3
    latest = {"loss": dict(report.losses)[3], "validation_wer": dict(report.validation_wers)[2]}
    assert {name: seen["metrics"][name] for name in latest} == pytest.approx(latest, rel=1e-4)
    assert {"loss": seen["live"]["loss"], "validation_wer": seen["live"]["eval"]["wer"]} == pytest.approx(latest, rel=1e-4)
    assert [row[0] for row in seen["wer"]] == ["step", "0", "2"]
    assert [row[0] for row in seen["loss"]] == ["step", "1", "2", "3"]
    tables = {path.name: _rows(path) for path in (tmp_path / "live/plots/metrics").rglob("*.tsv")}
    for name, told in (("wer.tsv", report.validation_wers), ("loss.tsv", report.losses)):
        assert [(int(step), float(value)) for step, value in tables[name][1:]] == list(told)


def test_a_resumed_run_goes_on_in_the_figures_of_the_killed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def figures(name: str) -> dict[str, list[list[str]]]:
        return {path.name: _rows(path) for path in (tmp_path / name / "live").rglob("*.tsv")}

    def kill() -> None:
        raise KeyboardInterrupt

    _train(tmp_path / "calm")
    _at_step(4, kill, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "storm")
    assert figures("storm")["loss.tsv"][-1][0] == "3"  # beyond its last checkpoint, of step 2
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    _train(tmp_path / "storm")
    assert {"wer.tsv", "loss.tsv", "learning_rate.tsv"} <= set(figures("calm"))
    assert figures("storm") == figures("calm")
    assert (tmp_path / "storm/loss.csv").read_bytes() == (tmp_path / "calm/loss.csv").read_bytes()


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # of DVCLive 3.49
def test_a_project_gets_no_experiment_no_graph_and_no_file_from_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    run("git", "init", "-q", ".")
    run(sys.executable, "-m", "dvc", "init", "-q")
    (tmp_path / ".gitignore").write_text("/.attune/\n")
    run("git", "add", "-A")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "begun")
    run("git", "check-ignore", "-q", ".attune/live")
    before = run("git", "for-each-ref")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", run("git", "rev-parse", "HEAD").strip())  # as `dvc exp run` does
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    _train(tmp_path / ".attune", epochs=1)
    assert (tmp_path / ".attune/live/metrics.json").is_file()
    assert not list(tmp_path.rglob("dvc.yaml"))
    assert {path.name for path in tmp_path.rglob("*.dvc")} == {".dvc"}
    assert run("git", "for-each-ref") == before
    assert run("git", "status", "--porcelain") == ""
