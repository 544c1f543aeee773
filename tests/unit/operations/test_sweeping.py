import csv
import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from projects import commit, evaluate_into, project

from attune.errors import EnvironmentFault, ParamsError
from attune.operations.sweeping import plan, run

ROOT = Path(__file__).parents[3]
_RANKS, _MODELS = ("4", "8", "16"), ("whisper", "ctc")
_STAGE = """
import os, psutil, shutil, sys, yaml
params = yaml.safe_load(open("params.yaml"))
name = f"{params['train']['lora']['rank']}-{params['model']['name'].rpartition('/')[2]}"
if name == "16-ctc" and not os.path.exists(sys.argv[1]):
    open(sys.argv[1], "w").close()
    worker = next(each for each in psutil.Process().parents() if "queue-worker" in each.cmdline())
    worker.kill()
if params["train"]["epochs"] == 7:
    sys.exit("there is no model of seven epochs")
shutil.rmtree("metrics", ignore_errors=True)
shutil.copytree(f"made/{name}/metrics", "metrics")
"""


def small(tmp_path: Path) -> Path:
    return project(tmp_path / "project", rank=32) / "params.yaml"


def test_every_combination_is_an_experiment_of_its_own(tmp_path: Path) -> None:
    sweep = plan(
        small(tmp_path), {"train.lora.rank": ["4", "8"], "model.name": ["models/tiny/whisper", "models/tiny/ctc"]}, "s", 2
    )
    assert list(sweep.experiments) == ["s-rank-4-whisper", "s-rank-4-ctc", "s-rank-8-whisper", "s-rank-8-ctc"]
    assert sweep.script().splitlines()[1] == (
        "dvc exp run --queue --name s-rank-4-ctc -S train.lora.rank=4 -S model.name=models/tiny/ctc -S train.lora.alpha=8"
    )
    assert sweep.script().splitlines()[-1] == "dvc exp run --run-all --jobs 2"


def test_alpha_stays_where_it_is_set(tmp_path: Path) -> None:
    sweep = plan(small(tmp_path), {"train.lora.rank": ["4"], "train.lora.alpha": ["16", "32"]}, "s", 1)
    assert [settings[1] for settings in sweep.experiments.values()] == [("train.lora.alpha", "16"), ("train.lora.alpha", "32")]


def test_experiments_of_like_names_stay_apart(tmp_path: Path) -> None:
    assert len(plan(small(tmp_path), {"model.name": ["a/model", "b/model"]}, "s", 1).experiments) == 2


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"train.lora.rank": ["0"]}, r"train.lora.rank=0.*train.lora.rank: Input should be greater"),
        ({"train.lora.rang": ["4"]}, r"train.lora.rang: unknown key"),
        ({"train.epochs.more": ["4"]}, "no key of params.yaml"),
        ({}, "nothing to vary"),
    ],
)
def test_values_that_params_refuse_are_refused_before_anything_is_queued(
    tmp_path: Path, values: dict[str, list[str]], fault: str
) -> None:
    with pytest.raises(ParamsError, match=fault):
        plan(small(tmp_path), values, "s", 1)


def test_ranks_and_both_tiny_models_are_six_experiments(tmp_path: Path) -> None:
    values = {"train.lora.rank": ["4", "8", "16"], "model.name": ["models/tiny/whisper", "models/tiny/ctc"]}
    assert len(plan(small(tmp_path), values, "sweep", 1).experiments) == 6


def test_sweep_runs_through_the_queue_of_dvc_though_a_worker_dies_and_is_shown_on_one_screen(tmp_path: Path) -> None:
    folder = _pipeline(tmp_path)
    ranks = [part for rank in _RANKS for part in ("--rank", rank)]
    models = [part for model in _MODELS for part in ("--model", f"models/tiny/{model}")]
    done = _attune(folder, "sweep", *ranks, *models, "--jobs", "2", "--run")
    names = [f"sweep-rank-{rank}-{model}" for rank in _RANKS for model in _MODELS]
    assert (tmp_path / "died").exists()
    assert f"6 experiments; compare with: attune compare {' '.join(names)}" in done
    compared = _attune(folder, "compare", *names, "--csv", "compared.csv")
    with (folder / "compared.csv").open(encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["HEAD", *names]
    assert {row["judgement"] for row in rows.values()} == {"reference", "better"}
    assert rows[names[4]]["changed_params"] == "train.lora.alpha=32, train.lora.rank=16"
    assert rows[names[5]]["on_pareto_front"] == "1"
    assert "sweep-rank-16-ctc: model.name=models/tiny/ctc" in compared
    _require_one_screen(folder, names)


def test_experiments_that_fail_are_named_and_the_others_are_done(tmp_path: Path) -> None:
    folder = _pipeline(tmp_path)
    with pytest.raises(EnvironmentFault, match=r"1 experiment failed: s-rank-4-epochs-7\. See what each said"):
        run(plan(folder / "params.yaml", {"train.lora.rank": ["4"], "train.epochs": ["7"]}, "s", 1), folder)


def _require_one_screen(folder: Path, names: list[str]) -> None:
    """The commands of the docs, each as wide as its comment says: nothing is cut off, and what was varied is told."""
    documented = re.findall(r"^ +(dvc exp show .*?) +# (\d+) columns", (ROOT / "docs/experiments.md").read_text(), re.M)
    assert [width for _, width in documented] == ["80", "120"]
    assert documented[0][0] in (ROOT / "README.md").read_text()
    for command, width in documented:
        shown = _run(folder, "-m", *shlex.split(command), "--no-pager", COLUMNS=width)
        assert max(map(len, shown.splitlines())) <= int(width)
        assert "\N{HORIZONTAL ELLIPSIS}" not in shown
        assert all(f"[{name}]" in shown for name in names)
        assert {"tuned_wer", "passed", "size_mb"} <= set(shown.split())
    assert {"train.lora.rank", "model.name", "models/tiny/ctc"} <= set(shown.split())


def _pipeline(tmp_path: Path) -> Path:
    """A DVC project of one stage, which takes the metrics of its rank and model from where they were made before."""
    folder = project(tmp_path / "project")
    evaluate_into(folder / "made" / "32-whisper", 4, size_mb=4)
    for rank, model in itertools.product(_RANKS, _MODELS):
        evaluate_into(folder / "made" / f"{rank}-{model}", 1, size_mb=4 if model == "whisper" else 2)
    (folder / "stage.py").write_text(_STAGE, encoding="utf-8")
    outs: list[dict[str, dict[str, bool]]] = [
        {f"metrics/{name}": {"cache": False}} for name in ("evaluation", "evaluation_results.json")
    ]
    stage = {
        "cmd": f"{sys.executable} stage.py {tmp_path / 'died'}",
        "deps": ["stage.py", "made"],
        "params": ["model", "train"],
        "outs": outs,
        "metrics": [{f"metrics/{name}.json": {"cache": False}} for name in ("evaluate", "convert_ct2")],
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"evaluate": stage}}), encoding="utf-8")
    _run(folder, "-m", "dvc", "init", "--quiet")
    _run(folder, "-m", "dvc", "repro", "--quiet")
    commit(folder, "first run")
    return folder


def _attune(folder: Path, *arguments: str) -> str:
    return _run(folder, "-m", "attune.cli", *arguments)


def _run(folder: Path, *arguments: str, **variables: str) -> str:
    identity = {f"GIT_{who}_{what}": "anna@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "PYTHONPATH": str(ROOT / "src"), **variables}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
