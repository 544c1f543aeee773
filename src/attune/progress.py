"""Progress bars with an ETA on stderr, quiet enough for a log file."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The items, while a bar shows how many are done and when the rest will be; every 10 s where stderr is no terminal."""
    yield from tqdm(items, total=total, **_look(what))


@contextmanager
def meter(what: str, total_s: float) -> Iterator[Callable[[float], Any]]:
    """A bar over seconds of sound; what it gives is called with each stretch that is done."""
    with tqdm(total=round(total_s), unit="s", **_look(what)) as bar:
        yield lambda done_s: bar.update(min(round(done_s), bar.total - bar.n) if bar.total else round(done_s))


def write(text: str, *, err: bool = False) -> None:
    """Prints `text`, which ends its own lines, above a bar that may be there."""
    tqdm.write(text, file=sys.stderr if err else sys.stdout, end="")


def _look(what: str) -> dict[str, Any]:
    interval_s = 0.2 if sys.stderr.isatty() else 10.0
    return {"desc": what, "mininterval": interval_s, "dynamic_ncols": True, "file": sys.stderr}
