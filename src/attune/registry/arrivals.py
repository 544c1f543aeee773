"""Files are read as soon as they stand whole in a folder, while others still come: hashing costs no time of its own then."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fsspec import Callback

from attune.registry.stamps import FileState


class Arrivals(Callback):  # type: ignore[misc]
    """What DVC's copying tells after each file; it puts files into place in one step."""

    def __init__(self, folder: Path, paths: Iterable[str], read: Callable[[Path, str], FileState]) -> None:
        super().__init__()
        self._folder, self._read = folder, read
        self._waited_for, self._reading = set(paths), list[Future[FileState]]()
        self._pool = ThreadPoolExecutor()  # hashing large blocks does not hold other threads up

    def relative_update(self, inc: int = 1) -> Any:
        self._look()
        return super().relative_update(inc)

    def states(self) -> list[FileState]:
        """Of all that came, once nothing more will."""
        self._look()
        with self._pool:
            return [each.result() for each in self._reading]

    def _look(self) -> None:
        came = [path for path in self._waited_for if (self._folder / path).is_file()]
        self._waited_for -= {*came}
        self._reading += [self._pool.submit(self._read, self._folder, path) for path in came]
