"""The graph as data: dvc.yaml, params.yaml, the stage scripts and the layers agree with each other."""

import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from attune.params import load_params

sys.path.insert(0, str(Path(__file__).parent))
from closure import ROOT, answer, closure, direct_imports

TASKS = ["transcription", "speech_detection"]
SHIPPED_TASK = TASKS[0]
STAGES = ["split_clean_noisy", "stt_baseline", "llm_gold", "select_errors", "train", "evaluate", "convert_ct2"]
LAYERS: list[set[str]] = [
    {"errors", "records"},
    {"params", "files", "progress", "dataset", "audio", "text", "workcache", "soundcache", "statecache", "lineage",
     "checksums", "shell", "ahead"},
    {
        "splitting", "intake", "clips", "transcripts", "doubles", "winnowing", "voice_activity",
        "corrections", "layouts", "listings", "manifests", "tables", "saved_datasets", "packs", "raw_files", "label_studio",
        "calibration", "scoring", "slicing", "resampling", "significance", "matched_pairs", "glossaries",
        "selection", "guards", "ngram", "ctc_decoding", "lexicon_decoding",
    },
    {"devices", "checkpoint_files", "checkpoint_parts", "checkpoints", "ctc_heads"},
    {"recognizers", "correctors", "finetuning", "export"},
    {"report", "operations", "demo", "registry", "storage"},
    {"tasks"},
    {"detection"},
    {"commandline", "cli", "cli_gold", "cli_experiments", "cli_models", "cli_storage", "cli_detection"},
]  # fmt: skip
HEAVY = {"torch", "transformers", "peft", "ctranslate2", "accelerate", "bitsandbytes", "tokenizers", "safetensors"}
HEAVY_ROOMS = {
    "recognizers",
    "correctors",
    "finetuning",
    "export",
    "devices",
    "checkpoint_files",
    "checkpoint_parts",
    "checkpoints",
    "ctc_heads",
    "tasks",
}


@pytest.fixture(scope="module")
def graph() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    assert list(content["stages"]) == STAGES
    return content


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_has_description_script_params_outs_and_metrics(graph: dict[str, Any], name: str) -> None:
    stage = graph["stages"][name]
    assert len(stage["desc"]) > 20
    assert f"python -m stages.{name} " in stage["cmd"] + " "
    assert (ROOT / "stages" / f"{name}.py").is_file()
    assert name in stage["params"]
    assert stage["outs"]
    assert [next(iter(m)) for m in stage["metrics"]] == [f"${{paths.metrics}}/{name}.json"]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", STAGES)
def test_import_closure_of_each_stage_is_among_its_dependencies(graph: dict[str, Any], name: str, task: str) -> None:
    needed = _needed(name, task)
    assert len(needed) > 5
    deps = _code(graph, name, task)
    uncovered = sorted(n for n in needed if not any(n == dep or n.startswith(f"{dep}/") for dep in deps))
    assert not uncovered, f"dvc.yaml: add to the deps of {name}: {uncovered}"


@pytest.mark.parametrize("name", STAGES)
def test_no_stage_depends_on_code_it_does_not_import(graph: dict[str, Any], name: str) -> None:
    needed = set().union(*(_needed(name, task) for task in TASKS))
    code = _code(graph, name, SHIPPED_TASK)
    assert code
    unused = [dep for dep in code if not any(n == dep or n.startswith(f"{dep}/") for n in needed)]
    assert not unused, f"dvc.yaml: {name} reruns needlessly when these change: {unused}"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_the_code_of_the_task_that_is_asked_and_on_no_other(
    graph: dict[str, Any], name: str, task: str
) -> None:
    own = [dep for dep in _code(graph, name, task) if dep.startswith("src/attune/tasks/") and not dep.endswith(".py")]
    assert own == [f"src/attune/tasks/{task}/{part}" for part in (name, "parts")]


def test_every_stage_asks_the_task_and_nothing_else_asks_which_it_is() -> None:
    for name in STAGES:
        assert f'answering(params.task, "{name}")' in (ROOT / "stages" / f"{name}.py").read_text()
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")]
    assert len(sources) > 100
    asking = re.compile(r"\btask\s*(?:==|!=|in)\W+(?:transcription|speech_detection)\b")
    assert not [s.name for s in sources if asking.search(s.read_text())]


def test_the_stages_form_one_line(graph: dict[str, Any]) -> None:
    made_by = {_path(out): name for name, stage in graph["stages"].items() for out in [*stage["outs"], *stage["metrics"]]}
    edges = {
        (made_by[out], name)
        for name, stage in graph["stages"].items()
        for dep in map(_path, stage["deps"])
        for out in made_by
        if dep == out or dep.startswith(f"{out}/") or out.startswith(f"{dep}/")
    }
    assert edges == set(pairwise(STAGES))


