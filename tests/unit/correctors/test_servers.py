"""Language models behind servers, through the real clients: what they are sent, what becomes of their faults."""

import json
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from chat_server import FAULTS, ChatServer, serving, unchanged

from attune.correctors.chat import Message, NoAnswer
from attune.correctors.language_model import LanguageModelCorrector
from attune.correctors.ollama_chat import OllamaChat
from attune.correctors.openai_chat import OpenAIChat
from attune.correctors.prompting import Prompt
from attune.correctors.protocol import Item, Proposal
from attune.errors import GoldError
from attune.params import OllamaParams, OpenAIParams

MakeItem = Callable[..., Item]

PROMPT = Prompt("Correct this.", "en", "a clinic", ("metformin",), 0.5)
QUESTION = Message("Correct this.", json.dumps({"id": "x"}))


def openai_params(server: ChatServer, **changed: Any) -> OpenAIParams:
    given = {"base_url": f"{server.address}/v1", "model": "llama3.2:3b", "concurrency": 8, "timeout_s": 0.5, "attempts": 4}
    return OpenAIParams(**{"max_tokens": None, **given, **changed})


def ollama_params(**changed: Any) -> OllamaParams:
    return OllamaParams(**{"model": "llama3.2:3b", "concurrency": 4, "timeout_s": 0.5, "attempts": 4, **changed})


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OLLAMA_HOST", "OLLAMA_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between tries."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda _s: None))
    monkeypatch.setattr("attune.correctors.openai_chat._PAUSE_S", 0.01)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving(ChatServer(unchanged)) as running:
        yield running


@pytest.fixture
def ollama(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> ChatServer:
    monkeypatch.setenv("OLLAMA_HOST", server.address)
    return server


def fixes(question: dict[str, Any]) -> str:
    return json.dumps({"id": question["id"], "text": question["transcript"].replace("feeder", "fever")})


def test_openai_is_sent_instructions_question_and_schema_with_the_key(
    server: ChatServer, make_item: MakeItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    server.answer = fixes
    corrector = LanguageModelCorrector("openai", OpenAIChat(openai_params(server)), PROMPT)
    (proposal,) = corrector.propose([make_item("x", "no feeder")])
    assert (proposal.id, proposal.text, proposal.lasting) == ("x", "no fever", True)
    (request,) = server.requests
    assert [turn["role"] for turn in request["messages"]] == ["system", "user"]
    assert request["response_format"]["json_schema"]["schema"]["required"] == ["id"]
    assert (request["temperature"], request["model"]) == (0.0, "llama3.2:3b")
    assert server.headers[0]["authorization"] == "Bearer secret"
    ledger = corrector.ledger
    assert (ledger.calls, ledger.tokens_in, ledger.tokens_out, len(ledger.seconds)) == (1, 100, 20, 1)


def test_settings_that_a_server_refuses_are_left_out_once_and_for_all(server: ChatServer, make_item: MakeItem) -> None:
    server.refused = ("response_format", "max_tokens")
    corrector = LanguageModelCorrector("openai", OpenAIChat(openai_params(server, concurrency=1)), PROMPT)
    proposals = list(corrector.propose([make_item(name, "no feeder") for name in "abc"]))
    assert [proposal.text for proposal in proposals] == ["no feeder"] * 3
    assert len(server.requests) == 2 + 3
    assert "max_completion_tokens" in server.requests[-1]


def test_ollama_is_sent_the_schema_and_its_models_are_known_by_digest(ollama: ChatServer, make_item: MakeItem) -> None:
    ollama.answer = fixes
    chat = OllamaChat(ollama_params())
    corrector = LanguageModelCorrector("ollama", chat, PROMPT)
    (proposal,) = corrector.propose([make_item("x", "no feeder")])
    assert proposal.text == "no fever"
    assert ollama.requests[0]["format"]["required"] == ["id"]
    assert ollama.requests[0]["options"]["temperature"] == 0.0
    assert chat.models() == ["llama3.1:8b", "llama3.2:3b"]
    assert OllamaChat(ollama_params(model="llama3.1:8b")).digest != chat.digest
    assert corrector.ledger.tokens_out == 20


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["openai", "ollama"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_now_and_then_loses_and_doubles_nothing(kind: str, fault: str, ollama: ChatServer, make_item: MakeItem) -> None:
    def first_time_of_every_fourth(number: int) -> str | None:
        asked = [question["id"] for question in ollama.questions[:number]]
        return fault if asked.count(asked[-1]) == 1 and len(set(asked)) % 4 == 1 else None

    ollama.answer, ollama.hang_s, ollama.fault = fixes, 0.7, first_time_of_every_fourth
    proposals = list(_corrector(kind, ollama).propose([make_item(f"{n}", "no feeder") for n in range(12)]))
    assert len(ollama.questions) >= 12 + 3
    assert sorted(int(proposal.id) for proposal in proposals) == list(range(12))
    assert {proposal.text for proposal in proposals} == {"no fever"}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["openai", "ollama"])
@pytest.mark.parametrize(
    ("fault", "why"), [("500", "no_answer"), ("malformed", "malformed_answer"), ("wrong id", "malformed_answer")]
)
def test_what_never_gets_a_good_answer_is_left_without_one(
    kind: str, fault: str, why: str, ollama: ChatServer, make_item: MakeItem
) -> None:
    corrector = _corrector(kind, ollama)
    ollama.fault = lambda number: fault if ollama.questions[number - 1]["id"] == "bad" else None
    proposals = {p.id: p for p in corrector.propose([make_item(name, "no feeder") for name in ("good", "bad")])}
    assert proposals["good"].text == "no feeder"
    assert (proposals["bad"].text, proposals["bad"].why) == (None, why)
    assert not proposals["bad"].lasting


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["openai", "ollama"])
def test_a_server_that_dies_in_the_middle_ends_the_work_and_gives_what_was_done(
    kind: str, make_item: MakeItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Proposal] = []
    with serving(ChatServer(unchanged)) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address)
        proposals = _corrector(kind, server).propose([make_item(f"{n}", "x") for n in range(40)])
        done += [next(proposals) for _ in range(5)]
        server.error = (500, "dying")
    with pytest.raises(GoldError, match="what was answered is kept"):
        done.extend(proposals)
    assert 5 <= len({proposal.id for proposal in done}) == len(done) < 40


