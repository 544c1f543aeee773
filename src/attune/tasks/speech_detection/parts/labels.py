"""The two labels: what a clip is called, in lists, in folders, and by the model."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from attune.errors import DataError
from attune.records import Hypothesis, Utterance

SPEECH, NONSPEECH = "SPEECH", "NONSPEECH"
LABELS = (SPEECH, NONSPEECH)
LABEL = "label"
"""The column of lists."""
_NAMED = 8
_LEAST_DOUBT = 1e-4
_MOST_NATS = 700.0
"""Its exponential is a number yet."""


def labels_of(utterances: Sequence[Utterance]) -> list[str | None]:
    """SPEECH or NONSPEECH for each: what its list says, else the folder `speech` or `nonspeech` that it lies below; None where
    neither does.

    Capitals do not matter. Raises DataError naming each other label with its count, and where no clip has any.
    """
    told = [utterance.tags.get(LABEL) or _of_folder(utterance.source) for utterance in utterances]
    strange = Counter(label for label in told if label and label.upper() not in LABELS)
    if strange:
        named = ", ".join(f"{label!r} {count} times" for label, count in strange.most_common(_NAMED))
        more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        raise DataError(
            f"labels must be SPEECH or NONSPEECH, and {sum(strange.values())} of {len(told)} clips have others: {named}{more}; "
            f"correct the column {LABEL} of your list"
        )
    if not any(told):
        raise DataError(
            f"none of the {len(told)} clips has a label; give metadata.csv a column {LABEL} with SPEECH or NONSPEECH, or put the "
            "clips into folders called speech and nonspeech"
        )
    return [label.upper() if label else None for label in told]


def require_both(labels: Iterable[str], where: str) -> None:
    """Raises DataError where one class is missing: with one class every answer is right, and nothing can be learnt."""
    counts = Counter(labels)
    missing = [label for label in LABELS if not counts[label]]
    if missing:
        there = ", ".join(f"{count} {label}" for label, count in counts.items()) or "nothing"
        raise DataError(
            f"{where} has no {' and no '.join(missing)} clips (it has {there}); bring both classes, from several speakers and "
            "sources each, and name who or what is heard in a column `speaker`: attune data cross makes such clips"
        )


def speech_probability(heard: Hypothesis) -> float:
    """P(SPEECH) of what a detector heard, on the side of 0.5 that its label says.

    It comes from the log-probabilities of both labels where these are known: of two clips of which the model is sure it tells the
    surer one, where probabilities of four digits are 1 for both.
    """
    said = {each.text: each.score for each in heard.alternatives}
    if said.keys() >= set(LABELS):
        speech = 1.0 / (1.0 + math.exp(min(said[NONSPEECH] - said[SPEECH], _MOST_NATS)))
    else:
        speech = 1.0 - (heard.no_speech if heard.no_speech is not None else 1.0)
    return max(speech, 0.5) if heard.text == SPEECH else min(speech, 0.5 - _LEAST_DOUBT)


def is_speech(label: str) -> bool:
    """Whether somebody speaks, by the label."""
    return label == SPEECH


def _of_folder(source: str) -> str | None:
    folders = [folder.upper() for folder in source.split("/")[:-1]]
    found = [folder for folder in folders if folder in LABELS]
    return found[-1] if found else None
