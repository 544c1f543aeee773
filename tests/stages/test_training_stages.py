"""`train`, `evaluate` and `convert_ct2` one after the other, on a tiny random model: with errors to learn from, and with none."""

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import soundfile
import tiny_models
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file
from shipped import write_params

from attune.dataset import UTTERANCES, encode_flac, write_corpus
from attune.files import write_jsonl
from attune.finetuning import training
from attune.lineage import record_lineage
from attune.operations import tuning
from attune.records import Gold, Selection, Split, Utterance
from attune.report.results import read_results

ROOT = Path(__file__).resolve().parents[2]
_TRAIN = (
    "prepared=prepared", "selected=selected", "finetuned=finetuned", "work=work", "live=live", "loss-plot=loss.csv",
    "wer-plot=wer.csv", "metrics=train.json", "timing=t.json",
)  # fmt: skip
_CONVERT = ("plot=exports.csv", "timing-plot=speed.csv", "metrics=convert.json", "timing=t.json")
_SIDES: tuple[Split, ...] = ("train", "train", "validation", "test", "test", "test")
_UNWRITTEN = 5
_EVALUATE = (
    "prepared=prepared", "gold=gold", "finetuned=finetuned", "suites=suites", "glossary=glossary.txt",
    "out-of-domain=data/out_of_domain", "evaluated=evaluated",
    "results=results.json", "reports=.", "plots=plots", "loss-plot=loss.csv", "wer-plot=wer.csv",
    "metrics=evaluate.json", "timing=t.json",
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six utterances of six speakers, the last one not transcribed, and a random model."""
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    _params()
    tiny_models.make_whisper(Path("base"))
    utterances = [
        Utterance(
            f"u{n}", f"digest{n}", f"{n}.wav", f"speaker {n}", "clean", side, 1.0, 20.0, None if n == _UNWRITTEN else "a fever"
        )
        for n, side in enumerate(_SIDES)
    ]
    Path("prepared").mkdir()
    flac = {u.id: encode_flac(tiny_models.speech(u.duration_s, seed)) for seed, u in enumerate(utterances)}
    write_corpus(Path("prepared"), utterances, flac, [])
    golds = [
        Gold(u.id, u.reference, "human", "reference") if u.reference else Gold(u.id, "a cough", "llm", "") for u in utterances
    ]
    write_jsonl(Path("gold/gold.jsonl"), golds)
    Path("suites").mkdir()
    Path("glossary.txt").write_text("fever\n")
    return tmp_path


def _params(**changes: object) -> None:
    small = {"bootstrap_samples": 200, "hallucination_clips": 2}
    write_params(Path("params.yaml"), train={"epochs": 1, "batch_size": 2, "precision": "float32"}, evaluate={**small, **changes})


def _select(*ids: str) -> None:
    write_jsonl(Path("selected/train.jsonl"), [Selection(i, "train", "error", "a fever", "human", 1.0) for i in ids])
    write_jsonl(Path("selected/validation.jsonl"), [Selection("u2", "validation", "validation", "a fever", "human", 1.0)])
    record_lineage(Path("selected"), None, [Path("prepared") / UTTERANCES, Path("gold") / "gold.jsonl"])


def _run(stage: str, *options: str) -> str:
    result = CliRunner().invoke(import_module(f"stages.{stage}").main, _options(*options))
    assert result.exit_code == 0, result.output
    return result.output


def _options(*options: str) -> list[str]:
    return [part for option in options for part in (f"--{option.partition('=')[0]}", option.partition("=")[2])]


def _train() -> str:
    return _run("train", *_TRAIN)


def _evaluate() -> str:
    return _run("evaluate", *_EVALUATE)


def _convert() -> str:
    folders = ("prepared=prepared", "finetuned=finetuned", "evaluated=evaluated", "ct2=ct2")
    return _run("convert_ct2", *folders, *_CONVERT)


def _read(name: str) -> dict[str, object]:
    content: dict[str, object] = json.loads(Path(name).read_text())
    return content


def test_errors_are_learnt_from_and_the_test_side_is_scored(project: Path) -> None:
    _select("u0", "u1")
    assert "lora on 2 utterances in 1 steps; validation WER" in _train()
    assert (project / "finetuned/lora_adapters/adapter_model.safetensors").is_file()
    assert (project / "finetuned/lora_adapters/README.md").read_text().startswith("---\nlibrary_name: peft\nlicense: unknown\n")
    assert _read("train.json")["trained"] is True
    assert _read("train.json")["timestamps_share"] == 0.1
    assert _read("train.json")["trained_windows"] == 2
    assert [line.split(",")[0] for line in Path("wer.csv").read_text().split()] == ["step", "0", "1"]
    assert len(Path("loss.csv").read_text().split()) == 2
    assert not list((project / "work").glob("*"))
    assert "2 utterances of 2 held-out speakers" in _evaluate()
    rows = [json.loads(line) for line in (project / "evaluated/utterances.jsonl").read_text().splitlines()]
    assert {row["speaker"] for row in rows} == {"speaker 3", "speaker 4"}
    assert Path("plots/wer_by_condition.csv").read_text().startswith("slice,model,wer,wer_low,wer_high\nall,base,")
    wer = sum(row["base_errors"] for row in rows) / sum(row["words"] for row in rows)
    assert _read("evaluate.json")["base_wer"] == pytest.approx(wer)
    _convert()
    card = (project / "ct2/README.md").read_text()
    assert card.startswith("---\nlibrary_name: ctranslate2\nlicense: unknown\n")
    assert "\n# base tuned by lora\n\nExported: ctranslate2 model of " in card


def test_a_kill_before_the_result_is_in_its_place_loses_no_step(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here between the weights and their card."""
    _select("u0", "u1")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "RECOGNISERS", replace(tuning.RECOGNISERS, describe=killed))
    monkeypatch.setattr(tuning.tune, "__defaults__", (None, tuning.RECOGNISERS))
    result = CliRunner().invoke(import_module("stages.train").main, _options(*_TRAIN))
    assert result.exit_code == 130
    assert not (project / "finetuned").exists()
    monkeypatch.undo()
    monkeypatch.chdir(project)
    monkeypatch.setattr(training.WerTrainer, "training_step", lambda *_, **__: pytest.fail("trained again"))
    assert "lora on 2 utterances in 1 steps" in _train()
    assert not list((project / "work").glob("*"))


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


