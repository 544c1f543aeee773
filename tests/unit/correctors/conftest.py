"""Utterances and hypotheses by the handful, with everything that a test does not care about filled in."""

import hashlib
from collections.abc import Callable

import pytest

from attune.correctors.protocol import Item
from attune.records import Alternative, Hypothesis, Split, Utterance


@pytest.fixture
def make_item() -> Callable[..., Item]:
    """An utterance and what was heard in it; `also` are the further alternatives of the n-best list."""

    def make(name: str, heard: str, reference: str | None = None, split: Split = "train", also: tuple[str, ...] = ()) -> Item:
        digest = hashlib.sha256(name.encode()).hexdigest()
        utterance = Utterance(name, digest, f"clean/{name}.wav", f"speaker-{name}", "clean", split, 1.5, 30.0, reference)
        nbest = tuple(Alternative(text, -float(place)) for place, text in enumerate((heard, *also)))
        return Item(utterance, Hypothesis(name, heard, 0.5, (), nbest))

    return make
