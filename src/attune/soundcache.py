"""Sound that is never encoded or unpacked twice: a file for each digest, beside the work cache and as dispensable."""

import contextlib
import os
import tempfile
from pathlib import Path

from attune.errors import EnvironmentFault
from attune.workcache import default_cache_folder


class SoundCache:
    """Files of encoded sound by a digest. Several processes may use it at once."""

    def __init__(self, folder: Path | None = None) -> None:
        """In `folder`, or in `sounds` of the default cache folder."""
        self._folder = folder or default_cache_folder() / "sounds"

    def __contains__(self, digest: str) -> bool:
        """Whether it is there; who asks is going to use it, which is remembered for `attune cache prune`."""
        path = self.path(digest)
        try:
            os.utime(path)
            return path.stat().st_size > 0
        except OSError:
            return False

    def __getitem__(self, digest: str) -> bytes:
        """Raises EnvironmentFault where it is gone, as somebody cleared the cache in the meantime."""
        try:
            return self.path(digest).read_bytes()
        except OSError as error:
            lost = f"{self.path(digest)} of the work cache cannot be read ({error.strerror})"
            raise EnvironmentFault(f"{lost}; run it again") from error

    def put(self, digest: str, encoded: bytes) -> None:
        """Keeps `encoded`, whole or not at all. Raises OSError where it cannot be written."""
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(encoded)
            Path(draft).replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                Path(draft).unlink()

    @staticmethod
    def digest_of_path(path: Path) -> str:
        """The digest that the file at `path` stands for."""
        return path.parent.name + path.stem

    def path(self, digest: str) -> Path:
        """Where it stands, or would."""
        return self._folder / digest[:2] / f"{digest[2:]}.flac"
