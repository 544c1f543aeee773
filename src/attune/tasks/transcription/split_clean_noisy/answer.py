"""The raw folder as a corpus of utterances with their transcripts."""

from pathlib import Path

from attune.intake import IntakeReport, prepare_corpus
from attune.params import Params
from attune.soundcache import SoundCache
from attune.workcache import WorkCache


def prepare(raw: Path, prepared: Path, params: Params) -> IntakeReport:
    """See `intake.prepare_corpus`."""
    return prepare_corpus(raw, prepared, params.split_clean_noisy, WorkCache(), SoundCache())
