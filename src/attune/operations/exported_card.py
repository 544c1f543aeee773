"""The card of an exported model: that of the tuned one it was made from, which says what became of it at its top."""

import re
from pathlib import Path

from attune.checkpoints import read_training_record, tuned_place
from attune.files import write_text

_CARD, _CT2_WEIGHTS = "README.md", "model.bin"


def write_exported_card(tuned: Path, exported: Path, told: str) -> None:
    """Puts it beside the exported weights, with `told` at its top. A base that is released as it is has no card of ours."""
    method = read_training_record(tuned).method
    card = tuned / tuned_place(method) / _CARD if method != "none" else tuned / _CARD
    if not card.is_file():
        return
    _, head, body = card.read_text(encoding="utf-8").split("---\n", 2)
    library = "ctranslate2" if (exported / _CT2_WEIGHTS).is_file() else "transformers"
    front = re.sub(r"^library_name: .*$", f"library_name: {library}", head, flags=re.M)
    title, _, rest = body.lstrip().partition("\n")
    write_text(exported / _CARD, f"---\n{front}---\n\n{title}\n\nExported: {told}\n{rest}")