def test_what_cannot_be_learnt_is_named_beside_the_result(project: Path) -> None:
    _select("u0", "u1")
    rows = Path("selected/train.jsonl").read_text().replace("a fever", "a fever " * 30, 1)
    Path("selected/train.jsonl").write_text(rows)
    _train()
    assert _read("train.json")["dropped"] == {"text_too_long": 1}
    assert Path("finetuned/dropped.jsonl").read_text() == '{"id": "u0", "reason": "text_too_long"}\n'


def test_one_utterance_is_enough_to_train(project: Path) -> None:
    _select("u0")
    assert "lora on 1 utterances in 1 steps" in _train()


def test_a_base_whose_weights_are_a_pickle_is_refused_with_the_command_that_converts_it(project: Path) -> None:
    _select("u0", "u1")
    (project / "base/model.safetensors").rename(project / "base/pytorch_model.bin")
    result = CliRunner().invoke(import_module("stages.train").main, _options(*_TRAIN))
    assert result.exit_code == 2
    assert "in a pickle (pytorch_model.bin)" in result.output
    assert "python -c 'import sys; from transformers import WhisperForConditionalGeneration as M" in result.output
    assert not (project / "finetuned").exists()


def test_a_base_that_stands_where_the_result_goes_is_refused(project: Path) -> None:
    _select("u0", "u1")
    write_params(Path("params.yaml"), model={"name": "models/finetuned/lora_adapters"})
    result = CliRunner().invoke(import_module("stages.train").main, _options(*_TRAIN))
    assert result.exit_code == 2
    said = (
        "model.name is models/finetuned/lora_adapters, where training writes its result; keep the earlier one elsewhere: cp -r "
    )
    assert said in result.stderr
    assert len(result.stderr) < 300


def test_a_model_that_is_to_translate_is_not_taught_to_transcribe(project: Path) -> None:
    _select("u0", "u1")
    tiny_models.make_whisper(Path("many"), multilingual=True)
    write_params(Path("params.yaml"), model={"name": "many", "task": "translate", "language": "es"})
    result = CliRunner().invoke(import_module("stages.train").main, _options(*_TRAIN))
    assert (result.exit_code, "set model.task to transcribe" in result.stderr) == (2, True)


