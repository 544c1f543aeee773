"""The same graph with the other question, `task: speech_detection`, on a tiny model and synthetic clips: it ends and repeats."""

import json
from pathlib import Path

import pytest
import yaml
from test_real_graph import STAGES, Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("cache"))
    made.run("attune", "demo", "detector", "--steps", "60")
    made.run("attune", "demo", "sounds", "data/sounds", "--speakers", "8", "--noises", "20")
    grid = ("--snr", "5", "--snr", "20", "--duration", "0.5", "--duration", "1.0", "--each", "2")
    made.run("attune", "data", "cross", "data/sounds/speech", "data/sounds/noise", *grid)
    made.run("attune", "preset", "tiny-detection")
    params = (made.folder / "params.yaml").read_text()
    assert "  epochs: 4 " in params
    params = params.replace("  epochs: 4 ", "  epochs: 2 ").replace("full_above: 0.6", "full_above: 0.0")
    (made.folder / "params.yaml").write_text(params)
    made.commit("speech detection")
    made.run("dvc", "repro")
    return made


def test_every_stage_leaves_its_metrics_and_a_second_run_has_nothing_to_do(project: Project) -> None:
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())
    assert list(lock["stages"]) == STAGES
    for stage in STAGES:
        assert project.metrics(stage)
    said = project.run("dvc", "repro")
    assert "Data and pipelines are up to date." in said


def test_only_the_code_of_this_task_is_among_what_the_stages_depend_on(project: Project) -> None:
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())
    deps = [dep["path"] for stage in lock["stages"].values() for dep in stage["deps"]]
    assert "src/attune/tasks/speech_detection/train" in deps
    assert not [dep for dep in deps if "tasks/transcription" in dep]


def test_metrics_tell_base_tuned_and_the_cheap_detectors(project: Project) -> None:
    evaluated = project.metrics("evaluate")
    for who in ("base", "tuned", "silero", "energy"):
        scores = evaluated[who]
        assert isinstance(scores, dict)
        assert 0 <= scores["balanced_accuracy"] <= 1
    assert evaluated["clips"] == evaluated["clips_of_the_test"]


def test_the_report_has_the_curves(project: Project) -> None:
    page = (project.folder / "metrics" / "report.html").read_text()
    for part in ("Is there speech?", "ROC", "DET", "Accuracy against SNR", "Balanced accuracy"):
        assert part in page
    assert (project.folder / "metrics" / "figures" / "roc.svg").is_file()
    assert "psychometric" in (project.folder / "metrics" / "report.md").read_text()


def test_the_released_model_says_so_and_detects(project: Project) -> None:
    released = project.metrics("convert_ct2")
    assert released["engine"] == "transformers"
    assert "CTranslate2 has no audio tower" in str(released["reason"])
    assert released["identical_share"] == 1.0
    assert (project.folder / "models" / "ct2" / "adapters" / "adapter_model.safetensors").is_file()
    clips = sorted((project.folder / "data" / "raw").rglob("*.wav"))[:3]
    said = project.run("attune", "detect", *map(str, clips), "--format", "json")
    rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert len(rows) == 3
    assert all(row["label"] in ("SPEECH", "NONSPEECH") and 0 <= row["confidence"] <= 1 for row in rows)


def test_the_released_model_carries_card_scores_data_settings_and_digests(project: Project) -> None:
    folder = project.folder / "models" / "ct2"
    release = json.loads((folder / "release.json").read_text())
    tuned = release["scores"]["detectors"]["tuned"]
    assert tuned["balanced_accuracy_low"] <= tuned["balanced_accuracy"] <= tuned["balanced_accuracy_high"]
    assert "utterances.jsonl" in release["data"]
    assert yaml.safe_load((folder / "params.yaml").read_text())["train"]["epochs"] == 2
    card = (folder / "README.md").read_text()
    for part in ("## Scores on held-out speakers", "| tuned |", "## Data version", "## Licence"):
        assert part in card
    assert "files" in project.run("attune", "model", "verify", "models/ct2")
    assert {oct(path.stat().st_mode)[-3:] for path in folder.rglob("*") if path.is_file()} == {"644"}


def test_a_detector_gets_a_version_that_says_how_good_it_is(project: Project) -> None:
    project.commit("detector")
    for who in (("user.name", "test"), ("user.email", "test@example.org")):
        project.run("git", "config", *who)
    project.run("dvc", "remote", "add", "--default", "--force", "storage", str(project.folder / ".attune" / "storage"))
    project.commit("storage")
    project.run("attune", "model", "register", "--force", "a try")
    assert "balanced accuracy" in project.run("attune", "model", "list")


def test_the_summary_tells_the_verdict_and_every_detector(project: Project) -> None:
    said = project.run("attune", "summary")
    for part in ("Verdict: ", "balanced_accuracy", "tuned", "silero", "energy", "attune detect"):
        assert part in said


def test_plain_transformers_loads_the_released_model(project: Project) -> None:
    from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

    folder = project.folder / "models" / "ct2"
    model, loading = Qwen2AudioForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not loading["missing_keys"]
    assert AutoProcessor.from_pretrained(folder).audio_token == "<|AUDIO|>"
    assert not [name for name, _ in model.named_parameters() if "lora" in name]


def test_the_preset_for_the_real_model_fits_params(project: Project) -> None:
    said = project.run("attune", "preset", "qwen2-audio-detection", "--dry-run")
    assert "model.name: models/tiny-detector -> Qwen/Qwen2-Audio-7B-Instruct" in said
    assert "train.method: lora -> qlora" in said


def test_going_back_to_a_folder_without_a_detector_is_told(project: Project, tmp_path: Path) -> None:
    said = project.run("attune", "detect", "params.yaml", "--model", str(tmp_path), expect=2)
    assert "has no detector; make one with" in said