@pytest.mark.usefixtures("quick")
def test_a_server_that_answers_nobody_any_more_ends_the_work(server: ChatServer, make_item: MakeItem) -> None:
    server.fault = lambda _number: "500"
    with pytest.raises(GoldError, match="no answer that can be used to 16 requests"):
        list(_corrector("openai", server).propose([make_item(f"{n}", "x") for n in range(60)]))


def test_the_allowance_is_never_exceeded_and_what_was_done_is_given(server: ChatServer, make_item: MakeItem) -> None:
    chat = OpenAIChat(openai_params(server, max_tokens=3000, concurrency=2))
    done = []
    with pytest.raises(GoldError, match=r"max_tokens allows 3000 tokens, \d+ are spent"):
        done.extend(LanguageModelCorrector("openai", chat, PROMPT).propose([make_item(f"{n}", "x") for n in range(60)]))
    assert done
    assert 120 * len(server.requests) <= 3000


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        ((401, '{"error": {"message": "Incorrect API key"}}'), "set OPENAI_API_KEY"),
        ((404, '{"error": {"message": "no such model"}}'), "attune llm models"),
        ((429, '{"error": {"message": "x", "code": "insufficient_quota"}}'), "nothing left to spend"),
        ((418, '{"error": {"message": "a teapot"}}'), "does not answer as an OpenAI-compatible server"),
    ],
)
def test_what_no_retry_mends_is_one_line_with_what_to_do(server: ChatServer, error: tuple[int, str], said: str) -> None:
    server.error = error
    with pytest.raises(GoldError, match=said) as caught:
        OpenAIChat(openai_params(server)).answer([QUESTION])
    assert "\n" not in str(caught.value)


def test_one_message_that_is_refused_does_not_end_the_others_and_costs_them_no_setting(
    server: ChatServer, make_item: MakeItem
) -> None:
    server.refusal = lambda question: "content_filter" if question["id"] == "bad" else None
    chat = OpenAIChat(openai_params(server, concurrency=1))
    names = ["a", "bad", "b"]
    proposals = {p.id: p for p in LanguageModelCorrector("openai", chat, PROMPT).propose([make_item(n, "x") for n in names])}
    assert (proposals["a"].text, proposals["b"].text) == ("x", "x")
    assert (proposals["bad"].text, proposals["bad"].why, proposals["bad"].lasting) == (None, "no_answer", False)
    assert "response_format" in server.requests[-1]


def test_a_server_that_does_not_count_tokens_is_held_to_the_allowance_too(server: ChatServer, make_item: MakeItem) -> None:
    server.counts = False
    chat = OpenAIChat(openai_params(server, max_tokens=3000, concurrency=1))
    with pytest.raises(GoldError, match="max_tokens"):
        list(LanguageModelCorrector("openai", chat, PROMPT).propose([make_item(f"{n}", "x") for n in range(60)]))
    assert len(server.requests) < 6