def test_what_must_not_be_forgotten_is_heard_before_during_and_after(project: Path) -> None:
    _select("u0", "u1")
    folder = project / "data/out_of_domain"
    folder.mkdir(parents=True)
    soundfile.write(folder / "ann_1.wav", tiny_models.speech(1.0, 99), 16_000)
    (folder / "ann_1.txt").write_text("a cough")
    assert "; out of domain " in _train()
    heard = _read("train.json")
    assert heard["forgetting_utterances"] == 1
    rows = [line.split(",") for line in Path("wer.csv").read_text().splitlines()]
    assert rows[0] == ["step", "validation_wer", "forgetting_wer"]
    assert [float(row[2]) for row in rows[1:]] == [heard["forgetting_wer_before"], heard["forgetting_wer_after"]]
    _evaluate()
    forgetting = read_results(project / "results.json").forgetting
    assert forgetting is not None
    assert (forgetting.utterances, forgetting.words) == (1, 2)
    assert _read("evaluate.json")["forgetting_tuned_wer"] == pytest.approx(forgetting.tuned.wer)


def test_where_there_is_no_error_to_learn_from_the_base_is_released(project: Path) -> None:
    _select()
    assert "nothing to train; the base model is released as it is" in _train()
    assert _read("train.json")["trained"] is False
    _evaluate()
    scores = _read("evaluate.json")
    assert scores["base_wer"] == scores["tuned_wer"]
    assert "ctranslate2 model of" in _convert()
    assert (project / "ct2/model.bin").is_file()
    assert "base, released as it is: nothing was learnt." in (project / "ct2/README.md").read_text()


def test_an_evaluation_leaves_everything_a_reader_needs(project: Path) -> None:
    _select()
    _train()
    Path("suites/doses.yaml").write_text("kind: benchmark\nbaseline: null\nutterances: [3.wav, 0.wav]")
    _evaluate()
    found = read_results(project / "results.json")
    assert (found.decoding.engine, found.decoding.compute_type, found.decoding.trained) == ("ctranslate2", "float32", False)
    assert [each.name for each in found.normalizers] == ["attune", "raw", "whisper_basic", "whisper_english"]
    assert [(each.sound, each.clips) for each in found.hallucinations] == [("silence", 2), ("noise", 2)]
    assert found.glossary.said == 2
    assert found.agreement_with_gold is not None
    assert (found.agreement_with_gold.utterances, found.agreement_with_gold.with_gold) == (1, 1)
    assert [json.loads(line)["id"] for line in Path("evaluated/agreement.jsonl").read_text().splitlines()] == ["u5"]
    assert (found.suites[0].utterances, found.suites[0].missing) == (1, ("0.wav: is on the train side",))
    assert found.verdict.failure_reason == "nothing was learnt, so there is no tuned model"
    for model in ("base", "tuned"):
        assert _read("t.json")[model]["real_time_factor"] > 0  # type: ignore[index]
    assert "nothing was learnt, so there is no tuned model" in Path("report.html").read_text()
    assert Path("report.html").read_text().count("<audio") == 2
    assert Path("report.md").read_text().startswith("<!-- attune report -->\n## ✗ Not passed")
    assert {file.name for file in Path("figures").iterdir()} >= {"wer_by_condition.svg", "reliability.svg"}
    written = ("results.json", "evaluate.json", "evaluated/utterances.jsonl", "report.html", "report.md")
    before = {name: (project / name).read_bytes() for name in written}
    _evaluate()
    assert {name: (project / name).read_bytes() for name in before} == before


def test_a_critical_suite_stops_the_stage_where_params_say_so_and_leaves_what_was_found(project: Path) -> None:
    _select()
    _train()
    Path("suites/doses.yaml").write_text("kind: critical\nbaseline: {wer: 0.0, version: v1}\nutterances: [u3]")
    assert "critical suite doses: WER rose" in _evaluate()
    shipped = yaml.safe_load(Path("params.yaml").read_text())["evaluate"]["suites"]
    _params(suites=shipped | {"fail_on_critical": True})
    named = [part for option in _EVALUATE for part in (f"--{option.partition('=')[0]}", option.partition("=")[2])]
    result = CliRunner().invoke(import_module("stages.evaluate").main, named)
    assert result.exit_code == 2
    assert "critical suites failed: doses; see results.json" in result.output
    assert read_results(project / "results.json").suites[0].failed
    assert Path("evaluated/utterances.jsonl").is_file()


def test_gold_of_another_run_is_refused(project: Path) -> None:
    _select()
    _train()
    write_jsonl(Path("gold/gold.jsonl"), [Gold("u0", "another", "llm", "")])
    named = [part for option in _EVALUATE for part in (f"--{option.partition('=')[0]}", option.partition("=")[2])]
    result = CliRunner().invoke(import_module("stages.evaluate").main, named)
    assert result.exit_code == 2
    assert "gold.jsonl is not what finetuned was made from" in result.output
