"""A chat server on loopback for tests and benchmarks: OpenAI's chat completions, or Ollama's API, with faults on demand.

Shapes and error bodies are those that the services document: https://platform.openai.com/docs/api-reference/chat and
https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

Answer = Callable[[dict[str, Any]], str]
"""What the model says to a question, parsed from its JSON."""
Fault = Callable[[int], str | None]
"""The number of the request, from 1 → the name of a fault in FAULTS, or None."""
FAULTS = ("timeout", "429", "500", "cut", "malformed", "wrong id")
MODELS = {"llama3.2:3b": "a80c4f17acd5", "llama3.1:8b": "46e0c10c039e"}


@dataclass
class ChatServer:
    """What runs, and what it was asked so far."""

    answer: Answer
    fault: Fault = lambda _number: None
    latency_s: float = 0.0
    hang_s: float = 5.0
    refused: tuple[str, ...] = ()
    """Settings that the server does not know, as `response_format`."""
    error: tuple[int, str] | None = None
    """Status and body of every answer, in place of the real ones."""
    refusal: Callable[[dict[str, Any]], str | None] = lambda _question: None
    """What the server does not like about a question, for good."""
    counts: bool = True
    """Whether it tells how many tokens it took."""
    address: str = ""
    questions: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


def unchanged(question: dict[str, Any]) -> str:
    """The model that finds everything right."""
    return json.dumps({"id": question["id"], "unchanged": True})


@contextmanager
def serving(server: ChatServer, port: int = 0) -> Iterator[ChatServer]:
    """The server at work, on a free port if none is given; `address` says where."""
    handler = type("Handler", (_Handler,), {"chat": server})
    http = _Server(("127.0.0.1", port), handler)
    server.address = f"http://127.0.0.1:{http.server_address[1]}"
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    chat: ChatServer

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        if self.chat.error:
            self._send(self.chat.error[0], self.chat.error[1].encode())
        elif self.path.endswith("/models"):
            listed = [{"id": name, "object": "model", "created": 0, "owned_by": "tests"} for name in MODELS]
            self._json(200, {"object": "list", "data": listed})
        elif self.path == "/api/tags":
            models = [
                {"name": name, "model": name, "modified_at": "2026-11-01T00:00:00Z", "size": 2019393189, "digest": digest}
                for name, digest in MODELS.items()
            ]
            self._json(200, {"models": models})
        else:
            self._json(404, {"error": "404 page not found"})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = json.loads(request["messages"][-1]["content"])
        with self.chat.lock:
            self.chat.requests.append(request)
            self.chat.questions.append(question)
            self.chat.headers.append({name.lower(): value for name, value in self.headers.items()})
            number = len(self.chat.requests)
        time.sleep(self.chat.latency_s)
        unknown = next((name for name in self.chat.refused if name in request), None)
        if self.chat.error:
            self._send(self.chat.error[0], self.chat.error[1].encode())
        elif unknown:
            self._json(422, {"error": {"message": f"Unsupported fields: {unknown}", "type": "invalid_request_error"}})
        elif disliked := self.chat.refusal(question):
            self._json(400, {"error": {"message": disliked, "type": "invalid_request_error"}})
        elif request["model"] not in MODELS:
            self._missing(request["model"])
        else:
            self._answer(question, self.chat.fault(number))

    def _answer(self, question: dict[str, Any], fault: str | None) -> None:
        if fault == "timeout":
            time.sleep(self.chat.hang_s)
        if fault == "429":
            self._json(429, {"error": {"message": "Rate limit reached", "type": "requests"}}, {"Retry-After": "0"})
        elif fault == "500":
            self._json(500, {"error": {"message": "The server had an error", "type": "server_error"}})
        elif fault == "cut":
            self._send(200, json.dumps(self._reply(self.chat.answer(question))).encode(), cut=True)
        elif fault == "malformed":
            self._json(200, self._reply(self.chat.answer(question)[:-3]))
        elif fault == "wrong id":
            self._json(200, self._reply(self.chat.answer({**question, "id": "f" * 16})))
        else:
            self._json(200, self._reply(self.chat.answer(question)))

    def _reply(self, text: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        if self.path == "/api/chat":
            return {
                "model": "llama3.2:3b", "created_at": "2026-11-01T00:00:00Z", "message": message, "done": True,
                "done_reason": "stop", "total_duration": 1, "prompt_eval_count": 100, "eval_count": 20,
            }  # fmt: skip
        return {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "tests",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120} if self.chat.counts else None,
        }  # fmt: skip

    def _missing(self, model: str) -> None:
        if self.path == "/api/chat":
            self._json(404, {"error": f'model "{model}" not found, try pulling it first'})
        else:
            self._json(404, {"error": {"message": f"The model `{model}` does not exist", "code": "model_not_found"}})

    def _json(self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(content).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True
