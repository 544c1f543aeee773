"""Any server that speaks OpenAI's chat completions: vLLM, `transformers serve`, llama.cpp, TGI, OpenAI's own.

The client's own back-off (https://github.com/openai/openai-python#retries) handles time-outs, 429 and 5xx. The key comes from
OPENAI_API_KEY; servers of one's own need none.
"""

import math
import os
import time
import weakref
from collections.abc import Sequence
from threading import Lock
from typing import Any

from attune.correctors.chat import Message, NoAnswer, Reply
from attune.correctors.prompting import SCHEMA
from attune.errors import EnvironmentFault, GoldError
from attune.params import OpenAIParams
from attune.workcache import digest_of

_ANSWER_TOKENS = 512
_LATIN_ENDS = "\u0370"
_TRIES_TO_REACH, _PAUSE_S, _REACHED_WITHIN_S = 3, 1.0, 10.0
_SOME_CHANCE = 0.7
_OPTIONAL = ("response_format", "seed", "temperature", "max_tokens")
"""Settings that some servers refuse, in the order they are left out where the refusal names none."""


class Allowance:
    """How many tokens may be spent; those of messages on their way are put aside. Safe with several threads."""

    def __init__(self, most: int | None) -> None:
        self._most, self._spent, self._aside, self._lock = most, 0, 0, Lock()

    def put_aside(self, tokens: int) -> None:
        """Raises GoldError where so many are not left."""
        with self._lock:
            if self._most is not None and self._spent + self._aside + tokens > self._most:
                raise GoldError(
                    f"llm_gold.openai.max_tokens allows {self._most} tokens, {self._spent} are spent and "
                    f"{self._aside + tokens} might be needed next; what was answered is kept: "
                    "raise it in params.yaml (null: no limit) and run again"
                )
            self._aside += tokens

    def settle(self, aside: int, spent: int) -> None:
        """Counts what a message took in place of what was put aside for it."""
        with self._lock:
            self._aside -= aside
            self._spent += spent


