"""`train`, `evaluate` and `convert_ct2` one after the other, on a tiny random model: with errors to learn from, and with none."""

import json
from importlib import import_module
from pathlib import Path

import pytest
import tiny_models
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from shipped import write_params

from attune.dataset import UTTERANCES, encode_flac, write_corpus
from attune.files import write_jsonl
from attune.lineage import record_lineage
from attune.records import Selection, Split, Utterance

ROOT = Path(__file__).resolve().parents[2]
_TRAIN = (
    "prepared=prepared", "selected=selected", "finetuned=finetuned", "work=work", "live=live", "loss-plot=loss.csv",
    "wer-plot=wer.csv", "metrics=train.json", "timing=t.json",
)  # fmt: skip
_SIDES: tuple[Split, ...] = ("train", "train", "validation", "test", "test")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five utterances of five speakers, all transcribed, and a random model."""
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    write_params(Path("params.yaml"), train={"epochs": 1, "batch_size": 2, "precision": "float32"})
    tiny_models.make_whisper(Path("base"))
    utterances = [
        Utterance(f"u{n}", f"digest{n}", f"{n}.wav", f"speaker {n}", "clean", side, 1.0, 20.0, "a fever")
        for n, side in enumerate(_SIDES)
    ]
    Path("prepared").mkdir()
    flac = {u.id: encode_flac(tiny_models.speech(u.duration_s, seed)) for seed, u in enumerate(utterances)}
    write_corpus(Path("prepared"), utterances, flac, [])
    return tmp_path


def _select(*ids: str) -> None:
    write_jsonl(Path("selected/train.jsonl"), [Selection(i, "train", "error", "a fever", "human", 1.0) for i in ids])
    write_jsonl(Path("selected/validation.jsonl"), [Selection("u2", "validation", "validation", "a fever", "human", 1.0)])
    record_lineage(Path("selected"), None, [Path("prepared") / UTTERANCES])


def _run(stage: str, *options: str) -> str:
    result = CliRunner().invoke(import_module(f"stages.{stage}").main, _options(*options))
    assert result.exit_code == 0, result.output
    return result.output


def _options(*options: str) -> list[str]:
    return [part for option in options for part in (f"--{option.partition('=')[0]}", option.partition("=")[2])]


def _train() -> str:
    return _run("train", *_TRAIN)


def _evaluate() -> str:
    folders = ("prepared=prepared", "finetuned=finetuned", "evaluated=evaluated")
    return _run("evaluate", *folders, "plot=plot.csv", "metrics=evaluate.json", "timing=t.json")


def _convert() -> str:
    folders = ("prepared=prepared", "finetuned=finetuned", "evaluated=evaluated", "ct2=ct2")
    return _run("convert_ct2", *folders, "metrics=convert.json", "timing=t.json")


def _read(name: str) -> dict[str, object]:
    content: dict[str, object] = json.loads(Path(name).read_text())
    return content


def test_errors_are_learnt_from_and_the_test_side_is_scored(project: Path) -> None:
    _select("u0", "u1")
    assert "lora on 2 utterances in 1 steps; validation WER" in _train()
    assert (project / "finetuned/lora_adapters/adapter_model.safetensors").is_file()
    assert _read("train.json")["trained"] is True
    assert _read("train.json")["timestamps_share"] == 0.2
    assert _read("train.json")["trained_windows"] == 2
    assert [line.split(",")[0] for line in Path("wer.csv").read_text().split()] == ["step", "0", "1"]
    assert len(Path("loss.csv").read_text().split()) == 2
    assert not list((project / "work").glob("*"))
    assert "2 utterances of 2 held-out speakers" in _evaluate()
    rows = [json.loads(line) for line in (project / "evaluated/utterances.jsonl").read_text().splitlines()]
    assert {row["speaker"] for row in rows} == {"speaker 3", "speaker 4"}
    assert Path("plot.csv").read_text().startswith("result,wer,wer_low,wer_high\noverall: base,")
    wer = sum(row["base_errors"] for row in rows) / sum(row["words"] for row in rows)
    assert _read("evaluate.json")["base_wer"] == pytest.approx(wer)


def test_two_processes_that_the_stage_starts_write_what_one_would(project: Path) -> None:
    _select("u0", "u1")
    _train()
    alone = load_file(project / "finetuned/lora_adapters/adapter_model.safetensors")
    training = {"epochs": 1, "batch_size": 2, "precision": "float32", "processes": 2}
    write_params(Path("params.yaml"), train=training)
    assert "lora on 2 utterances in 1 steps; validation WER" in _train()
    assert _read("train.json")["processes"] == 2
    together = load_file(project / "finetuned/lora_adapters/adapter_model.safetensors")
    assert alone.keys() == together.keys()
    assert all(torch.allclose(alone[name], together[name], atol=1e-5) for name in alone)
    assert not list((project / "work").glob("*"))
    write_params(Path("params.yaml"), train=training | {"precision": "float16"})
    result = CliRunner().invoke(import_module("stages.train").main, _options(*_TRAIN))
    assert result.exit_code == 2
    assert result.stderr.startswith("train: train.precision is float16, which a CPU cannot train in")
    assert result.stderr.count("\n") == 1


def test_where_there_is_no_error_to_learn_from_the_base_is_released(project: Path) -> None:
    _select()
    assert "nothing to train; the base model is released as it is" in _train()
    assert _read("train.json")["trained"] is False
    _evaluate()
    scores = _read("evaluate.json")
    assert scores["base_wer"] == scores["tuned_wer"]
    assert "ctranslate2 model of" in _convert()
    assert (project / "ct2/model.bin").is_file()
