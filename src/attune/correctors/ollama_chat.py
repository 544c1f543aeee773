"""Models that Ollama serves, on this machine or where OLLAMA_HOST says.

Its four usual failures each get the command that mends it: server down, model not pulled, something else on that port, disk full.
"""

import os
import re
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from attune.correctors.chat import Message, NoAnswer, Reply
from attune.correctors.prompting import SCHEMA
from attune.errors import EnvironmentFault, GoldError
from attune.params import OllamaParams
from attune.workcache import digest_of

T = TypeVar("T")

_ANSWER_TOKENS = 512
_SOME_CHANCE = 0.7
_DEFAULT_HOST = "http://localhost:11434"
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE_S = 20.0


class OllamaChat:
    """See `Chat`."""

    batch, repeats = 1, False

    def __init__(self, params: OllamaParams, *, need_model: bool = True) -> None:
        """Asks the server what it has, and whether the model is among it.

        Raises GoldError with the command that mends what is wrong, EnvironmentFault where the client is not installed.
        """
        self._ollama = _client_library()
        self._params, self.concurrency, self.model = params, params.concurrency, f"ollama {params.model}"
        address = os.environ.get("OLLAMA_HOST") or _DEFAULT_HOST
        self.host = re.sub(r"//[^/@]*@", "//", address)  # without a password: people read it
        try:
            self._client = self._ollama.Client(timeout=params.timeout_s)
        except (ValueError, TypeError) as error:
            raise GoldError(f"OLLAMA_HOST is no address: {self.host!r}; set it as in {_DEFAULT_HOST}") from error
        weakref.finalize(self, self._client.close)
        digests = self._listed()
        wanted = params.model if ":" in params.model else f"{params.model}:latest"
        if need_model and wanted not in digests:
            raise self._missing(sorted(digests))
        self.digest = digest_of("ollama 1", wanted, digests.get(wanted), _ANSWER_TOKENS)

    def answer(self, messages: Sequence[Message], *, chance: int = 0) -> list[Reply]:
        """See `Chat.answer`."""
        return [self._one(message, chance) for message in messages]

    def models(self) -> list[str]:
        """The names of the models that the server has. Raises GoldError where it cannot be asked."""
        return sorted(self._listed())

    def _listed(self) -> Mapping[str, str]:
        """Digest of each model, by name."""
        try:
            listed = self._patiently(self._client.list)
        except NoAnswer as error:
            raise self._wrong_port(error) from error
        return {str(each.model): str(each.digest or "") for each in listed.models}

    def _one(self, message: Message, chance: int) -> Reply:
        conversation = [{"role": "system", "content": message.system}, {"role": "user", "content": message.user}]
        options = {"temperature": _SOME_CHANCE if chance else 0.0, "seed": chance, "num_predict": _ANSWER_TOKENS}
        begin_s = time.monotonic()
        done = self._patiently(
            lambda: self._client.chat(model=self._params.model, messages=conversation, format=SCHEMA, options=options)
        )
        taken = time.monotonic() - begin_s
        return Reply(done.message.content or "", done.prompt_eval_count or 0, done.eval_count or 0, taken)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """What `ask` gives, asked again after growing pauses where the server is busy or stumbles."""
        from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

        patience = Retrying(
            retry=retry_if_exception_type(NoAnswer),
            stop=stop_after_attempt(self._params.attempts),
            wait=wait_random_exponential(multiplier=0.5, max=_LONGEST_PAUSE_S),
        )
        try:
            found: T = patience(self._asked, ask)
        except RetryError as error:
            raise error.last_attempt.exception() or error from error
        return found

    def _asked(self, ask: Callable[[], T]) -> T:
        """What `ask` gives; NoAnswer for what may pass, GoldError for what does not."""
        import httpx

        try:
            return ask()
        except self._ollama.ResponseError as error:
            raise self._said(error) from error
        except httpx.ConnectError as error:
            raise self._down() from error
        except ConnectionError as error:  # what the client makes of it
            raise self._down() from error
        except (httpx.TimeoutException, httpx.TransportError) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            raise NoAnswer(f"what came back is no reply of Ollama's: {' '.join(str(error).split())[:120]}") from error

    def _said(self, error: Any) -> Exception:
        said = " ".join(str(error.error).split())[:200]
        if "no space left" in said.lower() or "not enough disk" in said.lower():
            return GoldError(
                f"Ollama at {self.host} has no disk space left ({said}); remove models that you do not need: ollama rm NAME "
                "(ollama list shows them), or move them to another disk: OLLAMA_MODELS=/path ollama serve"
            )
        if error.status_code == 404 and "model" in said.lower():
            return self._missing([])
        if error.status_code in _PASSING:
            return NoAnswer(said)
        return self._wrong_port(error)

    def _down(self) -> GoldError:
        return GoldError(
            f"no Ollama server answers at {self.host}; start it: ollama serve (or set OLLAMA_HOST to where it is), and run "
            "again; what was answered is kept"
        )

    def _missing(self, here: Sequence[str]) -> GoldError:
        others = f"; it has {', '.join(here[:8])}" if here else ""
        return GoldError(
            f"Ollama at {self.host} does not have llm_gold.ollama.model {self._params.model!r}{others}; fetch it: "
            f"ollama pull {self._params.model}"
        )

    def _wrong_port(self, error: Exception) -> GoldError:
        said = " ".join(str(error).split())[:160]
        return GoldError(
            f"what answers at {self.host} is no Ollama server, or it is out of order ({said}); see what listens there: "
            f"curl {self.host}/api/version, and set OLLAMA_HOST to Ollama's address, by default {_DEFAULT_HOST}"
        )


def _client_library() -> Any:
    try:
        import ollama
    except ImportError as error:
        raise EnvironmentFault("the package ollama is missing; install it: pip install -c constraints.txt -e '.[llm]'") from error
    return ollama
