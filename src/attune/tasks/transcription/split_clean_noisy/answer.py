"""The raw folder as a corpus of utterances with their transcripts."""

from pathlib import Path

from attune.intake import IntakeReport, plan_corpus, prepare_corpus
from attune.params import Params, SplitParams
from attune.soundcache import SoundCache
from attune.workcache import WorkCache


def prepare(raw: Path, prepared: Path, params: Params) -> IntakeReport:
    """See `intake.prepare_corpus`."""
    return prepare_corpus(raw, prepared, params.split_clean_noisy, WorkCache(), SoundCache())


def plan(raw: Path, params: SplitParams, cache: WorkCache, sounds: SoundCache) -> IntakeReport:
    """See `intake.plan_corpus`."""
    return plan_corpus(raw, params, cache, sounds)
