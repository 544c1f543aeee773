"""Whether a folder is whole by the digests that it carries: SHA256SUMS, as `sha256sum --check` reads it."""

import re
from pathlib import Path

from attune.errors import StorageError
from attune.files import file_digest

SUMS = "SHA256SUMS"
_LINE = re.compile(r"^([0-9a-f]{64})[ ][ *](.+)$")


def verify_folder(folder: Path) -> int:
    """How many files are what the folder says; 0 where it says nothing. Raises StorageError naming those that are not."""
    sums = folder / SUMS
    if not sums.is_file():
        return 0
    lines = [_LINE.match(line) for line in sums.read_text(encoding="utf-8").splitlines() if line]
    listed = {match[2]: match[1] for match in lines if match}
    wrong = [path for path, digest in sorted(listed.items()) if not _is(folder / path, digest)]
    if wrong or len(listed) < len(lines) or not listed:
        raise StorageError(
            f"{folder} is not what its {SUMS} says: {', '.join(wrong) or 'the list itself is damaged'}; fetch it anew"
        )
    return len(listed)


def _is(file: Path, digest: str) -> bool:
    return file.is_file() and file_digest(file) == digest
