"""An error is an utterance whose text is not gold's, word for word."""

from collections.abc import Sequence
from pathlib import Path

from attune.dataset import read_utterances
from attune.params import Params
from attune.records import Gold, Hypothesis
from attune.selection import SelectionReport, select


def choose(prepared: Path, golds: Sequence[Gold], heard: Sequence[Hypothesis], params: Params) -> SelectionReport:
    """See `selection.select`."""
    return select(read_utterances(prepared), golds, heard, params.select_errors)
