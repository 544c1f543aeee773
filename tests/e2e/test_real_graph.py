"""The real graph on a small demo corpus, in a copy of the project: it ends well, and a second run has nothing to do."""

import copy
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ctranslate2
import pytest
import tiny_models
import yaml
from chat_server import ChatServer, serving, unchanged

ROOT = Path(__file__).resolve().parents[2]
STAGES = ["split_clean_noisy", "stt_baseline", "llm_gold", "select_errors", "train", "evaluate", "convert_ct2"]
MADE_BY_RUNS = ("data/raw.dvc", "dvc.lock", "metrics/")
"""What `make run` leaves in the project under git."""
_IDENTITY = {f"GIT_{role}_{what}": "test@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
SMALL = {"train.epochs": 1, "train.evaluations_per_epoch": 1, "evaluate.bootstrap_samples": 200}


class Project:
    """A copy of the project with a git repository of its own and a work cache of its own."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "ATTUNE_CACHE": str(cache),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        files = self._git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
        assert "dvc.yaml" in files
        for name in files:
            if (ROOT / name).is_file() and not name.startswith(MADE_BY_RUNS):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self._git(folder, "init", "--quiet")
        self.commit("a project")

    def commit(self, message: str) -> None:
        self._git(self.folder, "add", "--all")
        who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        self._git(self.folder, *who, "commit", "--quiet", "--message", message)

    def run(self, *command: str, expect: int = 0) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def within(self, folder: Path) -> "Project":
        """Commands of the same environment in another folder."""
        other = copy.copy(self)
        other.folder = folder
        return other

    def metrics(self, stage: str) -> dict[str, object]:
        content: dict[str, object] = json.loads((self.folder / "metrics" / f"{stage}.json").read_text())
        return content

    def _git(self, folder: Path, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("cache"))
    params = (made.folder / "params.yaml").read_text()
    for key, value in SMALL.items():
        params = _with(params, key, value)
    (made.folder / "params.yaml").write_text(params)
    made.run("attune", "demo", "corpus", "--speakers", "18", "--clean", "3", "--noisy", "4")
    made.commit("small settings")
    made.run("dvc", "repro")
    return made


def test_every_stage_leaves_its_metrics_and_its_lock_entry(project: Project) -> None:
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())
    assert list(lock["stages"]) == STAGES
    for stage in STAGES:
        assert project.metrics(stage)


def test_a_second_run_has_nothing_to_do(project: Project) -> None:
    said = project.run("dvc", "repro")
    assert "Data and pipelines are up to date." in said
    assert "Running stage" not in said


def test_the_graph_is_a_line(project: Project) -> None:
    edges = [line for line in project.run("dvc", "dag", "--dot").splitlines() if "->" in line]
    assert len(edges) == len(STAGES) - 1


def test_no_test_speaker_is_selected_for_training(project: Project) -> None:
    read = lambda path: [json.loads(line) for line in (project.folder / path).read_text().splitlines()]  # noqa: E731
    tested = {u["id"] for u in read("data/prepared/utterances.jsonl") if u["split"] == "test"}
    chosen = {s["id"] for side in ("train", "validation") for s in read(f"data/selected/{side}.jsonl")}
    assert tested
    assert chosen
    assert not tested & chosen


def test_the_exported_model_loads_and_transcribes(project: Project) -> None:
    assert ctranslate2.contains_model(str(project.folder / "models" / "ct2"))
    recording = next(iter(sorted((project.folder / "data" / "raw" / "clean").rglob("*.wav"))))
    said = project.run("attune", "transcribe", str(recording))
    (line,) = (line for line in said.splitlines() if "\t" in line)
    heard = line.split("\t")[1].split()
    assert len(set(heard) & set(recording.with_suffix(".txt").read_text().split())) > 0


def test_the_summary_tells_what_came_out(project: Project) -> None:
    said = project.run("attune", "summary")
    for part in ("WER: 0.", "Error Samples: ", "percentage points", "Verdict: ", "Advice", "models/ct2", "dvc exp run"):
        assert part in said


def test_metrics_plots_and_experiments_can_be_read(project: Project) -> None:
    assert "improvement_points" in project.run("dvc", "metrics", "show", "--md")
    project.run("dvc", "plots", "show", "-o", "shown")
    shown = (project.folder / "shown" / "index.html").read_text()
    assert "vegaEmbed" in shown
    assert "<script src" not in shown  # nothing is fetched
    plots = json.loads(project.run("dvc", "plots", "show", "--json"))["data"]
    specs = {name: [part["content"] for part in parts] for name, parts in plots.items()}
    drawn = {name: [row for spec in found for row in spec["data"]["values"]] for name, found in specs.items()}
    assert {"validation_wer", "training_loss", "wer_by_condition"} <= drawn.keys()
    for name, axes in {"validation_wer": ("step", "validation_wer"), "wer_by_condition": ("slice", "wer")}.items():
        assert len(drawn[name]) > 1
        assert all(row[axis] not in (None, "") for row in drawn[name] for axis in axes)
    assert "train.lora.rank" in project.run("dvc", "exp", "show", "--csv")


def test_an_unknown_param_stops_the_graph_in_one_line(project: Project) -> None:
    params = project.folder / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("  epochs: 1", "  epoch: 1").replace("nbest: 5", "nbest: 500"))
    said = project.run(sys.executable, "-m", "stages.train", *_train_options(), expect=2)
    params.write_text(before)
    assert "train.epoch: unknown key" in said
    assert "train.epochs: missing" in said
    assert "stt_baseline.nbest" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("corrector", ["references", "transformers", "ollama", "openai"])
def test_the_graph_makes_gold_and_selects_with_every_corrector(project: Project, tmp_path: Path, corrector: str) -> None:
    params = project.folder / "params.yaml"
    before = params.read_text()
    changed = yaml.safe_load(before)
    changed["llm_gold"]["corrector"] = corrector
    with serving(ChatServer(unchanged)) as server:
        changed["llm_gold"]["openai"] |= {"base_url": f"{server.address}/v1", "model": "llama3.2:3b"}
        if corrector == "transformers":
            model = tiny_models.make_mistral(tmp_path / "mistral", json.dumps({"unchanged": True}))
            changed["llm_gold"]["transformers"]["model"] = str(model)
        project.environment["OLLAMA_HOST"] = server.address
        params.write_text(yaml.safe_dump(changed))
        try:
            said = project.run("dvc", "repro", "select_errors")
        finally:
            params.write_text(before)
    assert f"({corrector})" in said
    assert "Running stage 'select_errors'" in said
    calls = project.metrics("llm_gold")["asking"]
    assert isinstance(calls, dict)
    assert (calls["calls"] > 0) == (corrector != "references")


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_ranks_and_both_tiny_models_are_swept_and_compared(project: Project, tmp_path: Path) -> None:
    """The command of docs/experiments.md, in a copy, as it puts the recordings under DVC."""
    written = (ROOT / "docs" / "experiments.md").read_text()
    (command,) = re.findall(r"^    (attune sweep .* --run) ", written, re.M)
    project.run("dvc", "repro")  # the test before leaves gold of another corrector
    shutil.copytree(project.folder, tmp_path / "copy")
    copied = project.within(tmp_path / "copy")
    copied.environment = {**project.environment, **_IDENTITY}
    copied.run("dvc", "add", "--quiet", "data/raw")
    copied.commit("first run")
    copied.run(*command.split(), "--jobs", "2")
    copied.run("attune", "compare", "--all", "--csv", "compared.csv", "--html", "compared.html")
    with (copied.folder / "compared.csv").open(encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    names = {f"sweep-rank-{rank}-{model}" for rank in (4, 8, 16) for model in ("whisper", "ctc")}
    assert set(rows) == {"HEAD", *names}
    for name in names:
        assert rows[name]["judgement"] in ("better", "worse", "uncertain", "same")
        assert f"train.lora.rank={name.split('-')[2]}" in rows[name]["changed_params"]
        assert ("model.name=models/tiny/ctc" in rows[name]["changed_params"]) == name.endswith("ctc")
        assert all(float(rows[name][cost]) > 0 for cost in ("size_mb", "minutes", "memory_mb"))
    assert len({row["wer"] for row in rows.values()}) > 2


def test_a_model_ships_and_is_taken_back(project: Project, tmp_path: Path) -> None:
    """As the README has it, with the storage that there is out of the box; the last test here, as it trains anew."""
    project.environment |= {**_IDENTITY, "HOME": str(tmp_path / "home")}
    shared = str(tmp_path / "shared.git")
    project.run("git", "init", "--quiet", "--bare", shared)
    project.run("git", "remote", "add", "origin", shared)
    project.run("dvc", "repro")  # the tests before leave gold of another corrector
    project.commit("first model")
    project.run("git", "push", "--quiet", "origin", "HEAD")
    _register(project)
    project.run("attune", "model", "promote", "--stage", "prod", "--yes")
    first = _pulled(project, tmp_path / "deployed")

    params = project.folder / "params.yaml"
    params.write_text(_with(params.read_text(), "train.seed", 8))
    assert "Running stage 'train'" in project.run("dvc", "repro")
    project.commit("another seed")
    _register(project)
    project.run("attune", "model", "promote", "--stage", "prod", "--yes")
    second = _pulled(project, tmp_path / "deployed")
    assert second.keys() == first.keys()
    assert second != first

    assert "v1.0.0 is in prod again" in project.run("attune", "model", "rollback", "--stage", "prod")
    assert _pulled(project, tmp_path / "deployed") == first
    recording = next(iter(sorted((project.folder / "data" / "raw" / "clean").rglob("*.wav"))))
    assert "\t" in project.run("attune", "transcribe", "--model", str(tmp_path / "deployed"), str(recording))

    project.run("dvc", "push")
    project.run("git", "push", "--quiet", "origin", "HEAD")
    project.run("git", "clone", "--quiet", shared, str(tmp_path / "clone"))
    clone = project.within(tmp_path / "clone")
    assert "Running stage" not in clone.run("dvc", "repro", "--pull", "--allow-missing")  # nothing changed, so nothing is needed
    clone.run("dvc", "pull", "models/ct2")
    weights = Path("models", "ct2", "config.json")
    assert (clone.folder / weights).read_bytes() == (project.folder / weights).read_bytes()


def _register(project: Project) -> None:
    """So little training need not pass validation; then it is refused until there is a reason."""
    if project.metrics("evaluate")["passed"]:
        project.run("attune", "model", "register")
        return
    assert "did not pass validation" in project.run("attune", "model", "register", expect=2)
    project.run("attune", "model", "register", "--force", "a walk through everything")


def _pulled(project: Project, folder: Path) -> dict[str, bytes]:
    """The files of production, fetched as a deployment does, without the stamp."""
    shared = str(folder.parent / "shared.git")
    elsewhere = project.within(folder.parent)
    elsewhere.run("attune", "model", "pull", "--stage", "prod", "-o", str(folder), "--repo", shared)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(files) > 3
    return {name: content for name, content in files.items() if name != ".attune.json"}


def _train_options() -> list[str]:
    names = ("prepared", "selected", "finetuned", "work", "live", "loss-plot", "wer-plot", "metrics", "timing")
    return [part for name in names for part in (f"--{name}", f"x/{name}")]


def _with(params: str, key: str, value: object) -> str:
    """params.yaml with one leaf `section.key` set."""
    section, leaf = key.split(".")
    head, tail = params.split(f"\n{section}:\n")
    lines = tail.splitlines()
    number = next(n for n, line in enumerate(lines) if line.startswith(f"  {leaf}:"))
    lines[number] = f"  {leaf}: {value}"
    return f"{head}\n{section}:\n" + "\n".join(lines) + "\n"
