"""The user's glossary: the file, and how many of its terms a text has right."""

from pathlib import Path

from attune.errors import DataError


def read_glossary(path: Path) -> list[str]:
    """The lines of a glossary but for comments and empty ones. Raises DataError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"llm_gold.glossary {path} cannot be read as UTF-8 text ({error}); correct the path in params.yaml, or make "
            "an empty file"
        ) from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
