"""How good are a corrector's answers where a person wrote down the truth, and the corrector did not see it?

Some transcribed training utterances are kept out of everything a corrector may read, and it is asked about them too.
Their gold stays the human text: this measures, it decides nothing.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from attune.correctors.protocol import Item
from attune.records import Gold, Utterance
from attune.scoring import kept_words, pool, score
from attune.text import normalize

_ONE_IN = 10
_MOST = 200


@dataclass(frozen=True)
class BlindCheck:
    """Word error rates on the accepted ones of `utterances` blind utterances; None where none was accepted."""

    utterances: int
    accepted: int
    coverage: float
    """The share that was accepted."""
    changed: int
    """Accepted ones whose text is not what the baseline heard."""
    precision_of_changes: float | None
    """The share of those that came closer to the reference, by word errors."""
    harm_rate: float | None
    """Words that the baseline had right in accepted texts, and gold has not, per word that it had right."""
    stt_wer: float | None
    """Of the baseline on the accepted ones."""
    gold_wer: float | None
    """Of the corrector's texts on the same ones."""
    stt_wer_all: float | None
    """Of the baseline on all of them, accepted or not."""


@dataclass(frozen=True)
class GateCheck:
    """What the gate would do to the blind sample, in which the corrector is asked about all."""

    utterances: int
    settled: int
    """Those whose text is believed without asking."""
    stt_wer: float | None
    """Of these texts."""
    gold_wer_if_asked: float | None
    """Of what the corrector and the guards make of the same ones; what was not accepted counts as heard."""


def blind_sample(utterances: Sequence[Utterance]) -> list[Utterance]:
    """About one in ten of the training utterances with a reference, 200 at most: chosen by a hash of the id, so that a
    grown corpus keeps its choice. A corrector must not have read their references."""
    eligible = [u for u in utterances if u.split == "train" and u.reference]
    return sorted((u for u in eligible if _draw(u.id) % _ONE_IN == 0), key=lambda u: (_draw(u.id), u.id))[:_MOST]


def check_blind(items: Sequence[Item], answers: Mapping[str, Gold]) -> BlindCheck:
    """Scores what the corrector and the guards made of `items`, which all have references."""
    believed = [(item, text) for item in items if (text := answers[item.utterance.id].text) is not None]
    changed = [(item, text) for item, text in believed if normalize(text) != normalize(item.hypothesis.text)]
    closer = sum(_errors(item, text) < _errors(item, item.hypothesis.text) for item, text in changed)
    right, harmed = 0, 0
    for item, text in believed:
        before, after = (kept_words(item.utterance.reference or "", said) for said in (item.hypothesis.text, text))
        right, harmed = right + len(before), harmed + len(before - after)
    return BlindCheck(
        utterances=len(items),
        accepted=len(believed),
        coverage=len(believed) / len(items),
        changed=len(changed),
        precision_of_changes=closer / len(changed) if changed else None,
        harm_rate=harmed / right if right else None,
        stt_wer=_wer([(item, item.hypothesis.text) for item, _ in believed]),
        gold_wer=_wer(believed),
        stt_wer_all=_wer([(item, item.hypothesis.text) for item in items]),
    )


def check_gate(items: Sequence[Item], settled: Collection[str], answers: Mapping[str, Gold]) -> GateCheck:
    """Scores what the gate let pass of `items`, which all have references, against what asking would have brought."""
    passed = [item for item in items if item.utterance.id in settled]
    asked = [(item, answers[item.utterance.id].text) for item in passed]
    return GateCheck(
        utterances=len(items),
        settled=len(passed),
        stt_wer=_wer([(item, item.hypothesis.text) for item in passed]),
        gold_wer_if_asked=_wer([(item, item.hypothesis.text if text is None else text) for item, text in asked]),
    )


def _errors(item: Item, text: str) -> int:
    return score("", item.utterance.reference or "", text).words.errors


def _wer(texts: Sequence[tuple[Item, str]]) -> float | None:
    words, _ = pool(score(item.utterance.id, item.utterance.reference or "", text) for item, text in texts)
    return words.rate if words.reference_length else None


def _draw(utterance_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"blind:{utterance_id}".encode()).digest()[:8], "big")
