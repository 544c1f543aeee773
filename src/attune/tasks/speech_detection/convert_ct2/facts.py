"""What a released detector says of where it comes from, for machines (release.json, params.yaml) and, in its card, for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attune.checkpoints import read_training_record
from attune.files import write_text
from attune.lineage import read_lineage
from attune.operations.base_cards import base_facts
from attune.operations.card_parts import CARD, table
from attune.operations.release_facts import RELEASE, SETTINGS, read_scores, write_release
from attune.params import Params

_HEADS = ("detector", "clips", "balanced accuracy", "accuracy", "F1 of SPEECH")


def write_detection_facts(finetuned: Path, evaluated: Path, export: Mapping[str, Any], params: Params, folder: Path) -> None:
    """Puts them beside the weights, and what they say at the end of the card. Raises DataError where nothing was evaluated."""
    record, scores, data = read_training_record(finetuned), read_scores(evaluated), dict(read_lineage(evaluated))
    base = base_facts(record.base, record.revision)
    told = {"data": data, "scores": scores, "exports": {"transformers": dict(export)}, "reason": export["reason"]}
    write_release(base, record, told, params, folder)
    card = folder / CARD
    parts = [
        card.read_text(encoding="utf-8").rstrip() if card.is_file() else f"# {base.name}, released as it is",
        "## Scores on held-out speakers and sources",
        table(_HEADS, [_row(who, of) for who, of in scores["detectors"].items()]),
        f"In brackets {scores['confidence']:.0%} intervals. The model before its export was tested.",
        "## Data version",
        table(("list", "SHA-256"), sorted(data.items())),
        f"utterances.jsonl names every sound. {RELEASE} has all this for machines, {SETTINGS} the settings.",
        "## Licence",
        f"That of the base: {base.licence or f'unknown: see {base.name}'}.",
    ]
    write_text(card, "\n\n".join(parts) + "\n")


def _row(who: str, score: Mapping[str, Any]) -> tuple[str, ...]:
    rates = (_rate(score, "balanced_accuracy"), _rate(score, "accuracy"), _rate(score, "f1"))
    return who, str(score["clips"]), *rates


def _rate(score: Mapping[str, Any], name: str) -> str:
    if score[name] is None:
        return "-"
    low, high = score.get(f"{name}_low"), score.get(f"{name}_high")
    return f"{score[name]:.2%}" + (f" ({low:.2%} to {high:.2%})" if low is not None and high is not None else "")
