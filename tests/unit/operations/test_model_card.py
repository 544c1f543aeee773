"""A tuned folder says of itself what it was made from, in words and as the hub reads it, the same each time."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import yaml
from shipped import train_params

from attune.checkpoints import TrainingRecord, load_checkpoint, quietly, write_training_record
from attune.errors import ModelError
from attune.finetuning.training_report import TrainingReport
from attune.operations.base_cards import base_facts
from attune.operations.model_card import Facts, _opening, write_card
from attune.params import ModelParams, load_params
from attune.records import Selection

PARAMS = Path(__file__).resolve().parents[3] / "params.yaml"
SELECTED = [
    Selection("a", "train", "error", "x", "human", 1.0),
    Selection("b", "train", "error", "x", "llm", 1.0),
    Selection("c", "train", "replay", "x", "human", 0.0),
    Selection("d", "validation", "validation", "x", "human", 1.0),
]
LENGTHS = {"a": 1800.0, "b": 900.0, "c": 3600.0, "d": 360.0}


def report(**changes: Any) -> TrainingReport:
    told = {"steps": 7, "batch_size": 4, "accumulation": 2, "validation_utterances": 1, "wer_before": 0.5, "wer_after": 0.25}
    return TrainingReport(**{**told, "trainable_share": 0.0123, **changes})


def write(base: str, folder: Path, method: str = "lora", done: TrainingReport | None = None, **model: Any) -> tuple[Any, str]:
    model_params: ModelParams = load_params(PARAMS).model.model_copy(update={"name": base, **model})
    checkpoint = load_checkpoint(base, None)
    write_card(folder, Facts(checkpoint, model_params, train_params(method=method), SELECTED, LENGTHS, done or report()))
    place = "model" if method == "full" else "lora_adapters"
    _, head, body = (folder / place / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(head), body


def test_the_card_has_the_facts_in_words(tmp_path: Path) -> None:
    tiny_models.make_whisper(tmp_path / "base")
    done = report(dropped={"text_too_long": 3}, forgetting_utterances=9, forgetting_wer_before=0.1, forgetting_wer_after=0.125)
    _, body = write(str(tmp_path / "base"), tmp_path / "out", done=done)
    assert "| misheard, learnt from | 2 | 0.75 | human 1, llm 1 |" in body
    assert "| heard rightly, replayed | 1 | 1.00 | human 1 |" in body
    assert "| validation | 1 | 0.10 | human 1 |" in body
    assert "| validation | 1 | 50.00% | 25.00% |" in body
    assert "| out of domain | 9 | 10.00% | 12.50% |" in body
    assert "text_too_long 3" in body
    assert "| lora.rank | 8 |" in body
    assert "7 steps of 8 utterances; 1.23% of the weights learnt" in body
    assert f"| digest | `{load_checkpoint(str(tmp_path / 'base'), None).digest}`" in body
    assert "| licence | unknown: see base |" in body
    assert str(tmp_path) not in body


def test_the_hub_can_read_its_front_matter(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    tiny_models.make_whisper(tmp_path / "base")
    (tmp_path / "base" / "README.md").write_text("---\nlicense: mit\nlanguage: [es]\nbase_model: some/one\n---\n# Base\n")
    done = report(forgetting_utterances=9, forgetting_wer_before=0.1, forgetting_wer_after=0.125)
    head, _ = write(str(tmp_path / "base"), tmp_path / "out", method="full", done=done)
    assert head["license"] == "mit"
    assert head["language"] == "es"
    assert head["base_model"] == "some/one"
    assert head["library_name"] == "transformers"
    assert head["pipeline_tag"] == "automatic-speech-recognition"
    assert {"whisper", "full"} <= set(head["tags"])
    scores = ModelCard.load(tmp_path / "out" / "model" / "README.md").data.eval_results
    told = [(score.dataset_type, score.metric_type, score.metric_value) for score in scores]
    assert told == [("validation", "wer", 25.0), ("out-of-domain", "wer", 12.5)]


def test_what_is_not_known_is_not_made_up(tmp_path: Path) -> None:
    tiny_models.make_whisper(tmp_path / "base")
    nothing = report(validation_utterances=0, wer_before=None, wer_after=None)
    head, body = write(str(tmp_path / "base"), tmp_path / "out", done=nothing, language="en")
    assert head["license"] == "unknown"
    assert head["language"] == "en"
    assert head["library_name"] == "peft"
    assert "base_model" not in head
    assert "model-index" not in head
    assert "Not measured" in body


def test_the_card_of_a_second_stage_says_how_to_open_both(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    tiny_models.make_whisper(tmp_path / "base")
    with quietly():
        lora = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
        get_peft_model(load_checkpoint(str(tmp_path / "base"), None).model, lora).save_pretrained(
            tmp_path / "first/lora_adapters"
        )
    write_training_record(tmp_path / "first", TrainingRecord(str(tmp_path / "base"), None, "lora", "whisper"))
    _, body = write(str(tmp_path / "first"), tmp_path / "out")
    program = body.partition("```python\n")[2].partition("```")[0].splitlines()
    assert program[3:6] == [
        'base = AutoModelForSpeechSeq2Seq.from_pretrained("base", dtype="float32")',
        'base = PeftModel.from_pretrained(base, "lora_adapters").merge_and_unload()',
        'model = PeftModel.from_pretrained(base, "lora_adapters")',
    ]


def test_the_card_tells_a_pinned_revision_and_how_whisper_learnt(tmp_path: Path) -> None:
    (line,) = _opening("openai/whisper-small", "abc", "A")
    assert line == 'base = A.from_pretrained("openai/whisper-small", dtype="float32", revision="abc")'
    tiny_models.make_whisper(tmp_path / "base")
    _, body = write(str(tmp_path / "base"), tmp_path / "out")
    assert f"| whisper.timestamps_share | {train_params().whisper.timestamps_share} |" in body
    assert "lora.rank" not in write(str(tmp_path / "base"), tmp_path / "full", method="full")[1]


def test_the_same_facts_give_the_same_bytes(tmp_path: Path) -> None:
    tiny_models.make_whisper(tmp_path / "base")
    assert write(str(tmp_path / "base"), tmp_path / "one") == write(str(tmp_path / "base"), tmp_path / "two")


def test_a_base_in_the_hubs_cache_tells_its_commit_and_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit, repo = "a" * 40, tmp_path / "models--someone--speech"
    (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "snapshots" / commit / "config.json").write_text("{}")
    (repo / "snapshots" / commit / "README.md").write_text("---\nlicense: apache-2.0\nlanguage: [en, es]\n---\n")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    facts = base_facts("someone/speech", None)
    assert (facts.hub_name, facts.commit, facts.licence, facts.language) == ("someone/speech", commit, "apache-2.0", None)
    assert base_facts("someone/else", None).licence is None


def test_a_second_stage_knows_the_licence_of_the_first_ones_base(tmp_path: Path) -> None:
    tiny_models.make_whisper(tmp_path / "base")
    (tmp_path / "base" / "README.md").write_text("---\nlicense: mit\n---\n")
    adapters = tmp_path / "first" / "lora_adapters"
    adapters.mkdir(parents=True)
    (adapters / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tmp_path / "base")}))
    record = {"base": str(tmp_path / "base"), "revision": None, "method": "lora", "family": "whisper"}
    (tmp_path / "first" / "training.json").write_text(json.dumps(record))
    facts = base_facts(str(tmp_path / "first"), None)
    assert (facts.name, facts.licence) == ("first", "mit")
    (tmp_path / "first" / "training.json").write_text("{}")
    with pytest.raises(ModelError):
        base_facts(str(tmp_path / "first"), None)
