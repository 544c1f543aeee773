"""What the base model hears in a corpus, and how well, as the figures of `metrics/stt_baseline.json`."""

from collections.abc import Sequence
from typing import Any

from attune.records import Hypothesis, Utterance
from attune.scoring import pool, score

COLUMNS = (
    "slice", "value", "utterances", "with_reference", "reference_words", "wer", "cer", "mean_confidence", "empty_texts",
)  # fmt: skip
_Pair = tuple[Utterance, Hypothesis]


def metrics(utterances: Sequence[Utterance], hypotheses: Sequence[Hypothesis]) -> dict[str, Any]:
    """Counts, pooled WER and CER against references where they are known, mean confidence, and WER by condition; one level deep.

    Rates are fractions, None where there is no reference. `hypotheses` are in the order of `utterances`.
    """
    rows = slices(utterances, hypotheses)
    by_condition = {f"{row['value']}_wer": row["wer"] for row in rows if row["slice"] == "condition"}
    return {name: rows[0][name] for name in COLUMNS[2:]} | by_condition


def slices(utterances: Sequence[Utterance], hypotheses: Sequence[Hypothesis]) -> list[dict[str, Any]]:
    """The same figures as rows of a table: all first, then each condition and each split."""
    pairs = list(zip(utterances, hypotheses, strict=True))
    rows = [{"slice": "all", "value": "", **_figures(pairs)}]
    for name in ("condition", "split"):
        values = sorted({getattr(u, name) for u in utterances})
        groups = ((value, [p for p in pairs if getattr(p[0], name) == value]) for value in values)
        rows += [{"slice": name, "value": value, **_figures(group)} for value, group in groups]
    return rows


def sentence(figures: dict[str, Any]) -> str:
    """One line for people."""
    heard = f"{figures['utterances']} utterances heard with a mean confidence of {figures['mean_confidence'] or 0:.2f}"
    if figures["wer"] is None:
        return f"{heard}; none has a reference, so there is no WER."
    return (
        f"{heard}; WER {figures['wer']:.2%}, CER {figures['cer']:.2%} on the {figures['with_reference']} that have a reference."
    )


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
