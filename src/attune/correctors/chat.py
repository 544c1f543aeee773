"""A language model that answers messages, wherever it runs: in this process, or behind a server."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_WAITING = 2
"""So many times the running requests are handed out at once: none of the threads waits, and little is begun in vain."""


class NoAnswer(Exception):
    """The server is there, but gave no answer to this request, however often it was asked."""


@dataclass(frozen=True)
class Message:
    """What is asked: the instructions, and the question."""

    system: str
    user: str


@dataclass(frozen=True)
class Reply:
    """What was answered, and what it took."""

    text: str
    tokens_in: int
    tokens_out: int
    seconds: float


class Chat(Protocol):
    """A language model."""

    model: str
    """What it is, for people: `ollama llama3.2:3b`."""
    digest: str
    """Changes whenever its answers may."""
    concurrency: int
    """How many calls it takes at the same time."""
    batch: int
    """How many messages one call takes."""
    repeats: bool
    """Whether it says the same each time it is asked the same: then asking again is in vain."""

    def answer(self, messages: Sequence[Message], *, chance: int = 0) -> list[Reply]:
        """A reply for each message, in their order: the likeliest one, or with another `chance` another draw.

        Raises NoAnswer, or GoldError where nothing more can come of it: server gone, model missing, allowance spent.
        """
        ...


@dataclass
class Ledger:
    """What a language model was asked so far, and what it took. Safe with several threads."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: list[float] = field(default_factory=list)
    """Of each reply."""
    _lock: Lock = field(default_factory=Lock)

    def enter(self, replies: Sequence[Reply]) -> None:
        """Adds what these took."""
        with self._lock:
            self.calls += len(replies)
            self.tokens_in += sum(reply.tokens_in for reply in replies)
            self.tokens_out += sum(reply.tokens_out for reply in replies)
            self.seconds += [reply.seconds for reply in replies]


def in_threads(work: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """The results of `work` as they are done, `threads` at a time.

    Where one fails, nothing more is begun, what runs is waited for and given, and then the failure is raised.
    """
    waiting, running = iter(items), set[Future[R]]()
    failure: BaseException | None = None
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                while failure is None and len(running) < threads * _WAITING and (item := next(waiting, None)) is not None:
                    running.add(pool.submit(work, item))
                if not running:
                    break
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    if future.cancelled():
                        continue
                    if error := future.exception():
                        failure = failure or error
                        for other in running:
                            other.cancel()
                    else:
                        yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    if failure is not None:
        raise failure
