"""How good are a corrector's answers where a person wrote down the truth, and the corrector did not see it?

Some transcribed training utterances are kept out of everything a corrector may read, and it is asked about them too.
Their gold stays the human text: this measures, it decides nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attune.correctors.protocol import Item
from attune.records import Gold, Utterance
from attune.scoring import pool, score

_ONE_IN = 10
_MOST = 200


@dataclass(frozen=True)
class BlindCheck:
    """Word error rates on the accepted ones of `utterances` blind utterances; None where none was accepted."""

    utterances: int
    accepted: int
    changed: int
    """Accepted ones whose text is not what the baseline heard."""
    stt_wer: float | None
    """Of the baseline on the accepted ones."""
    gold_wer: float | None
    """Of the corrector's texts on the same ones."""
    stt_wer_all: float | None
    """Of the baseline on all of them, accepted or not."""


def blind_sample(utterances: Sequence[Utterance]) -> list[Utterance]:
    """About one in ten of the training utterances with a reference, 200 at most: chosen by a hash of the id, so that a
    grown corpus keeps its choice. A corrector must not have read their references."""
    eligible = [u for u in utterances if u.split == "train" and u.reference]
    return sorted((u for u in eligible if _draw(u.id) % _ONE_IN == 0), key=lambda u: (_draw(u.id), u.id))[:_MOST]


def check_blind(items: Sequence[Item], answers: Mapping[str, Gold]) -> BlindCheck:
    """Scores what the corrector and the guards made of `items`, which all have references."""
    accepted = [item for item in items if answers[item.utterance.id].text is not None]
    return BlindCheck(
        utterances=len(items),
        accepted=len(accepted),
        changed=sum(answers[item.utterance.id].source != "unchanged" for item in accepted),
        stt_wer=_wer([(item, item.hypothesis.text) for item in accepted]),
        gold_wer=_wer([(item, answers[item.utterance.id].text or "") for item in accepted]),
        stt_wer_all=_wer([(item, item.hypothesis.text) for item in items]),
    )


def _wer(texts: Sequence[tuple[Item, str]]) -> float | None:
    words, _ = pool(score(item.utterance.id, item.utterance.reference or "", text) for item, text in texts)
    return words.rate if words.reference_length else None


def _draw(utterance_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"blind:{utterance_id}".encode()).digest()[:8], "big")
