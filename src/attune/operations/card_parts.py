"""What the cards of tuned and of exported models have in common."""

from collections.abc import Sequence

from attune.operations.base_cards import BaseFacts

CARD = "README.md"
TASK = "automatic-speech-recognition"
"""As the Hugging Face hub calls it."""


def card_head(base: BaseFacts, family: str) -> str:
    """Front matter of a base that is released as it is."""
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        base_model=base.hub_name,
        license=base.licence or "unknown",
        language=base.language,
        library_name="transformers",
        pipeline_tag=TASK,
        tags=[TASK, family, "attune"],
    )
    return str(data.to_yaml(line_break="\n")) + "\n"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """As Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
