"""Is one system better than another, by the errors in stretches of speech that do not depend on each other? MAPSSWE.

L. Gillick and S. Cox, "Some statistical issues in the comparison of speech recognition algorithms", ICASSP 1989; as NIST's
sc_stats has it: a segment is a stretch in which either system errs, bounded by two or more words in a row that both have
right, or by the utterance. Alignments are jiwer's, whose ties may fall otherwise than NIST's.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import jiwer
import numpy as np
from scipy.special import ndtr

_GOOD_WORDS = 2


@dataclass(frozen=True)
class SegmentTest:
    """Of the mean difference of errors in a segment, base minus tuned; NaN where there are fewer than two segments."""

    segments: int
    mean: float
    z: float
    p_value: float
    """Two-sided; by the signs alone where all differences are the same."""


def matched_pairs(texts: Iterable[tuple[str, str, str]]) -> SegmentTest:
    """The test over (reference, base, tuned) of all utterances, texts normalised, words parted by spaces."""
    differences = np.array(
        [base - tuned for triple in texts for base, tuned in segments(*triple)],
        dtype=np.float64,
    )
    if len(differences) < 2:
        return SegmentTest(len(differences), *[float("nan")] * 3)
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if not spread:  # a normal approximation of no variance would be endlessly sure; the signs alone can be counted
        return SegmentTest(len(differences), mean, float("nan"), 2.0 ** (1 - len(differences)) if mean else 1.0)
    z = mean / (spread / math.sqrt(len(differences)))
    return SegmentTest(len(differences), mean, z, float(2 * ndtr(-abs(z))))


def segments(reference: str, base: str, tuned: str) -> list[tuple[int, int]]:
    """Errors of both systems in each segment of one utterance.

    >>> segments("a b c d e f", "x b c d e y", "a b c d e")
    [(1, 0), (1, 1)]
    """
    words = len(reference.split())
    errors = [_errors(reference, text, words) for text in (base, tuned)]
    found, current, good = list[tuple[int, int]](), (0, 0), 0
    for place, here in enumerate(zip(*errors, strict=True)):
        is_word = place % 2 == 1
        if here == (0, 0):
            good += is_word
            continue
        if good >= _GOOD_WORDS and current != (0, 0):
            found.append(current)
            current = (0, 0)
        current, good = (current[0] + here[0], current[1] + here[1]), 0
    return [*found, current] if current != (0, 0) else found


def _errors(reference: str, hypothesis: str, words: int) -> list[int]:
    """How many errors stand at each place: before the first word, on it, between it and the next, and so on."""
    places = [0] * (2 * words + 1)
    for chunk in jiwer.process_words(reference, hypothesis).alignments[0]:
        if chunk.type == "insert":
            places[2 * chunk.ref_start_idx] += chunk.hyp_end_idx - chunk.hyp_start_idx
        elif chunk.type != "equal":
            for word in range(chunk.ref_start_idx, chunk.ref_end_idx):
                places[2 * word + 1] += 1
    return places
