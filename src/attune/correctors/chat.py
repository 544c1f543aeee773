"""A language model that answers messages, wherever it runs: in this process, or behind a server."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from queue import Queue
from threading import Event, Lock, Thread
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


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

    Where one fails, nothing more is begun, what runs is waited for and given, and then the failure is raised. Who stops
    listening, as by Ctrl-C, waits for nothing.
    """
    waiting, taking, stopped = iter(items), Lock(), Event()
    done = Queue[Future[R] | None]()  # None: a thread has nothing left to do

    def serve() -> None:
        while not stopped.is_set():
            with taking:
                some = list(islice(waiting, 1))
            if not some:
                break
            outcome = Future[R]()
            try:
                outcome.set_result(work(some[0]))
            except BaseException as error:  # noqa: BLE001 : raised again by who listens
                stopped.set()
                outcome.set_exception(error)
            done.put(outcome)
        done.put(None)

    for _ in range(threads):
        Thread(target=serve, daemon=True).start()
    failure, running = None, threads
    try:
        while running:
            outcome = done.get()
            if outcome is None:
                running -= 1
            elif error := outcome.exception():
                failure = failure or error
            else:
                yield outcome.result()
    finally:
        stopped.set()
    if failure is not None:
        raise failure
