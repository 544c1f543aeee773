"""What the base model hears in a corpus, and how well, as the figures of `metrics/stt_baseline.json`."""

from collections.abc import Callable, Sequence
from typing import Any

from attune.records import Hypothesis, Utterance
from attune.scoring import pool, score

_Pair = tuple[Utterance, Hypothesis]


def metrics(utterances: Sequence[Utterance], hypotheses: Sequence[Hypothesis]) -> dict[str, Any]:
    """Counts, pooled WER and CER against references where they are known, and mean confidence: overall, by condition, by split.

    Rates are fractions, None where a slice has no reference. `hypotheses` are in the order of `utterances`.
    """
    pairs = list(zip(utterances, hypotheses, strict=True))
    return {
        **_figures(pairs),
        "by_condition": _by(pairs, lambda u: u.condition),
        "by_split": _by(pairs, lambda u: u.split),
    }


def sentence(figures: dict[str, Any]) -> str:
    """One line for people."""
    heard = f"{figures['utterances']} utterances heard with a mean confidence of {figures['mean_confidence'] or 0:.2f}"
    if figures["wer"] is None:
        return f"{heard}; none has a reference, so there is no WER."
    return (
        f"{heard}; WER {figures['wer']:.2%}, CER {figures['cer']:.2%} on the {figures['with_reference']} that have a reference."
    )


def _by(pairs: Sequence[_Pair], key: Callable[[Utterance], str]) -> dict[str, Any]:
    names = sorted({key(utterance) for utterance, _ in pairs})
    return {name: _figures([pair for pair in pairs if key(pair[0]) == name]) for name in names}


def _figures(pairs: Sequence[_Pair]) -> dict[str, Any]:
    scores = [score(u.id, u.reference, h.text) for u, h in pairs if u.reference is not None]
    words, characters = pool(scores)
    return {
        "utterances": len(pairs),
        "with_reference": len(scores),
        "reference_words": words.reference_length,
        "wer": words.rate if words.reference_length else None,
        "cer": characters.rate if characters.reference_length else None,
        "mean_confidence": sum(h.confidence for _, h in pairs) / len(pairs) if pairs else None,
        "empty_texts": sum(not h.text for _, h in pairs),
    }
