"""Progress bars with an ETA on stderr, quiet enough for a log file."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The items, while a bar shows how many are done and when the rest will be; every 10 s where stderr is no terminal."""
    interval_s = 0.2 if sys.stderr.isatty() else 10.0
    yield from tqdm(items, desc=what, total=total, mininterval=interval_s, dynamic_ncols=True, file=sys.stderr)
