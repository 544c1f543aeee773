"""When is a correction too far from what was heard to be believed? Pure bounds, each with its own name.

A guard is a function of the baseline's text, the proposed text and the bounds; it answers with the reason for refusing,
or None. A further guard is one more function in GUARDS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attune.params import GuardParams
from attune.scoring import score
from attune.text import normalize

Guard = Callable[[str, str, GuardParams], str | None]


@dataclass(frozen=True)
class Refusal:
    """Which guard refused a proposal, and why."""

    guard: str
    reason: str
    """A clause with the value seen and its bound."""


def refuse(baseline: str, proposal: str, params: GuardParams) -> Refusal | None:
    """The first refusal of `proposal` in the order of GUARDS; None where all of them let it pass."""
    for name, guard in GUARDS.items():
        if (reason := guard(baseline, proposal, params)) is not None:
            return Refusal(name, reason)
    return None


def empty(_baseline: str, proposal: str, _params: GuardParams) -> str | None:
    """Refuses a text without a word: there is nothing to learn from it."""
    return None if normalize(proposal) else "no word in it"


def edit_ratio(baseline: str, proposal: str, params: GuardParams) -> str | None:
    """Refuses more word edits per baseline word than the bound; an empty baseline counts as one word."""
    edits = score("", baseline, proposal).words
    ratio = edits.errors / max(1, edits.reference_length)
    return _above(ratio, params.max_edit_ratio, "word edits per baseline word")


def length_ratio(baseline: str, proposal: str, params: GuardParams) -> str | None:
    """Refuses texts of too different length: the longer over the shorter, in normalised characters, empty counts as one."""
    lengths = sorted(max(1, len(normalize(text))) for text in (baseline, proposal))
    return _above(lengths[1] / lengths[0], params.max_length_ratio, "times the shorter text's characters")


def doubt_reference(baseline: str, reference: str, params: GuardParams) -> str | None:
    """Why a human's text may not belong to its recording: it is too far from what was heard. No guard: people are believed."""
    longest = max(1, len(normalize(baseline)), len(normalize(reference)))
    edits = score("", reference, baseline).characters.errors
    return _above(edits / longest, params.max_reference_distance, "character edits per character from what was heard")


GUARDS: Mapping[str, Guard] = {"empty": empty, "edit_ratio": edit_ratio, "length_ratio": length_ratio}
"""Every guard by the name it is counted under, in the order they are asked."""


def _above(value: float, bound: float, what: str) -> str | None:
    return f"{value:.2f} {what}, bound {bound:g}" if value > bound else None