def test_every_params_section_is_declared_and_used(graph: dict[str, Any]) -> None:
    sections = set(yaml.safe_load((ROOT / "params.yaml").read_text()))
    assert sections == {*STAGES, "model", "paths", "task", "registry"}  # registry is for commands, and no stage reads it
    for name in STAGES:
        script, made = ROOT / "stages" / f"{name}.py", answer(name, SHIPPED_TASK)
        sources = [script, made, *(f for f in closure(script) | closure(made) if f.parent.name == "operations")]
        pattern = re.compile(r"\b_?(?:params|load_params\(\w+\))\.(\w+)")
        used = {section for f in sources for section in pattern.findall(f.read_text())} & sections
        declared = {key.partition(".")[0] for key in graph["stages"][name]["params"]}
        assert used == declared, f"dvc.yaml: the params of {name} are not the sections it uses"


def test_every_params_key_has_a_comment() -> None:
    lines = (ROOT / "params.yaml").read_text().splitlines()
    keys = [n for n, line in enumerate(lines) if re.match(r"^ +\w+:", line)]
    assert len(keys) > 40
    bare = [lines[n] for n in keys if "#" not in lines[n] and not lines[n - 1].lstrip().startswith("#")]
    assert not bare


def test_params_file_fits_the_schema() -> None:
    assert load_params(ROOT / "params.yaml").train.lora.rank > 0


def test_dvc_watches_the_folder_of_the_base_model_and_presets_name_theirs(graph: dict[str, Any]) -> None:
    hearing = [name for name, stage in graph["stages"].items() if "${model.folder}" in stage["deps"]]
    assert hearing == ["stt_baseline", "llm_gold", "train", "evaluate", "convert_ct2"]
    local = []
    for preset in (ROOT / "presets").glob("*.yaml"):
        model = yaml.safe_load(preset.read_text()).get("model", {})
        if str(model.get("name", "")).startswith("models/") and not model["name"].startswith("models/tiny/"):
            local.append(model["name"])
            assert model["folder"] == model["name"], preset.name
    assert sorted(local) == ["models/first-stage", "models/tiny-detector"]


def test_no_output_path_is_written_in_python(graph: dict[str, Any]) -> None:
    paths = yaml.safe_load((ROOT / "params.yaml").read_text())["paths"].values()
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")]
    assert len(sources) > 30
    fixed = [
        f"{s.name}: {p}"
        for s in sources
        for p in paths
        for q in "\"'"
        if f"{q}{p}{q}" in s.read_text() or f"{q}{p}/" in s.read_text()
    ]
    assert not fixed


def test_imports_run_downward_only() -> None:
    rooms = {room: level for level, names in enumerate(LAYERS) for room in names}
    sources = [f for f in (ROOT / "src" / "attune").rglob("*.py") if f != ROOT / "src" / "attune" / "__init__.py"]
    assert len(sources) > 30
    wrong = []
    for source in sources:
        own = _room(source)
        for imported in direct_imports(source):
            other = _room(imported)
            if other not in ("__init__", own) and (rooms[other] > rooms[own] or (rooms[other] == rooms[own] == 4)):
                wrong.append(f"{source.relative_to(ROOT)} imports {other}")
    assert not wrong


def test_heavy_libraries_stay_in_their_rooms() -> None:
    found, wrong = 0, []
    for source in (ROOT / "src" / "attune").rglob("*.py"):
        heavy = set(re.findall(r"^\s*(?:from|import) (\w+)", source.read_text(), re.M)) & HEAVY
        found += bool(heavy)
        if heavy and _room(source) not in HEAVY_ROOMS | {"operations"}:
            wrong.append(f"{source.relative_to(ROOT)}: {sorted(heavy)}")
    assert found > 3
    assert not wrong


def test_click_stays_in_stages_and_cli() -> None:
    sources = list((ROOT / "src" / "attune").rglob("*.py"))
    users = {_room(s) for s in sources if re.search(r"^\s*(?:from|import) click", s.read_text(), re.M)}
    assert users == {"cli", "cli_gold", "cli_experiments", "cli_models", "cli_storage", "cli_detection", "commandline"}


def test_nothing_imports_stages() -> None:
    sources = list((ROOT / "src" / "attune").rglob("*.py"))
    assert sources
    assert not [s for s in sources if re.search(r"^\s*(?:from|import) stages", s.read_text(), re.M)]


def _needed(name: str, task: str) -> set[str]:
    """The files that `name` runs for `task`, below the root."""
    answered = answer(name, task)
    packages = {folder / "__init__.py" for folder in (*answered.parents[:2], answered.parents[1] / "parts")}
    found = closure(ROOT / "stages" / f"{name}.py") | closure(answered) | packages
    return {str(path.relative_to(ROOT)) for path in found}


def _code(graph: dict[str, Any], name: str, task: str) -> list[str]:
    """The code that dvc.yaml makes `name` depend on where params.yaml asks for `task`."""
    deps = [str(dep).replace("${task}", task) for dep in graph["stages"][name]["deps"]]
    return [dep for dep in deps if dep.startswith(("src/", "stages/"))]


def _path(entry: Any) -> str:
    return entry if isinstance(entry, str) else str(next(iter(entry)))


def _room(path: Path) -> str:
    return path.relative_to(ROOT / "src" / "attune").parts[0].removesuffix(".py")
