"""Making what comes next while what came before is used."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], count: int) -> Iterator[T]:
    """The items in their order, made up to `count` ahead in a thread of their own; what making them raises is raised here."""
    source = ((item,) for item in items)
    with ThreadPoolExecutor(1) as maker:
        coming = deque(maker.submit(next, source, None) for _ in range(count))
        try:
            while (made := coming.popleft().result()) is not None:
                coming.append(maker.submit(next, source, None))
                yield made[0]
        finally:
            for each in coming:
                each.cancel()