def test_who_stops_listening_waits_for_no_server(server: ChatServer, make_item: MakeItem) -> None:
    server.fault, server.hang_s = (lambda number: "timeout" if number > 1 else None), 20.0
    chat = OpenAIChat(openai_params(server, timeout_s=20.0))
    proposals = LanguageModelCorrector("openai", chat, PROMPT).propose([make_item(f"{n}", "x") for n in range(20)])
    next(proposals)
    begin_s = time.monotonic()
    proposals.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begin_s < 5


def test_a_key_with_a_line_break_is_taken_without_and_another_alphabet_is_refused(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret\n")
    OpenAIChat(openai_params(server)).answer([QUESTION])
    assert server.headers[0]["authorization"] == "Bearer secret"
    monkeypatch.setenv("OPENAI_API_KEY", "sécret")
    with pytest.raises(GoldError, match="OPENAI_API_KEY"):
        OpenAIChat(openai_params(server))


@pytest.mark.parametrize("host", ["http://[bad", "127.0.0.1:99999", "http://user:hunter2@[bad"])
def test_an_address_that_is_none_is_told_without_its_password(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    with pytest.raises(GoldError, match="OLLAMA_HOST is no address") as caught:
        OllamaChat(ollama_params())
    assert "hunter2" not in str(caught.value)


@pytest.mark.usefixtures("quick")
def test_a_reply_that_is_no_completion_is_no_answer(server: ChatServer) -> None:
    for body in ("[]", "{}", '"hello"', "<html>", '{"choices": []}', '{"a":' * 100_000):
        server.error = (200, body)
        with pytest.raises(NoAnswer):
            OpenAIChat(openai_params(server)).answer([QUESTION])


@pytest.mark.usefixtures("quick")
def test_no_server_at_all_fails_closed_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = ChatServer(unchanged, address="http://127.0.0.1:9")
    with pytest.raises(GoldError, match=r"no server answers at http://127\.0\.0\.1:9/v1 .* vllm serve"):
        OpenAIChat(openai_params(nowhere)).answer([QUESTION])
    monkeypatch.setenv("OLLAMA_HOST", nowhere.address)
    with pytest.raises(GoldError, match="ollama serve"):
        OllamaChat(ollama_params())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        ((500, '{"error": "write /root/.ollama: no space left on device"}'), "ollama rm"),
        ((404, "404 page not found"), "curl http"),
        ((200, "<html>It works!</html>"), "curl http"),
        ((200, '{"object": "list"}'), "curl http"),
        ((200, "[]"), "curl http"),
    ],
)
def test_each_failure_of_ollama_comes_with_the_command_that_mends_it(
    ollama: ChatServer, error: tuple[int, str], said: str
) -> None:
    ollama.error = error
    with pytest.raises(GoldError, match=said) as caught:
        OllamaChat(ollama_params())
    assert "\n" not in str(caught.value)


def test_a_model_that_ollama_does_not_have_comes_with_the_command_that_fetches_it(ollama: ChatServer) -> None:
    with pytest.raises(GoldError, match=r"ollama pull mistral:7b") as caught:
        OllamaChat(ollama_params(model="mistral:7b"))
    assert "llama3.2:3b" in str(caught.value)


def test_requests_run_at_the_same_time(server: ChatServer, make_item: MakeItem) -> None:
    server.latency_s = 0.2
    begin_s = time.monotonic()
    assert len(list(_corrector("openai", server).propose([make_item(f"{n}", "x") for n in range(16)]))) == 16
    assert time.monotonic() - begin_s < 0.2 * 16 / 2


def test_asking_with_some_chance_asks_for_another_draw(server: ChatServer, make_item: MakeItem) -> None:
    chat = OpenAIChat(openai_params(server))
    plain, other = (LanguageModelCorrector("openai", chat, PROMPT, chance) for chance in (0, 1000))
    assert plain.digest != other.digest
    assert list(other.propose([make_item("x", "x")]))
    assert (server.requests[0]["seed"], server.requests[0]["temperature"] > 0) == (1000, True)


def _corrector(kind: str, server: ChatServer) -> LanguageModelCorrector:
    chat = OpenAIChat(openai_params(server)) if kind == "openai" else OllamaChat(ollama_params())
    return LanguageModelCorrector(kind, chat, PROMPT)
