"""One model over a corpus as `params.model` asks: what the baseline, the evaluation and the release have in common."""

from collections.abc import Sequence
from pathlib import Path

from attune.dataset import Sounds
from attune.params import Params
from attune.recognizers.registry import open_recognizer
from attune.recognizers.transcription import TranscriptionReport, transcribe_corpus
from attune.records import Hypothesis, Utterance
from attune.workcache import WorkCache


def hear(
    name: str | Path, utterances: Sequence[Utterance], sounds: Sounds, params: Params, cache: WorkCache
) -> tuple[list[Hypothesis], TranscriptionReport]:
    """What the model `name` (a hub name or a folder) hears, a hypothesis an utterance in the order given.

    Raises ModelError where the model cannot be opened, EnvironmentFault where memory does not suffice.
    """
    recognizer = open_recognizer(str(name), params.model)
    return transcribe_corpus(recognizer, utterances, sounds, cache, params.model.batch_size, params.stt_baseline.nbest)
