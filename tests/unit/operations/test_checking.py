"""`attune llm check` says what is wrong with a language model, and what to do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from chat_server import ChatServer, serving, unchanged
from click.testing import CliRunner, Result

from attune.cli import main


def good(question: dict[str, Any]) -> str:
    texts = {"f": "the patient has a fever and a cough", "m": "she takes metformin twice a day"}
    return json.dumps({"id": question["id"], "text": texts["f" if "pashent" in question["transcript"] else "m"]})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _s: None)
    with serving(ChatServer(good)) as running:
        monkeypatch.setenv("OLLAMA_HOST", running.address)
        yield running


@pytest.fixture
def run(tmp_path: Path, server: ChatServer) -> Any:
    def ask(*words: str, **changed: str) -> Result:
        params = Path("params.yaml").read_text()
        replaced = {
            "http://localhost:8000/v1": f"{server.address}/v1",
            "    model: mistralai/Mistral-7B-Instruct-v0.3 # as": "    model: llama3.2:3b # as",
            "attempts: 5": "attempts: 1",
            **changed,
        }
        for before, after in replaced.items():
            assert before in params
            params = params.replace(before, after)
        (tmp_path / "params.yaml").write_text(params)
        return CliRunner().invoke(main, ["llm", *words, "--params", str(tmp_path / "params.yaml")])

    return ask


@pytest.mark.parametrize("corrector", ["openai", "ollama"])
def test_a_good_server_passes_four_steps_and_its_speed_is_told(run: Any, corrector: str) -> None:
    result = run("check", "--corrector", corrector)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line[:4] for line in lines[:4]] == ["✓ 1.", "✓ 2.", "✓ 3.", "✓ 4."]
    assert "fever and a cough" in lines[2]
    assert "metformin" in lines[3]
    assert "p50" in lines[4]
    assert "10 requests" in lines[4]


@pytest.mark.parametrize("corrector", ["openai", "ollama"])
def test_models_are_listed(run: Any, corrector: str) -> None:
    assert run("models", "--corrector", corrector).stdout.splitlines() == ["llama3.1:8b", "llama3.2:3b"]


def test_a_model_that_changes_nothing_fails_the_two_samples(run: Any, server: ChatServer) -> None:
    server.answer = unchanged
    result = run("check", "--corrector", "openai")
    assert result.exit_code == 1
    assert [line[0] for line in result.stdout.splitlines()[:4]] == ["✓", "✓", "✗", "✗"]
    assert "a larger model may do better" in result.stdout


def test_a_model_that_talks_is_told_apart(run: Any, server: ChatServer) -> None:
    server.answer = lambda _question: "I would rather chat."
    assert "its answer cannot be read" in run("check", "--corrector", "openai").stdout


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ((500, '{"error": "no space left on device"}'), "ollama rm"),
        ((404, "404 page not found"), "curl http"),
    ],
)
def test_a_server_out_of_order_fails_the_first_step(run: Any, server: ChatServer, error: tuple[int, str], said: str) -> None:
    server.error = error
    result = run("check", "--corrector", "ollama")
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 1)
    assert result.stdout.startswith("✗ 1. reach")
    assert said in result.stdout


def test_no_server_and_a_missing_model_come_with_the_next_command(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = run("check", "--corrector", "ollama", **{"model: llama3.2:3b        #": "model: mistral:7b #"})
    assert missing.stdout.splitlines()[1].startswith("✗ 2. model")
    assert "ollama pull mistral:7b" in missing.stdout
    unknown = run(
        "check", "--corrector", "openai", **{"    model: mistralai/Mistral-7B-Instruct-v0.3 # as": "    model: other # as"}
    )
    assert "attune llm models" in unknown.stdout
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    assert "ollama serve" in run("check", "--corrector", "ollama").stdout


def test_a_corrector_without_a_language_model_is_told_so(run: Any) -> None:
    result = run("check")
    assert result.exit_code == 2
    assert "--corrector" in result.stderr


def test_a_model_in_this_process_is_checked_alike(run: Any, tmp_path: Path) -> None:
    model = tiny_models.make_mistral(tmp_path / "mistral", json.dumps({"unchanged": True}))
    given = {"    model: mistralai/Mistral-7B-Instruct-v0.3 # any": f"    model: {model} # any"}
    result = run("check", "--corrector", "transformers", **given)
    assert [line[0] for line in result.stdout.splitlines()[:4]] == ["✓", "✓", "✗", "✗"]
    assert "tokens/s" in result.stdout
    assert run("models", "--corrector", "transformers", **given).stdout.strip() == str(model)
