"""The one place that decides which recogniser a name means. A new family is one new file and one line here."""

from pathlib import Path

from attune.checkpoint_parts import Family
from attune.checkpoints import Checkpoint, load_checkpoint
from attune.devices import choose_device, choose_dtype
from attune.errors import ModelError
from attune.params import ModelParams
from attune.recognizers.protocol import Recognizer

_BATCH_S = {("cpu", "whisper"): 60.0, ("cpu", "ctc"): 20.0, ("cuda", "whisper"): 960.0, ("cuda", "ctc"): 960.0}


def open_recognizer(name: str, params: ModelParams, shown_as: str | None = None, compute_type: str | None = None) -> Recognizer:
    """The recogniser called `name`, on the device and in the precision of `params`; people read `shown_as` in its place.

    `name` is a hub name, or a folder: a base checkpoint, LoRA adapters, what the train stage wrote, or what convert_ct2
    wrote. `params.revision` counts for the hub name `params.name` only, `compute_type` for what is exported.
    Raises ModelError or EnvironmentFault in one line.
    """
    if is_exported(name):
        from attune.recognizers.ct2 import exported_family, open_ct2

        device = choose_device(params.device)
        batch_s = params.batch_s or default_batch_s(device, exported_family(Path(name)))
        return open_ct2(shown_as or name, Path(name), device, params, batch_s, compute_type)
    revision = params.revision if name == params.name else None
    return recognizer_of(load_checkpoint(name, revision, params.language), params)


def is_exported(name: str) -> bool:
    """Whether `name` is a folder in CTranslate2's form: its weights are not safetensors."""
    return (Path(name) / "model.bin").is_file() and not any(Path(name).glob("*.safetensors"))


def recognizer_of(checkpoint: Checkpoint, params: ModelParams) -> Recognizer:
    """The recogniser that runs `checkpoint` through transformers. Raises ModelError or EnvironmentFault."""
    device = choose_device(params.device)
    dtype, batch_s = choose_dtype(params.precision, device), params.batch_s or default_batch_s(device, checkpoint.family)
    if checkpoint.family == "whisper":
        from attune.recognizers.whisper import open_whisper

        return open_whisper(checkpoint, device, dtype, params, batch_s)
    if params.task == "translate":
        raise ModelError(f"{checkpoint.name} writes down what it hears, and model.task is 'translate'; set it to transcribe")
    from attune.recognizers.ctc import open_ctc

    return open_ctc(checkpoint, device, dtype, batch_s)


def default_batch_s(device: str, family: Family) -> float:
    """Seconds of sound at once where nobody says and nothing was tried; CTC models are slower on a CPU with much of it."""
    return _BATCH_S[device, family]
