"""How far do the baseline and gold agree where nobody wrote down the truth? Never accuracy: two machines may agree and err."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attune.correctors.protocol import Item
from attune.records import Gold
from attune.scoring import pool, score


@dataclass(frozen=True)
class AgreementCheck:
    """Of `utterances` without a human text; rates are None where none has gold."""

    utterances: int
    with_gold: int
    same_text_share: float | None
    """The share of those with gold whose words are those that the baseline heard."""
    word_disagreement: float | None
    """Word edits between both, per word of gold; pooled."""


def check_agreement(items: Sequence[Item], answers: Mapping[str, Gold]) -> AgreementCheck:
    """Compares what was heard in `items` with what the corrector and the guards made of it."""
    believed = [(item, text) for item in items if (text := answers[item.utterance.id].text) is not None]
    scores = [score(item.utterance.id, text, item.hypothesis.text) for item, text in believed]
    words, _ = pool(scores)
    return AgreementCheck(
        utterances=len(items),
        with_gold=len(believed),
        same_text_share=sum(not each.words.errors for each in scores) / len(scores) if scores else None,
        word_disagreement=words.rate if words.reference_length else None,
    )
