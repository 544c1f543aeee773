"""DVC's plots: every one that dvc.yaml names renders, with its template, on a page that fetches nothing."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import evaluation

from attune.files import write_csv
from attune.operations.showing import write_plots
from attune.tasks.protocol import COSTS

ROOT = Path(__file__).parents[2]
_EXPORTS = ("export_size", "export_speed", "export_memory")
_CURVES = {
    "reliability": ("said", "before", "after", "ideal"),
    "validation_wer": ("step", "validation_wer", "forgetting_wer"),
    "training_loss": ("step", "loss"),
}
_DRAWN = (*_CURVES, "wer_by_condition", "wer_by_snr", "wer_by_duration", "confusions_left", "reliability_tested", *_EXPORTS)


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the plots of an evaluation, our templates and our page."""
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.chdir(tmp_path)
    named = [plot for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"] if next(iter(plot)) in _DRAWN]
    assert len(named) == len(_DRAWN)
    found = evaluation()
    write_plots(tmp_path / "metrics/plots/evaluation", found.results, found.utterances)
    for folder, columns in (("plots", ("size_mb",)), ("timing", COSTS)):
        rows = [{"export": kind, **dict.fromkeys(columns, size)} for kind, size in (("int8", 2.5), ("float32", 8.0))]
        write_csv(tmp_path / "metrics" / folder / "exports.csv", ("export", *columns), rows)
    for name, (across, first, *others) in _CURVES.items():
        rows = [{across: n / 4, first: n / 5, **dict.fromkeys(others, None if n % 2 else 0.5)} for n in range(4)]
        write_csv(tmp_path / f"metrics/plots/{name}.csv", (across, first, *others), rows)
    subprocess.run(["git", "init", "--quiet"], check=True)
    _dvc("init", "--quiet")
    for folder in ("plots", "plots-page"):
        shutil.copytree(ROOT / ".dvc" / folder, tmp_path / ".dvc" / folder, dirs_exist_ok=True)
    shutil.copy(ROOT / ".dvc/config", tmp_path / ".dvc/config")
    Path("dvc.yaml").write_text(yaml.safe_dump({"plots": named}, sort_keys=False))
    return tmp_path


def test_plots_are_drawn_from_what_the_stage_writes_and_fetch_nothing(shown: Path) -> None:
    data = json.loads(_dvc("plots", "show", "--json"))["data"]
    assert set(data) == set(_DRAWN)
    for name, parts in data.items():
        for spec in (part["content"] for part in parts):
            assert len(spec["data"]["values"]) > 1, name
            assert "<DVC_METRIC" not in json.dumps(spec), name
            assert _fields(spec) <= {*spec["data"]["values"][0], "rev", "low", "high", "edge"}, name
    _dvc("plots", "show", "--out", "page")
    text = Path("page/index.html").read_text(encoding="utf-8")
    assert text.count("vegaEmbed(") >= len(_DRAWN)
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", text.partition("<body>")[2])
    assert "cdn" not in text.partition("<script>")[0]
    assert "<script src" not in text


def test_what_was_not_measured_is_no_zero(shown: Path) -> None:
    """Vega takes an empty cell for 0, unless it is told to leave it out."""
    rates = shown / "metrics/plots/evaluation/wer_by_condition.csv"
    rates.write_text(rates.read_text() + "silent,base,,,\n")
    data = json.loads(_dvc("plots", "show", "--json"))["data"]
    seen = 0
    for name in (*_CURVES, "wer_by_condition"):
        (spec,) = (part["content"] for part in data[name])
        drawn = spec.get("spec", spec)
        for layer in drawn.get("layer", [drawn]):
            used = {field for field in _fields(layer["encoding"]) if any(row.get(field) == "" for row in spec["data"]["values"])}
            filters = " ".join(str(step.get("filter", "")) for step in layer["transform"])
            assert all(f"{field}" in filters and "!== ''" in filters for field in used), (name, used)
            seen += len(used)
    assert seen == 3


def _fields(content: Any) -> set[str]:
    if isinstance(content, dict):
        own = {content["field"]} if isinstance(content.get("field"), str) else set()
        return own.union(*(_fields(value) for key, value in content.items() if key != "data"))
    return set().union(*map(_fields, content)) if isinstance(content, list) else set()


def _dvc(*words: str) -> str:
    return subprocess.run([sys.executable, "-m", "dvc", *words], check=True, capture_output=True, text=True).stdout