class OpenAIChat:
    """See `Chat`."""

    batch, repeats = 1, False

    def __init__(self, params: OpenAIParams) -> None:
        """Asks nothing yet. Raises EnvironmentFault where the client is not installed."""
        self._openai = _client_library()
        self.model, self.concurrency = f"openai {params.model}", params.concurrency
        self.digest = digest_of("openai 1", params.base_url, params.model, _ANSWER_TOKENS)
        self._params, self._allowance, self._left_out = params, Allowance(params.max_tokens), set[str]()
        self._client = self._openai.OpenAI(
            base_url=params.base_url,
            api_key=_key(),
            timeout=params.timeout_s,
            max_retries=params.attempts - 1,
        )
        weakref.finalize(self, self._client.close)

    def answer(self, messages: Sequence[Message], *, chance: int = 0) -> list[Reply]:
        """See `Chat.answer`."""
        return [self._one(message, chance) for message in messages]

    def models(self) -> list[str]:
        """The names of the models that the server has. Raises GoldError where it cannot be asked."""
        try:
            return sorted(model.id for model in self._client.with_options(timeout=_REACHED_WITHIN_S).models.list())
        except (self._openai.APIError, ValueError, TypeError, AttributeError) as error:
            raise self._fault(error) from error

    def _one(self, message: Message, chance: int) -> Reply:
        aside = _tokens_at_most(message)
        self._allowance.put_aside(aside)
        spent = aside  # where the server does not tell, or broke off
        try:
            begin_s = time.monotonic()
            text, told = self._completed(message, chance)
            spent = sum(told) or aside
            return Reply(text, *told, time.monotonic() - begin_s)
        finally:
            self._allowance.settle(aside, spent)

    def _completed(self, message: Message, chance: int) -> tuple[str, tuple[int, int]]:
        """What the server said, and its tokens in and out; settings that it refuses are left out, from now on if that helps."""
        left_out = set(self._left_out)
        while True:
            try:
                done = self._client.chat.completions.create(**self._request(message, chance, left_out))
                self._left_out |= left_out
                return _content(done)
            except (self._openai.BadRequestError, self._openai.UnprocessableEntityError) as error:  # noqa: PERF203
                named = [name for name in _OPTIONAL if name not in left_out and name in str(error)]
                if left_out == set(_OPTIONAL):
                    raise NoAnswer(f"the server refuses it: {' '.join(str(error).split())[:160]}") from error
                left_out |= {named[0]} if named else set(_OPTIONAL)
            except self._openai.APITimeoutError as error:
                raise NoAnswer(f"no answer within {self._params.timeout_s:g} s") from error
            except self._openai.APIConnectionError as error:
                if not self._is_reached():
                    raise self._fault(error) from error
                raise NoAnswer("the connection broke off") from error
            except self._openai.RateLimitError as error:
                if error.code == "insufficient_quota":
                    raise self._fault(error) from error
                raise NoAnswer("too many requests") from error
            except self._openai.InternalServerError as error:
                raise NoAnswer(str(error)) from error
            except self._openai.APIError as error:
                raise self._fault(error) from error
            except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:  # no reply, as proxies send
                raise NoAnswer(f"what came back is no chat completion: {str(error)[:160]}") from error

    def _request(self, message: Message, chance: int, left_out: set[str]) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "response_format": {"type": "json_schema", "json_schema": {"name": "correction", "schema": SCHEMA}},
            "seed": chance,
            "temperature": _SOME_CHANCE if chance else 0.0,
            "max_tokens": _ANSWER_TOKENS,
        }
        limit = {"max_completion_tokens": _ANSWER_TOKENS} if "max_tokens" in left_out else {}
        conversation = [{"role": "system", "content": message.system}, {"role": "user", "content": message.user}]
        chosen = {name: value for name, value in wanted.items() if name not in left_out}
        return {"model": self._params.model, "messages": conversation, **chosen, **limit}

    def _is_reached(self) -> bool:
        for attempt in range(_TRIES_TO_REACH):
            time.sleep(_PAUSE_S if attempt else 0.0)
            try:
                self._client.with_options(timeout=_REACHED_WITHIN_S, max_retries=0).models.list()
            except self._openai.APIConnectionError:
                continue
            except (self._openai.APIError, ValueError, TypeError, AttributeError):
                return True
            return True
        return False

    def _fault(self, error: Exception) -> GoldError:
        """What keeps the server from answering anything, and what mends it."""
        url, model, said = self._params.base_url, self._params.model, " ".join(str(error).split())[:200]
        kept = "what was answered is kept"
        if isinstance(error, self._openai.APIConnectionError):
            return GoldError(
                f"no server answers at {url} (llm_gold.openai.base_url); start it, for example: vllm serve {model}, or correct "
                f"the address, and run again; {kept}"
            )
        if isinstance(error, self._openai.AuthenticationError | self._openai.PermissionDeniedError):
            return GoldError(f"{url} refuses the key ({said}); set OPENAI_API_KEY to one that may use {model}; {kept}")
        if isinstance(error, self._openai.NotFoundError):
            return GoldError(
                f"{url} has no model {model!r}, or no chat completions there ({said}); see what it has: attune llm models, and "
                f"correct llm_gold.openai.model or base_url (it mostly ends in /v1); {kept}"
            )
        if isinstance(error, self._openai.RateLimitError):
            return GoldError(f"the account at {url} has nothing left to spend ({said}); {kept}: add to it and run again")
        return GoldError(f"{url} does not answer as an OpenAI-compatible server would ({said}); correct llm_gold.openai.base_url")


def _content(done: Any) -> tuple[str, tuple[int, int]]:
    if isinstance(done, str):
        raise ValueError(f"text in place of JSON: {done[:80]!r}")
    usage = done.usage
    text = done.choices[0].message.content
    if not isinstance(text, str):
        raise ValueError(f"no text in {str(done)[:80]!r}")
    return text, (int(usage.prompt_tokens), int(usage.completion_tokens)) if usage else (0, 0)


def _tokens_at_most(message: Message) -> int:
    """Tokens that a message and its answer may take: half a one for each character, a whole one for those beyond Latin."""
    text = message.system + message.user
    return math.ceil(sum(0.5 if character < _LATIN_ENDS else 1.0 for character in text)) + _ANSWER_TOKENS


def _key() -> str:
    key = os.environ.get("OPENAI_API_KEY", "").strip() or "none"
    if not key.isascii() or not key.isprintable():
        raise GoldError("OPENAI_API_KEY has characters that no key has; set it anew, without quotation marks or line breaks")
    return key


def _client_library() -> Any:
    try:
        import openai
    except ImportError as error:
        raise EnvironmentFault("the package openai is missing; install it: pip install -c constraints.txt -e '.[llm]'") from error
    return openai
