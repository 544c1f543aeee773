"""One model over a corpus as `params.model` asks: what the baseline, the evaluation and the release have in common."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from attune.checkpoint_files import files_digest
from attune.checkpoints import Outline, load_checkpoint, outline
from attune.devices import choose_device, choose_dtype, peak_memory_mb, quick_in_bfloat16, reuse_freed_memory
from attune.errors import ModelError
from attune.export.conversion import convert, refusal
from attune.files import write_text
from attune.operations.caching import CONVERTED, drop_model, is_whole, sum_of
from attune.operations.choosing import Choice, Clips, Way, choose
from attune.params import GREEDY, Engine, ModelParams, Params
from attune.recognizers.ct2 import exported_family
from attune.recognizers.protocol import Recognizer
from attune.recognizers.registry import default_batch_s, exported_engine, is_exported, open_recognizer, recognizer_of
from attune.recognizers.transcription import SoundSource, TranscriptionReport, transcribe_corpus
from attune.records import Hypothesis, Utterance
from attune.workcache import WorkCache, default_cache_folder, digest_of


def hear(
    name: str | Path,
    utterances: Sequence[Utterance],
    sounds: SoundSource,
    params: Params,
    cache: WorkCache,
    *,
    nbest: int = 1,
    word_times: bool = False,
    engine: Engine | None = None,
    choice: Choice | None = None,
) -> tuple[list[Hypothesis], TranscriptionReport]:
    """What the model `name` (a hub name or a folder) hears, a hypothesis an utterance in the order given; by `choice`, if given.

    Raises ModelError where the model cannot be opened, EnvironmentFault where memory does not suffice.
    """
    model = params.model if engine is None else params.model.model_copy(update={"engine": engine})
    choice = choice or choose_way(str(name), model, Clips(utterances, sounds, nbest, word_times), cache)
    recognizer = open_as(str(name), model, choice.way)
    heard, report = transcribe_corpus(recognizer, utterances, sounds, cache, choice.way.batch_s, nbest, word_times)
    return heard, replace(report, way=str(choice.way), why=choice.why, peak_memory_mb=peak_memory_mb(choose_device(model.device)))


def choose_way(name: str, params: ModelParams, clips: Clips, cache: WorkCache) -> Choice:
    """How `name` is to be heard here: as `params` say, and where they say auto, as trying on some of the clips tells.

    Raises ModelError where it cannot be opened.
    """
    told = None if is_exported(name) else _outline(name, params)
    usual, device = _usual(name, params, told), choose_device(params.device)
    if told is None or params.engine != "auto" or params.precision != "auto" or not clips.utterances:
        return Choice(usual, "")
    reference = Way("transformers", "float32", usual.batch_s / 4)
    if device == "cpu":  # some cores compute in bfloat16 many times as fast, if with much at once; others never do
        sizes_s = (reference.batch_s, usual.batch_s, 4 * usual.batch_s) if quick_in_bfloat16(device) else ()
        half = [Way("transformers", "bfloat16", batch_s) for batch_s in sizes_s]
    else:
        half = [replace(reference, compute_type=kind) for kind in ("bfloat16", "float16")]
    ways = [reference, usual, reference, *half]
    if refusal(told.family, told.config) is None:
        ways += [Way("ctranslate2", kind, usual.batch_s) for kind in _computed_in(device)]
    plain = params.model_copy(update={"safeguards": GREEDY})
    return choose(ways, lambda way: open_as(name, plain, way), told, device, clips, cache, batches=params.batch_s is None)


def open_on_engine(name: str, params: ModelParams) -> Recognizer:
    """The recogniser called `name`, in the way that `params` ask for, without trying others; what is exported stays as it is.

    Raises ModelError where it cannot be opened, or where CTranslate2 is asked for and would say other words.
    """
    return open_as(name, params, _usual(name, params, None if is_exported(name) else _outline(name, params)))


def open_as(name: str, params: ModelParams, way: Way) -> Recognizer:
    """The recogniser called `name`, run in that way. Raises ModelError or EnvironmentFault."""
    if choose_device(params.device) == "cpu":
        reuse_freed_memory()
    params = params.model_copy(update={"batch_s": way.batch_s})
    if is_exported(name):
        return open_recognizer(name, params)
    if way.engine == "transformers":
        checkpoint = load_checkpoint(name, _revision(name, params), params.language)
        return recognizer_of(checkpoint, params.model_copy(update={"precision": way.compute_type}))
    return open_recognizer(str(_converted(name, params)), params, name, way.compute_type)


def _usual(name: str, params: ModelParams, told: Outline | None) -> Way:
    """What `params` ask for; where they leave it open, CTranslate2 in float32 on a CPU, transformers in its own way on a GPU."""
    device = choose_device(params.device)
    batch_s = params.batch_s or default_batch_s(device, told.family if told else exported_family(Path(name)))
    dtype = str(choose_dtype(params.precision, device)).split(".")[-1]
    if told is None:
        return Way(exported_engine(name) or "ctranslate2", "as stored", batch_s)
    reason = refusal(told.family, told.config)
    if params.engine == "ctranslate2" and reason:
        raise ModelError(f"model.engine is ctranslate2, but: {reason}; set model.engine to auto")
    if params.engine == "ctranslate2" and params.precision != "auto" and dtype not in _computed_in(device):
        raise ModelError(f"model.precision is {dtype}, which CTranslate2 does not compute in here; set it to auto")
    if params.engine == "ctranslate2" or (params.engine == "auto" and device == "cpu" and dtype == "float32" and not reason):
        return Way("ctranslate2", dtype, batch_s)
    return Way("transformers", dtype, batch_s)


def _computed_in(device: str) -> list[str]:
    import ctranslate2

    supported = ctranslate2.get_supported_compute_types(device)
    wanted = ("float32", "int8_float32", "bfloat16") if device == "cpu" else ("float16", "int8_float16", "bfloat16", "float32")
    return [kind for kind in wanted if kind in supported]


def _converted(name: str, params: ModelParams) -> Path:
    """The model in CTranslate2's form and float32, which it computes in anything from; made once, kept beside the work cache."""
    import ctranslate2

    key = digest_of("float32", _outline(name, params).digest, ctranslate2.__version__)
    folder = default_cache_folder() / CONVERTED / key
    if is_whole(folder):
        os.utime(folder)  # used again: see `attune cache prune`
        return folder
    if folder.exists():  # else another process may just be writing its digest
        drop_model(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".", ignore_cleanup_errors=True) as draft:
        made = Path(draft) / key
        convert(load_checkpoint(name, _revision(name, params), params.language), name, "float32", made)
        write_text(sum_of(folder), files_digest(made))
        try:
            made.rename(folder)
        except OSError:
            if not is_whole(folder):  # else another process was quicker
                raise
    return folder


def _outline(name: str, params: ModelParams) -> Outline:
    return outline(name, _revision(name, params), params.language)


def _revision(name: str, params: ModelParams) -> str | None:
    return params.revision if name == params.name else None
