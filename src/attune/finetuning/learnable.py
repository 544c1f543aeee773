"""Which of the selected utterances a model can learn, and what to do about the others."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from attune.errors import TrainingError
from attune.finetuning.families import Example, Family

_LOG = logging.getLogger(__name__)
_LONGER = "longer_than_window"
_ADVICE = {
    _LONGER: "cut recordings shorter (split_clean_noisy.cut_long_to_s), or give their transcripts as a list of pieces with times",
    "text_too_long": "give transcripts as a list of pieces with times",
    "text_longer_than_sound": "look whether transcripts belong to their recordings",
    "character_outside_vocabulary": "set train.vocabulary to map or extend",
    "language_unknown_to_model": "correct the column `language`, or take a model that knows it",
}


def learnable(examples: Sequence[Example], family: Family) -> tuple[list[Example], dict[str, str]]:
    """Those that `family` does not refuse, and a fixed word for why by the ids of the others.

    Raises TrainingError where none is left.
    """
    refusals = {e.id: family.refusal(e, family.labels(e.text, e.language)) for e in examples}
    kept, refused = [e for e in examples if refusals[e.id] is None], {name: why for name, why in refusals.items() if why}
    if not kept:
        raise TrainingError(_nothing(refused))
    return kept, refused


def within_window(examples: Sequence[Example], family: Family, what: str) -> list[Example]:
    """Those that the model hears whole; `what` they are is told of the others."""
    whole = [e for e in examples if family.refusal(e, family.labels(e.text)) != _LONGER]
    if len(whole) < len(examples):
        left_out = len(examples) - len(whole)
        _LOG.warning("%d of %d %s utterances are longer than the model's window, and left out.", left_out, len(examples), what)
    return whole


def counted(refused: Mapping[str, str]) -> dict[str, int]:
    """How many there are for each reason."""
    return dict(sorted(Counter(refused.values()).items()))


def _nothing(refused: Mapping[str, str]) -> str:
    reasons = counted(refused)
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    advice = "; ".join(_ADVICE[reason] for reason in reasons if reason in _ADVICE)
    return f"none of the {len(refused)} selected utterances can be trained on ({told}); {advice or 'select others'}"
