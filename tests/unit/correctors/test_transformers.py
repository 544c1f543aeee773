"""Instruct models in this process and behind `transformers serve`: tiny ones, made on the spot."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import tiny_models
import torch

from attune.correctors.chat import Message
from attune.correctors.language_model import LanguageModelCorrector
from attune.correctors.openai_chat import OpenAIChat
from attune.correctors.prompting import Prompt
from attune.correctors.protocol import Item
from attune.correctors.transformers_chat import TransformersChat
from attune.errors import EnvironmentFault, ModelError
from attune.params import InProcessParams, OpenAIParams

MakeItem = Callable[..., Item]

PROMPT = Prompt("Correct this.", "en", None, (), 0.5)
UNCHANGED = json.dumps({"unchanged": True})


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.make_mistral(tmp_path_factory.mktemp("random"))


@pytest.fixture(scope="module")
def agreeing_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.make_mistral(tmp_path_factory.mktemp("agreeing"), UNCHANGED)


def opened(model: Path, **changed: Any) -> TransformersChat:
    given = {"revision": None, "quantized": "none", "kv_cache": "dynamic", "fast": True, "batch_size": 4}
    return TransformersChat(InProcessParams(model=str(model), **{**given, **changed}), "cpu")


def test_a_model_that_finds_everything_right_leaves_everything_unchanged(agreeing_model: Path, make_item: MakeItem) -> None:
    corrector = LanguageModelCorrector("transformers", opened(agreeing_model), PROMPT)
    items = [make_item(f"{n}", "no feeder " * (n + 1)) for n in range(6)]
    proposals = {proposal.id: proposal.text for proposal in corrector.propose(items)}
    assert proposals == {item.utterance.id: item.hypothesis.text for item in items}
    assert corrector.ledger.calls == 6
    assert corrector.ledger.tokens_out > 0


def test_noise_is_no_answer_and_is_not_asked_twice(random_model: Path, make_item: MakeItem) -> None:
    corrector = LanguageModelCorrector("transformers", opened(random_model), PROMPT)
    (proposal,) = corrector.propose([make_item("x", "no feeder")])
    assert (proposal.text, proposal.why, proposal.lasting) == (None, "malformed_answer", True)
    assert corrector.ledger.calls == 1


@pytest.mark.parametrize("cache", ["dynamic", "static", "auto"])
def test_batches_say_what_single_messages_say(random_model: Path, cache: str) -> None:
    messages = [Message("Correct this.", "no feeder " * n) for n in (1, 9, 4)]
    together = opened(random_model, kv_cache=cache).answer(messages)
    alone = [opened(random_model).answer([message])[0] for message in messages]
    assert len({reply.text for reply in alone}) > 1
    assert [reply.text for reply in together] == [reply.text for reply in alone]
    assert [reply.tokens_in for reply in together] == [reply.tokens_in for reply in alone]


def test_where_memory_runs_out_half_as_many_go_on(random_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = opened(random_model, batch_size=8)
    generated, sizes = chat._generated, []

    def hungry(messages: Any, *how: Any) -> Any:
        sizes.append(len(messages))
        if len(messages) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return generated(messages, *how)

    monkeypatch.setattr(chat, "_generated", hungry)
    messages = [Message("Correct this.", f"no feeder {n}") for n in range(8)]
    assert [reply.text for reply in chat.answer(messages)] == [opened(random_model).answer([m])[0].text for m in messages]
    assert sizes == [8, 4, 2, 2, 2, 2]
    monkeypatch.setattr(chat, "_generated", lambda *_: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError("out of memory")))
    with pytest.raises(EnvironmentFault, match="smaller model"):
        chat.answer(messages[:1])


def test_four_bit_weights_work_on_a_cpu_too(agreeing_model: Path) -> None:
    chat = opened(agreeing_model, quantized="4bit")
    assert chat.digest != opened(agreeing_model).digest
    assert len(chat.answer([Message("Correct this.", "no feeder")] * 2)) == 2


def test_a_model_without_system_messages_gets_the_instructions_with_the_question(agreeing_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "strict"
    folder.mkdir()
    for file in agreeing_model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    template = (folder / "chat_template.jinja").read_text()
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(refusing + template)
    assert opened(folder).answer([Message("Correct this.", "no feeder")])[0].text == UNCHANGED


def test_models_that_cannot_be_used_are_one_line(random_model: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        (tmp_path / name).mkdir()
        for file in random_model.iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
        return tmp_path / name

    damaged, silent, pickled = copy("damaged"), copy("silent"), copy("pickled")
    (damaged / "model.safetensors").write_bytes(b"half")
    (silent / "chat_template.jinja").unlink()
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    for folder, said in ((damaged, "cannot be loaded"), (silent, "no chat template"), (pickled, "safetensors")):
        with pytest.raises(ModelError, match=said) as caught:
            opened(folder)
        assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def address(agreeing_model: Path) -> Iterator[str]:
    """Where `transformers serve` has the agreeing model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    command = [program, "serve", agreeing_model, "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as server:
        try:
            for _ in range(600):
                assert server.poll() is None, "transformers serve ended"
                try:
                    with urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
                        assert reply.status == 200
                    break
                except OSError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def test_transformers_serve_is_a_server_like_others(address: str, agreeing_model: Path, make_item: MakeItem) -> None:
    params = OpenAIParams(base_url=address, model=str(agreeing_model), concurrency=4, timeout_s=60.0, attempts=2, max_tokens=None)
    corrector = LanguageModelCorrector("openai", OpenAIChat(params), PROMPT)
    proposals = list(corrector.propose([make_item(f"{n}", f"no feeder {n}") for n in range(5)]))
    assert {proposal.id: proposal.text for proposal in proposals} == {f"{n}": f"no feeder {n}" for n in range(5)}
    assert corrector.ledger.calls == 5
    assert corrector.ledger.tokens_out >= 5
