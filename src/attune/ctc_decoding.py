"""Turns what a CTC model heard, frame by frame, into texts; it knows no model and no language.

Reading the same frames with a lexicon and a language model is `lexicon_decoding`'s work.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from attune.records import Alternative

_DOUBTFUL = 1e-4
"""A label less likely than this share of the frame's best one is not followed."""


@dataclass(frozen=True)
class CtcEmissions:
    """What a CTC model heard in one clip."""

    log_probs: NDArray[np.float32]
    """Natural logarithms, shape (frames, vocabulary)."""
    labels: tuple[str, ...]
    """The character of each vocabulary id; the word delimiter is a space, special tokens are empty."""
    blank: int
    frame_s: float


def text_log_prob(heard: CtcEmissions, text: str) -> float | None:
    """Log-probability of `text` over all of its alignments: the forward pass of Graves et al. (2006), "Connectionist Temporal
    Classification", section 4.1. None where a letter of it is in no vocabulary, in either case, or frames do not suffice.
    """
    number = {label: token for token, label in reversed(list(enumerate(heard.labels))) if label}
    letters = [number.get(c, number.get(c.upper(), number.get(c.lower()))) for c in text]
    known = [token for token in letters if token is not None]
    if len(known) < len(letters):
        return None
    path = np.full(2 * len(known) + 1, heard.blank)
    path[1::2] = known
    skips = np.zeros(len(path), dtype=bool)
    skips[3::2] = path[3::2] != path[1:-2:2]
    nowhere, reached = np.full(2, -np.inf), np.full(len(path), -np.inf)
    reached[:2] = 0.0 if not len(heard.log_probs) else heard.log_probs[0, path[:2]]
    for frame in heard.log_probs[1:]:
        before = np.concatenate((nowhere, reached))
        jumped = np.where(skips, before[: len(path)], -np.inf)
        reached = np.logaddexp(np.logaddexp(reached, before[1 : len(path) + 1]), jumped) + frame[path]
    total = float(np.logaddexp.reduce(reached[-2:]))
    return total if math.isfinite(total) else None


def prefix_beam_search(
    log_probs: NDArray[np.float32], labels: Sequence[str], blank: int, beam_width: int, count: int
) -> list[Alternative]:
    """At most `count` different texts, likeliest first, with their total log-probability over all alignments found.

    `log_probs` has shape (frames, vocabulary). Texts are stripped and hold single spaces. Without frames there is one
    text, the empty one. Prefix search after Graves, "Supervised Sequence Labelling with Recurrent Neural Networks"
    (2012), 7.5, in the frame-wise form of Hannun et al., arXiv:1408.2873, without a language model.
    """
    tree = _PrefixTree()
    beam: dict[int, tuple[float, float]] = {0: (1.0, 0.0)}
    log_scale = 0.0
    for blank_prob, followed in likely_labels(log_probs, labels, blank, _DOUBTFUL):
        grown = _grow(beam, blank_prob, followed, tree)
        kept = sorted(grown.items(), key=_total, reverse=True)[:beam_width]
        scale = _total(kept[0])
        log_scale += math.log(scale)
        beam = {node: (ended / scale, open_ / scale) for node, (ended, open_) in kept}
    texts: dict[str, float] = {}
    for node, (ended, open_) in beam.items():
        text = " ".join("".join(labels[token] for token in tree.tokens_to(node)).split())
        texts[text] = texts.get(text, 0.0) + ended + open_
    best = sorted(texts.items(), key=lambda entry: (-entry[1], entry[0]))[:count]
    return [Alternative(text, log_scale + math.log(mass)) for text, mass in best if mass > 0]


def likely_labels(
    log_probs: NDArray[np.float32], labels: Sequence[str], blank: int, doubtful: float
) -> list[tuple[float, list[tuple[int, float]]]]:
    """For each frame the blank's probability, and the (id, probability) of every label worth following.

    `doubtful` is the share of the frame's best probability below which a label is not followed. A frame in which only
    the blank is likely has nothing to follow and costs almost nothing. Special tokens are never followed.
    """
    if not len(log_probs):
        return []
    probs = np.exp(np.asarray(log_probs, dtype=np.float64))
    special = [index for index, label in enumerate(labels) if not label and index != blank]
    probs[:, special] = 0.0
    probs[:, blank] = np.maximum(probs[:, blank], np.finfo(np.float64).tiny)
    followed = probs > doubtful * probs.max(axis=1, keepdims=True)
    followed[:, blank] = False
    frames: list[list[tuple[int, float]]] = [[] for _ in probs]
    rows, ids = np.nonzero(followed)
    for row, index, prob in zip(rows.tolist(), ids.tolist(), probs[rows, ids].tolist(), strict=True):
        frames[row].append((index, prob))
    return list(zip(probs[:, blank].tolist(), frames, strict=True))


@dataclass
class _PrefixTree:
    """Label sequences as paths from node 0, so that a prefix is one number."""

    parents: list[int] = field(default_factory=lambda: [0])
    tokens: list[int] = field(default_factory=lambda: [-1])
    children: dict[tuple[int, int], int] = field(default_factory=dict)

    def child(self, node: int, token: int) -> int:
        found = self.children.get((node, token))
        if found is None:
            found = self.children[node, token] = len(self.parents)
            self.parents.append(node)
            self.tokens.append(token)
        return found

    def tokens_to(self, node: int) -> list[int]:
        path = []
        while node:
            path.append(self.tokens[node])
            node = self.parents[node]
        return path[::-1]


def _grow(
    beam: dict[int, tuple[float, float]], blank_prob: float, followed: list[tuple[int, float]], tree: _PrefixTree
) -> dict[int, tuple[float, float]]:
    """One frame on: each prefix with its probability of ending in a blank and of ending in its last label."""
    grown: dict[int, tuple[float, float]] = {}
    for node, (ended, open_) in beam.items():
        total, last = ended + open_, tree.tokens[node]
        was_ended, was_open = grown.get(node, (0.0, 0.0))
        grown[node] = (was_ended + total * blank_prob, was_open)
        for token, prob in followed:
            if token == last:
                was_ended, was_open = grown[node]
                grown[node] = (was_ended, was_open + open_ * prob)
            entering = (ended if token == last else total) * prob
            if entering > 0.0:
                child = tree.child(node, token)
                was_ended, was_open = grown.get(child, (0.0, 0.0))
                grown[child] = (was_ended, was_open + entering)
    return grown


def _total(entry: tuple[int, tuple[float, float]]) -> float:
    return entry[1][0] + entry[1][1]
