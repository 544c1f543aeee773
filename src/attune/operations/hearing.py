"""One model over a corpus as `params.model` asks: what the baseline, the evaluation and the release have in common."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from attune.checkpoints import Checkpoint, load_checkpoint
from attune.dataset import Sounds
from attune.devices import choose_device
from attune.errors import ModelError
from attune.export.conversion import convert, refusal
from attune.params import Engine, ModelParams, Params
from attune.recognizers.protocol import Recognizer
from attune.recognizers.registry import is_exported, open_recognizer, recognizer_of
from attune.recognizers.transcription import TranscriptionReport, transcribe_corpus
from attune.records import Hypothesis, Utterance
from attune.workcache import WorkCache


def hear(
    name: str | Path,
    utterances: Sequence[Utterance],
    sounds: Sounds,
    params: Params,
    cache: WorkCache,
    engine: Engine | None = None,
) -> tuple[list[Hypothesis], TranscriptionReport]:
    """What the model `name` (a hub name or a folder) hears, a hypothesis an utterance in the order given.

    Raises ModelError where the model cannot be opened, EnvironmentFault where memory does not suffice.
    """
    model = params.model if engine is None else params.model.model_copy(update={"engine": engine})
    recognizer = open_on_engine(str(name), model)
    return transcribe_corpus(
        recognizer, utterances, sounds, cache, model.batch_size, params.stt_baseline.nbest, params.stt_baseline.word_times
    )


def open_on_engine(name: str, params: ModelParams) -> Recognizer:
    """The recogniser called `name`, through the engine that `params` ask for; what is exported already stays as it is.

    Raises ModelError where it cannot be opened, or where CTranslate2 is asked for and would say other words.
    """
    if is_exported(name):
        return open_recognizer(name, params)
    checkpoint = load_checkpoint(name, params.revision if name == params.name else None)
    if not _converts(checkpoint, params):
        return recognizer_of(checkpoint, params)
    with tempfile.TemporaryDirectory(prefix="attune-") as folder:
        convert(checkpoint, name, "float32", Path(folder))
        return open_recognizer(folder, params, name)


def _converts(checkpoint: Checkpoint, params: ModelParams) -> bool:
    """Whether CTranslate2 is to be used. Its float32 says what transformers says, on a CPU in a third of the time."""
    if params.engine == "transformers":
        return False
    reason = refusal(checkpoint)
    if params.engine == "ctranslate2" and reason:
        raise ModelError(f"model.engine is ctranslate2, but: {reason}; set model.engine to auto")
    on_cpu = choose_device(params.device) == "cpu" and params.precision in ("auto", "float32")
    return params.engine == "ctranslate2" or (on_cpu and not reason)
