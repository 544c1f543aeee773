"""`stt_baseline` and `convert_ct2` from files to files, on a tiny random model."""

import json
from importlib import import_module
from pathlib import Path

import pytest
import tiny_models
from click.testing import CliRunner, Result
from shipped import write_params

from attune.checkpoints import TRAINING_RECORD, TrainingRecord, write_training_record
from attune.dataset import UTTERANCES, encode_flac, write_corpus
from attune.files import read_jsonl, write_json
from attune.lineage import record_lineage
from attune.records import Hypothesis, Utterance
from attune.report.tables import SCORES


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml, a base model, a prepared corpus, and a tuned folder in which nothing was learnt."""
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    write_params(Path("params.yaml"))
    tiny_models.make_whisper(Path("base"))
    utterances = [
        Utterance(f"u{n}", f"digest{n}", f"{n}.wav", "ann", "clean", "validation", 1.0 + n, 20.0, "a fever") for n in range(3)
    ]
    Path("prepared").mkdir()
    write_corpus(Path("prepared"), utterances, {u.id: encode_flac(tiny_models.speech(u.duration_s)) for u in utterances}, [])
    write_training_record(Path("finetuned"), TrainingRecord("base", None, "none", "whisper"))
    record_lineage(Path("finetuned"), None, [Path("prepared") / UTTERANCES])
    Path("evaluated").mkdir()
    record_lineage(Path("evaluated"), Path("finetuned"), [Path("finetuned") / TRAINING_RECORD])
    write_json(Path("evaluated") / SCORES, {"unit": "speakers", "confidence": 0.95})
    return tmp_path


def _invoke(stage: str, *arguments: str) -> Result:
    return CliRunner().invoke(import_module(f"stages.{stage}").main, arguments)


def _run(stage: str, *arguments: str) -> str:
    result = _invoke(stage, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def _baseline(number: int) -> str:
    names = ("--baseline", f"baseline{number}", "--metrics", f"metrics{number}.json", "--timing", f"timing{number}.json")
    return _run("stt_baseline", "--prepared", "prepared", "--reliability-plot", "r.csv", *names)


def test_baseline_writes_every_utterance_and_repeats_its_bytes_from_the_cache(project: Path) -> None:
    assert "stt_baseline: 3 utterances heard" in _baseline(1)
    _baseline(2)
    hypotheses = read_jsonl(project / "baseline1" / "hypotheses.jsonl", Hypothesis)
    assert [h.id for h in hypotheses] == ["u0", "u1", "u2"]
    assert all(h.text in [a.text for a in h.alternatives] for h in hypotheses)
    assert json.loads((project / "metrics1.json").read_text())["with_reference"] == 3
    assert json.loads((project / "timing1.json").read_text())["computed"] == 3
    assert json.loads((project / "timing2.json").read_text())["cached"] == 3
    for name in ("baseline{}/hypotheses.jsonl", "baseline{}/lineage.json", "metrics{}.json"):
        assert (project / name.format(1)).read_bytes() == (project / name.format(2)).read_bytes()


def test_an_unknown_model_is_one_line_and_leaves_nothing_behind(project: Path) -> None:
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("name: base", "name: nobody/nothing"))
    files = ("--metrics", "m.json", "--reliability-plot", "r.csv", "--timing", "t.json")
    result = _invoke("stt_baseline", "--prepared", "prepared", "--baseline", "baseline", *files)
    assert result.exit_code == 2
    assert "'nobody/nothing' is not a folder here" in result.output
    assert not (project / "baseline").exists()


def test_conversion_releases_a_model_and_says_how_it_compares(project: Path) -> None:
    folders = ("--prepared", "prepared", "--finetuned", "finetuned", "--evaluated", "evaluated", "--ct2", "ct2")
    plots = ("--plot", "exports.csv", "--timing-plot", "speed.csv")
    said = _run("convert_ct2", *folders, *plots, "--metrics", "m.json", "--timing", "t.json")
    metrics = json.loads((project / "m.json").read_text())
    assert metrics["engine"] == "ctranslate2"
    assert metrics["parity_wer_increase_points"] <= 0.5
    assert (project / "ct2" / "model.bin").is_file()
    assert "ctranslate2 model of" in said
    assert not [path.name for path in project.iterdir() if path.name.startswith(".")]
