"""What people and DVC are shown of an evaluation of labels: reports beside other commits, experiments compared, curves drawn."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from detection_parts import clip, detection_params
from projects import commit, git

from attune.cli import main
from attune.files import write_csv, write_json
from attune.records import Utterance
from attune.report.pull_request import MARKER
from attune.tasks.protocol import CURVES
from attune.tasks.speech_detection.evaluate.answer import Judgement
from attune.tasks.speech_detection.evaluate.clips import Called
from attune.tasks.speech_detection.evaluate.pictures import drawings
from attune.tasks.speech_detection.evaluate.results import VERSION, Look, found
from attune.tasks.speech_detection.parts.beside import Beside

ROOT = Path(__file__).parents[3]
_CLIPS = 48


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of speech detection in git, evaluated with every third half-dozen wrong, and then with none."""
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings["task"] = "speech_detection"
    settings["evaluate"]["bootstrap_samples"] = 500
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    _evaluate(folder, wrong_thirds=1)
    commit(folder, "some wrong")
    _evaluate(folder, wrong_thirds=0)
    return folder


def _test_side() -> list[Utterance]:
    return [
        clip(
            f"c{n:02}",
            "SPEECH" if n % 2 else "NONSPEECH",
            "test",
            f"speaker{n % 6}",
            snr_db=float(n // 2 % 4 * 5),
            duration_s=1.0,
        )
        for n in range(_CLIPS)
    ]


def _evaluate(folder: Path, wrong_thirds: int) -> Judgement:
    utterances = _test_side()
    truth = np.array([u.reference == "SPEECH" for u in utterances])
    wrong = np.array([n // 6 % 3 < wrong_thirds for n in range(_CLIPS)])
    sure = np.linspace(0.6, 0.99, _CLIPS)
    heard = [
        Beside("base", np.full(_CLIPS, 0.9), 0.5),
        Beside("tuned", np.where(truth ^ wrong, sure, 1 - sure), 0.5),
        Beside("silero", np.where(truth, 0.8, 0.2), 0.5),
        Beside("energy", np.linspace(3.0, 9.0, _CLIPS), 6.0),
    ]
    params = detection_params("base").evaluate
    results = found(("base", "tuned"), True, utterances, truth, heard, Look(_CLIPS, _CLIPS, None, False), params)
    said = np.array([each.said for each in heard]).T.tolist()
    about = [(u.id, u.source, u.speaker, u.condition, str(u.reference), u.snr_db, u.duration_s) for u in utterances]
    rows = [Called(*facts, *some) for facts, some in zip(about, said, strict=True)]
    judged = Judgement(results, rows, truth, heard, drawings(results, truth, heard), {})
    metrics = folder / "metrics"
    judged.write_folder(metrics / "evaluation")
    judged.write_results(metrics / "evaluation_results.json")
    judged.write_reports(metrics)
    judged.write_plots(metrics / "plots/evaluation")
    write_json(metrics / "convert_ct2.json", {"size_mb": 2.0})
    return judged


def _said(folder: Path, *arguments: str, expect: int = 0) -> str:
    done = CliRunner().invoke(main, [*arguments, "--params", str(folder / "params.yaml")])
    assert done.exit_code == expect, done.output
    return done.output


def test_the_report_for_a_pull_request_tells_what_changed_since_another_commit(project: Path) -> None:
    said = _said(project, "report", "--against", "HEAD", "--images-at", "https://example.org/metrics")
    assert said.startswith(f"{MARKER}\n## ✓ Passed: is there speech?")
    assert "**WER of the tuned model 37.50% → 0.00%: 37.50 percentage points better, beyond chance**" in said
    assert "| Balanced accuracy | 62.50% | 100.00% |" in said
    assert "| Equal error rate |" in said
    assert "![ROC" in said
    assert "https://example.org/metrics/figures/roc.svg?sanitize=true" in said
    assert _said(project, "report") == (project / "metrics/report.md").read_text()


def test_experiments_are_compared_by_their_labels(project: Path) -> None:
    table = project.parent / "table.csv"
    said = _said(project, "compare", "--csv", str(table))
    assert "37.50%" in said
    assert "WER is the share of wrong labels here" in said
    with table.open() as file:
        before, now = csv.DictReader(file)
    assert (now["judgement"], float(now["wer"]), float(before["wer"])) == ("better", 0.0, 0.375)
    assert now["cer"] == ""


def test_the_trend_goes_over_commits_and_says_which_were_of_another_task(project: Path) -> None:
    results = project / "metrics/evaluation_results.json"
    ours = results.read_text()
    write_json(results, {"format": "attune-evaluation-3"})
    commit(project, "transcription")
    results.write_text(ours)
    commit(project, "none wrong")
    said = _said(project, "compare", "--trend")
    assert f"is of 'attune-evaluation-3', and this task and version read '{VERSION}'" in said
    assert "37.50%" in said
    assert "0.00%" in said


@pytest.mark.parametrize("content", ["", "[]", f'{{"version": "{VERSION}"}}', f'{{"version": "{VERSION}", "scores": 3}}'])
def test_a_damaged_evaluation_is_one_line(project: Path, content: str) -> None:
    (project / "metrics/evaluation_results.json").write_text(content)
    for command in ("report", "summary", "compare"):
        said = _said(project, command, expect=2)
        assert len(said.strip().splitlines()) == 1
        assert "evaluation_results.json" in said


def test_curves_are_drawn_by_dvc_and_a_task_without_them_is_not_warned_of(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    named = ("roc", "det", "psychometric")
    plots = [plot for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"] if next(iter(plot)) in named]
    assert len(plots) == len(named)
    _dvc(project, "init", "--quiet")
    shutil.copytree(ROOT / ".dvc/plots", project / ".dvc/plots", dirs_exist_ok=True)
    (project / "dvc.yaml").write_text(yaml.safe_dump({"plots": plots}, sort_keys=False))
    drawn = json.loads(_dvc(project, "plots", "show", "--json").stdout)["data"]
    for name in named:
        ((spec,),) = ([part["content"] for part in drawn[name]],)
        assert {row["model"] for row in spec["data"]["values"]} == {"base", "tuned", "silero", "energy"}
        assert "<DVC_METRIC" not in json.dumps(spec)
    assert "errors" not in drawn
    for name, columns in CURVES.items():
        write_csv(project / "metrics/plots/evaluation" / name, columns, [])
    without = _dvc(project, "plots", "show", "--json")
    assert not any(json.loads(without.stdout)["data"].values())
    assert "failed" not in without.stderr


def _dvc(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, check=True, capture_output=True, text=True)
