"""A hypothesis beside its reference, word by word, as HTML: errors are told by form and hidden words, not by colour alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Literal

import jiwer

from attune.text import normalize

Kind = Literal["equal", "substitute", "delete", "insert"]


@dataclass(frozen=True)
class Step:
    """Words of both sides that belong together; one side is empty where a word is missing or too many."""

    kind: Kind
    reference: str
    hypothesis: str


def align(reference: str, hypothesis: str) -> tuple[Step, ...]:
    """The steps from one text to the other, after normalisation; equal words side by side are one step.

    >>> [(step.kind, step.reference, step.hypothesis) for step in align("Take two tablets.", "take too tablets now")]
    [('equal', 'take', 'take'), ('substitute', 'two', 'too'), ('equal', 'tablets', 'tablets'), ('insert', '', 'now')]
    """
    return tuple(_steps(normalize(reference), normalize(hypothesis)))


def aligned_html(reference: str, hypothesis: str) -> str:
    """The hypothesis with what is wrong marked; all text escaped."""
    return " ".join(_marked(step) for step in align(reference, hypothesis)) or '<span class="none">(nothing)</span>'


def _steps(reference: str, hypothesis: str) -> Iterator[Step]:
    if not reference:
        yield from [Step("insert", "", hypothesis)] if hypothesis else []
        return
    if not hypothesis:
        yield Step("delete", reference, "")
        return
    aligned = jiwer.process_words(reference, hypothesis)
    spoken, heard = aligned.references[0], aligned.hypotheses[0]
    for chunk in aligned.alignments[0]:
        left, right = spoken[chunk.ref_start_idx : chunk.ref_end_idx], heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "substitute":
            yield from (Step("substitute", one, other) for one, other in zip(left, right, strict=True))
        else:
            kinds: dict[str, Kind] = {"equal": "equal", "delete": "delete", "insert": "insert"}
            yield Step(kinds[chunk.type], " ".join(left), " ".join(right))


def _marked(step: Step) -> str:
    said, heard = escape(step.reference), escape(step.hypothesis)
    if step.kind == "equal":
        return heard
    if step.kind == "delete":
        return f'<del><span class="vh">[missing: </span>{said}<span class="vh">]</span></del>'
    if step.kind == "insert":
        return f'<ins><span class="vh">[too many: </span>{heard}<span class="vh">]</span></ins>'
    return f'<span class="sub"><b>{heard}</b><span class="vh"> [instead of </span><s>{said}</s><span class="vh">]</span></span>'
