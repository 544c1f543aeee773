"""Whether an exported model says what the tuned one says: the same clips, both texts, and how much WER the export costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from attune.errors import ParityError
from attune.params import ParityParams, Quantization
from attune.records import Hypothesis, Utterance
from attune.scoring import pool, score
from attune.text import normalize


@dataclass(frozen=True)
class Parity:
    """Two models on the same utterances; rates are fractions, the increase is in percentage points."""

    utterances: int
    measured_against: str
    """`references`, or `tuned` where nobody wrote one: then the tuned model's texts stand for the truth."""
    tuned_wer: float
    exported_wer: float
    wer_increase_points: float
    identical_texts: int
    """Utterances whose texts are the same after normalisation."""

    @property
    def identical_share(self) -> float:
        """Of all utterances."""
        return self.identical_texts / self.utterances


def parity_set(utterances: Sequence[Utterance], at_most: int) -> list[Utterance]:
    """What parity is measured on: validation first, then train, in an order without meaning; test only where there is no other.

    With a reference where any has one. A few words more or less in a small set would say nothing about an export.
    """
    usable = [u for u in utterances if u.split != "test"] or list(utterances)
    written = [u for u in usable if u.reference] or usable
    return sorted(written, key=lambda u: (u.split != "validation", u.id))[:at_most]


def compare(utterances: Sequence[Utterance], tuned: Sequence[Hypothesis], exported: Sequence[Hypothesis]) -> Parity:
    """The figures for hypotheses in the order of `utterances`. Nothing to compare is no parity: raises ParityError."""
    if not utterances:
        raise ParityError("there is no utterance to compare the exported with the tuned model on; run: dvc repro")
    pairs = list(zip(utterances, tuned, exported, strict=True))
    written = any(normalize(u.reference or "") for u in utterances)
    truths = [u.reference or "" if written else t.text for u, t, _ in pairs]
    before, _ = pool(score(t.id, truth, t.text) for truth, (_, t, _) in zip(truths, pairs, strict=True))
    after, _ = pool(score(e.id, truth, e.text) for truth, (_, _, e) in zip(truths, pairs, strict=True))
    words = max(1, before.reference_length)  # where the tuned model hears nothing at all, each inserted word counts as one
    return Parity(
        utterances=len(pairs),
        measured_against="references" if written else "tuned",
        tuned_wer=before.errors / words,
        exported_wer=after.errors / words,
        wer_increase_points=100 * (after.errors - before.errors) / words,
        identical_texts=sum(normalize(t.text) == normalize(e.text) for _, t, e in pairs),
    )


def breach(parity: Parity, limits: ParityParams, quantization: Quantization) -> str | None:
    """What to tell where an export costs more WER than allowed; None where it does not."""
    limit = limits.of(quantization)
    if parity.wer_increase_points <= limit:
        return None
    return (
        f"the exported {quantization} model makes {parity.wer_increase_points:.2f} points more WER than the tuned one "
        f"({parity.tuned_wer:.2%} -> {parity.exported_wer:.2%} on {parity.utterances} utterances, "
        f"{limit:g} allowed in convert_ct2.max_wer_increase_points.{quantization})"
    )
