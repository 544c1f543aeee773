"""Completes the folder of a released model: card, facts, licence and settings beside the weights, then the list of all files."""

from pathlib import Path

from attune.checksums import write_checksums
from attune.operations.exported_card import write_exported_card
from attune.operations.release_facts import facts_of, write_facts
from attune.operations.released import Release
from attune.params import Params


def seal(finetuned: Path, evaluated: Path, folder: Path, released: Release, params: Params) -> None:
    """Everything that goes out with the weights; nothing is to be changed in `folder` afterwards.

    Raises DataError where the evaluation left no scores.
    """
    facts = facts_of(finetuned, evaluated, released)
    write_facts(facts, params, folder)
    write_exported_card(finetuned, folder, facts)
    close(folder)


def close(folder: Path) -> None:
    """Lists all files, which others may read then: a served model is read by others."""
    write_checksums(folder)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
