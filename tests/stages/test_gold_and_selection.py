"""The scripts of the third and fourth node, one after the other as the graph runs them, on a corpus people transcribed."""

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import yaml
from chat_server import ChatServer, serving
from click.testing import CliRunner, Result

from attune.dataset import UTTERANCES, encode_flac, write_corpus
from attune.files import read_jsonl, write_jsonl
from attune.lineage import record_lineage
from attune.records import Gold, Hypothesis, Selection, Split, Utterance

ROOT = Path(__file__).resolve().parents[2]
_SIDES: tuple[Split, ...] = ("train", "train", "train", "validation", "test")


def run_gold(folder: Path) -> Result:
    return _run("llm_gold", folder, "prepared", "baseline", "gold", metrics="g.json", timing="t.json", params="params.yaml")


def run_selection(folder: Path) -> Result:
    return _run(
        "select_errors", folder, "prepared", "baseline", "gold", "selected", plot="p.csv", metrics="s.json", params="params.yaml"
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five utterances of five speakers, misheard in their last word except the second; the third was not transcribed."""
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    utterances = [
        Utterance(f"{n:016x}", f"{n:064x}", f"clean/{n}.wav", f"speaker {n}", "clean", side, 1.0, 30.0, f"say {n} please")
        for n, side in enumerate(_SIDES)
    ]
    utterances[2] = replace(utterances[2], reference=None)
    heard = [Hypothesis(u.id, f"say {n} {'please' if n == 1 else 'peas'}", 0.9) for n, u in enumerate(utterances)]
    (tmp_path / "prepared").mkdir()
    write_corpus(tmp_path / "prepared", utterances, {u.id: encode_flac(np.zeros(16_000, np.float32)) for u in utterances}, [])
    write_jsonl(tmp_path / "baseline" / "hypotheses.jsonl", heard)
    record_lineage(tmp_path / "baseline", None, [tmp_path / "prepared" / UTTERANCES])
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["llm_gold"]["corrector"] = "references"
    params["select_errors"]["replay_share"] = 0.3
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return tmp_path


def test_human_text_becomes_gold_and_the_misheard_is_selected_with_nothing_of_the_test_side(folder: Path) -> None:
    result = run_gold(folder)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("llm_gold: 2 of 3 utterances for training have gold (references); 1 wait for review in ")
    assert [gold.source for gold in read_jsonl(folder / "gold" / "gold.jsonl", Gold)].count("human") == 4
    assert json.loads((folder / "gold" / "review.jsonl").read_text())["source"] == "clean/2.wav"
    assert json.loads((folder / "g.json").read_text())["quarantined"] == {"no_reference": 1}
    assert "minutes" not in (folder / "g.json").read_text()

    result = run_selection(folder)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "select_errors: 1 errors and 0 well-heard utterances to train, 1 to validate.\n"
    (trained,) = read_jsonl(folder / "selected" / "train.jsonl", Selection)
    assert (trained.role, trained.text) == ("error", "say 0 please")
    (validated,) = read_jsonl(folder / "selected" / "validation.jsonl", Selection)
    assert validated.id == f"{3:016x}"
    confusion = json.loads((folder / "selected" / "confusions.jsonl").read_text())
    assert (confusion["reference"], confusion["hypothesis"]) == ("please", "peas")
    assert confusion["examples"] == [{"id": f"{0:016x}", "reference": "say 0 please", "hypothesis": "say 0 peas"}]
    assert (folder / "p.csv").read_text() == "confusion,count\nplease → peas,1\n"


def test_what_a_person_decided_is_gold_and_what_one_discarded_is_not_trained_on(folder: Path) -> None:
    ids = [f"{n:016x}" for n in range(5)]
    decided = [{"id": ids[2], "text": "say it please"}, {"id": ids[0], "status": "discarded"}, {"id": "f" * 16, "text": "void"}]
    (folder / "corrections").mkdir()
    (folder / "corrections" / "may.jsonl").write_text("\n".join(map(json.dumps, decided)))
    params = (
        (folder / "params.yaml").read_text().replace("corrections: data/corrections", f"corrections: {folder / 'corrections'}")
    )
    (folder / "params.yaml").write_text(params)
    result = run_gold(folder)
    assert result.exit_code == 0, result.stderr
    assert "1 corrections are of sound that is no more" in result.stdout
    golds = {gold.id: gold for gold in read_jsonl(folder / "gold" / "gold.jsonl", Gold)}
    assert (golds[ids[2]].text, golds[ids[2]].source, golds[ids[2]].why) == ("say it please", "human", "edited")
    assert (golds[ids[0]].text, golds[ids[0]].why) == (None, "discarded")
    assert (folder / "gold" / "review.jsonl").read_text() == ""
    told = json.loads((folder / "g.json").read_text())
    assert (told["corrected_by_people"], told["void_corrections"]) == (2, 1)
    assert run_selection(folder).exit_code == 0
    assert [s.id for s in read_jsonl(folder / "selected" / "train.jsonl", Selection)] == [ids[2]]


def _agreeing(question: dict[str, Any]) -> str:
    return json.dumps({"id": question["id"], "unchanged": True})


def _lying(question: dict[str, Any]) -> str:
    return json.dumps({"id": question["id"], "text": "I'm sorry, but I cannot correct this."})


@pytest.mark.parametrize("corrector", ["openai", "ollama", "transformers"])
def test_each_language_model_makes_gold_and_is_not_asked_twice(
    folder: Path, corrector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ChatServer(_agreeing)) as server:
        _ask(folder, corrector, server, monkeypatch)
        for calls in (1, 0):
            assert run_gold(folder).exit_code == 0
            asking = json.loads((folder / "g.json").read_text())["asking"]
            assert (asking["calls"], asking["answers_from_cache"]) == (calls, 1 - calls)
            assert (asking["tokens_in"] > 0, asking["latency_p95_s"] is not None) == (calls == 1, calls == 1)
            gold = {g.id: g for g in read_jsonl(folder / "gold" / "gold.jsonl", Gold)}[f"{2:016x}"]
            assert (gold.text, gold.source) == ("say 2 peas", "unchanged")
            assert str(gold.model).startswith(corrector)
            assert "sound_distance" in gold.guards


def test_what_a_language_model_invents_waits_for_review(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ChatServer(_lying)) as server:
        _ask(folder, "openai", server, monkeypatch)
        assert run_gold(folder).exit_code == 0
    assert json.loads((folder / "g.json").read_text())["quarantined"] == {"chatter": 1}
    waiting = json.loads((folder / "gold" / "review.jsonl").read_text())
    assert waiting["proposal"].startswith("I'm sorry")


def test_the_base_model_listens_again_to_what_is_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fixing(question: dict[str, Any]) -> str:
        return json.dumps({"id": question["id"], "text": "say 2 bees"})

    with serving(ChatServer(fixing)) as server:
        _ask(folder, "openai", server, monkeypatch)
        result = run_gold(folder)
    assert result.exit_code == 0, result.stderr
    gold = {g.id: g for g in read_jsonl(folder / "gold" / "gold.jsonl", Gold)}[f"{2:016x}"]
    heard = gold.guards[-1:] == ("acoustic_loss",) and gold.text == "say 2 bees"
    assert heard or gold.why.startswith("acoustic_loss: ")


def test_no_language_model_fails_closed_with_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ask(folder, "ollama", ChatServer(_agreeing, address="http://127.0.0.1:9"), monkeypatch)
    result = run_gold(folder)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "ollama serve" in result.stderr
    assert not (folder / "gold").exists()


def _ask(folder: Path, corrector: str, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has params name the corrector, and that server or a tiny model for it."""
    params = yaml.safe_load((folder / "params.yaml").read_text())
    gold = params["llm_gold"]
    gold["corrector"] = corrector
    gold["openai"] |= {"base_url": f"{server.address}/v1", "model": "llama3.2:3b"}
    monkeypatch.setenv("OLLAMA_HOST", server.address)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _s: None)
    if corrector == "transformers":
        model = tiny_models.make_mistral(folder / "mistral", json.dumps({"unchanged": True}))
        gold["transformers"]["model"] = str(model)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def test_the_same_inputs_give_the_same_bytes(folder: Path) -> None:
    written = []
    for _ in range(2):
        assert run_gold(folder).exit_code == 0
        written.append([(folder / "gold" / name).read_bytes() for name in ("gold.jsonl", "review.jsonl", "lineage.json")])
    assert written[0] == written[1]


def test_no_transcript_and_no_corrector_stop_the_stage_and_write_nothing(folder: Path) -> None:
    bare = [replace(u, reference=None) for u in read_jsonl(folder / "prepared" / UTTERANCES, Utterance)]
    write_jsonl(folder / "prepared" / UTTERANCES, bare)
    record_lineage(folder / "baseline", None, [folder / "prepared" / UTTERANCES])
    result = run_gold(folder)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "llm_gold.corrector" in result.stderr
    assert not (folder / "gold").exists()


def test_another_corpus_than_the_baselines_is_refused(folder: Path) -> None:
    write_jsonl(folder / "prepared" / UTTERANCES, [])
    result = run_gold(folder)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "dvc repro" in result.stderr


def _run(stage: str, folder: Path, *folders: str, **files: str) -> Result:
    places = {name: name for name in folders} | files
    options = [part for option, place in places.items() for part in (f"--{option}", str(folder / place))]
    return CliRunner().invoke(import_module(f"stages.{stage}").main, options)
