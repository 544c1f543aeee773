"""Word and character errors of texts against references: one `Score` an utterance, and pools of them.

Rates come from pooled counts only (`ErrorCounts.__add__`), never from a mean of rates. jiwer aligns; what counts as
the same words is `text.normalize`'s decision. Intervals around these numbers are in `significance`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import jiwer
from rapidfuzz.distance import Levenshtein

from attune.records import Edit, ErrorCounts, Score
from attune.text import normalize, units

_EXAMPLES = 3


@dataclass(frozen=True)
class Confusion:
    """A word of the reference that was heard as another one, and how often."""

    reference: str
    hypothesis: str
    count: int
    examples: tuple["Example", ...] = ()
    """The first few utterances in which it happened."""


@dataclass(frozen=True)
class Example:
    """An utterance with both of its texts."""

    id: str
    reference: str
    hypothesis: str


def score(utterance_id: str, reference: str, hypothesis: str) -> Score:
    """Counts the errors of `hypothesis` against `reference`, both normalised; the texts are kept as given.

    Without a word in the reference every hypothesis word is an insertion; without one in the hypothesis every
    reference word is a deletion; without any on either side there is no error. Spaces are characters, as in jiwer.
    """
    words, characters = count_errors([normalize(reference)], [normalize(hypothesis)])
    return Score(id=utterance_id, reference=reference, hypothesis=hypothesis, words=words, characters=characters)


def count_errors(spoken: Sequence[str], heard: Sequence[str]) -> tuple[ErrorCounts, ErrorCounts]:
    """Word and character errors pooled over texts, in pairs, that are compared as they stand."""
    words = _counts(jiwer.process_words(list(spoken), list(heard)))
    return words, _counts(jiwer.process_characters(list(spoken), list(heard)))


@dataclass(frozen=True)
class Normalizer:
    """Another notion than the project's own of what is the same text."""

    name: str
    version: str
    normalize: Callable[[str], str]


def kept_terms(term: str, reference: str, hypothesis: str) -> tuple[int, int]:
    """How often `term` stands in the reference, and how often the hypothesis has all of its words there.

    >>> kept_terms("blood sugar", "Blood sugar? My blood sugar!", "blood sugar my bled sugar")
    (2, 1)
    """
    wanted, spoken = normalize(term).split(), normalize(reference).split()
    starts = [n for n in range(len(spoken) - len(wanted) + 1) if wanted and spoken[n : n + len(wanted)] == wanted]
    kept = kept_words(reference, hypothesis) if starts else frozenset[int]()
    return len(starts), sum(kept.issuperset(range(n, n + len(wanted))) for n in starts)


def pool(scores: Iterable[Score]) -> tuple[ErrorCounts, ErrorCounts]:
    """The counts of all the words, and of all the characters, of `scores`."""
    words, characters = ErrorCounts(), ErrorCounts()
    for each in scores:
        words, characters = words + each.words, characters + each.characters
    return words, characters


def by(scores: Iterable[Score], key: Callable[[Score], str]) -> dict[str, list[Score]]:
    """The scores in slices that `key` names, slices in alphabetical order; pool each for its rate."""
    slices: dict[str, list[Score]] = {}
    for each in scores:
        slices.setdefault(key(each), []).append(each)
    return dict(sorted(slices.items()))


def kept_words(reference: str, hypothesis: str) -> frozenset[int]:
    """Which words of the reference, by their places, the hypothesis has right.

    >>> sorted(kept_words("take two tablets", "take too tablets"))
    [0, 2]
    """
    aligned = jiwer.process_words(normalize(reference), normalize(hypothesis))
    equal = (chunk for chunk in aligned.alignments[0] if chunk.type == "equal")
    return frozenset(place for chunk in equal for place in range(chunk.ref_start_idx, chunk.ref_end_idx))


def edits(heard: str, gold: str) -> tuple[Edit, ...]:
    """What must be changed in `heard` to get the words of `gold` (`text.units`); changes side by side are one.

    >>> edits("two tablet are red", "Too tablets red.")
    (Edit(at=0, heard='two tablet are', gold='too tablets'),)
    """
    before, after = units(heard), units(gold)
    found: list[Edit] = []
    matcher = Levenshtein.opcodes(before, after)
    for tag, left, left_end, right, right_end in ((o.tag, o.src_start, o.src_end, o.dest_start, o.dest_end) for o in matcher):
        if tag == "equal":
            continue
        edit = Edit(left, " ".join(before[left:left_end]), " ".join(after[right:right_end]))
        if found and found[-1].at + len(found[-1].heard.split()) == left:
            last = found.pop()
            edit = Edit(last.at, f"{last.heard} {edit.heard}".strip(), f"{last.gold} {edit.gold}".strip())
        found.append(edit)
    return tuple(found)


def confusions(scores: Iterable[Score]) -> list[Confusion]:
    """Every pair of words that was mistaken for each other, commonest first, then alphabetical."""
    counts, examples = Counter[tuple[str, str]](), dict[tuple[str, str], dict[str, Example]]()
    for each in scores:
        for pair in _substituted(each):
            counts[pair] += 1
            examples.setdefault(pair, {}).setdefault(each.id, Example(each.id, each.reference, each.hypothesis))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Confusion(*pair, count, tuple(islice(examples[pair].values(), _EXAMPLES))) for pair, count in ordered]


def misheard_words(scored: Score) -> set[str]:
    """The normalised words of the reference that the hypothesis has not, or has otherwise."""
    kept, spoken = kept_words(scored.reference, scored.hypothesis), normalize(scored.reference).split()
    return {word for place, word in enumerate(spoken) if place not in kept}


def _counts(aligned: jiwer.WordOutput | jiwer.CharacterOutput) -> ErrorCounts:
    length = aligned.hits + aligned.substitutions + aligned.deletions
    return ErrorCounts(aligned.substitutions, aligned.deletions, aligned.insertions, length)


def _substituted(scored: Score) -> list[tuple[str, str]]:
    aligned = jiwer.process_words(normalize(scored.reference), normalize(scored.hypothesis))
    spoken, heard = aligned.references[0], aligned.hypotheses[0]
    pairs: list[tuple[str, str]] = []
    for chunk in aligned.alignments[0]:
        if chunk.type == "substitute":
            left, right = slice(chunk.ref_start_idx, chunk.ref_end_idx), slice(chunk.hyp_start_idx, chunk.hyp_end_idx)
            pairs += zip(spoken[left], heard[right], strict=True)
    return pairs
