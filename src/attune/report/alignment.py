"""A hypothesis beside its reference, word by word, as HTML: errors are told by form and hidden words, not by colour alone."""

from collections.abc import Iterable, Iterator
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


def aligned_html(reference: str, hypothesis: str, most_words: int) -> str:
    """The hypothesis with what is wrong marked, so many words of it; all text escaped."""
    steps = align(reference, hypothesis)
    shown = [_marked(step) for step in _first(steps, most_words)]
    left = sum(map(_length, steps)) - most_words
    more = [f'<span class="none">(and {left} more words)</span>'] if left > 0 else []
    return " ".join([*shown, *more]) or '<span class="none">(nothing)</span>'


def _first(steps: Iterable[Step], most_words: int) -> Iterator[Step]:
    for step in steps:
        if most_words <= 0:
            return
        texts = (" ".join(text.split()[:most_words]) for text in (step.reference, step.hypothesis))
        most_words -= _length(step)
        yield Step(step.kind, *texts)


def _length(step: Step) -> int:
    return max(len(step.reference.split()), len(step.hypothesis.split()))


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
