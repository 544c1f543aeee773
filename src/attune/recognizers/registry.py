"""The one place that decides which recogniser a name means.

A family is a file of this folder with the family's name, in which three things stand: `MODEL_TYPES` (those of transformers
that it hears rightly), `BATCH_S` (by device, seconds of sound at once where nobody says and nothing was tried) and
`open_checkpoint`. Nothing else need be told of a new one.
"""

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import attune.recognizers
from attune.checkpoint_parts import Family
from attune.checkpoints import Checkpoint, load_checkpoint
from attune.devices import choose_device, choose_dtype
from attune.errors import ModelError
from attune.params import ModelParams
from attune.recognizers.onnx_runtime import GRAPH, open_onnx
from attune.recognizers.protocol import Recognizer


class FamilyModule(Protocol):
    """What stands in a family's file."""

    MODEL_TYPES: frozenset[str]
    BATCH_S: dict[str, float]

    def open_checkpoint(self, checkpoint: Checkpoint, device: str, dtype: Any, params: ModelParams, batch_s: float) -> Recognizer:
        """The recogniser that runs `checkpoint` through transformers. Raises ModelError for params that it cannot follow."""
        ...


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
        if exported_engine(name) == "onnxruntime":
            return open_onnx(shown_as or name, Path(name), device, batch_s)
        return open_ct2(shown_as or name, Path(name), device, params, batch_s, compute_type)
    revision = params.revision if name == params.name else None
    return recognizer_of(load_checkpoint(name, revision, params.language), params)


def is_exported(name: str) -> bool:
    """Whether `name` is a folder in CTranslate2's form or in ONNX: its weights are not safetensors."""
    return exported_engine(name) is not None


def exported_engine(name: str) -> Literal["ctranslate2", "onnxruntime"] | None:
    """What runs the folder `name`; None where that is transformers."""
    if any(Path(name).glob("*.safetensors")):
        return None
    if (Path(name) / "model.bin").is_file():
        return "ctranslate2"
    return "onnxruntime" if (Path(name) / GRAPH).is_file() else None


def recognizer_of(checkpoint: Checkpoint, params: ModelParams) -> Recognizer:
    """The recogniser that runs `checkpoint` through transformers. Raises ModelError or EnvironmentFault."""
    device, family, kind = choose_device(params.device), _module(checkpoint.family), checkpoint.config.model_type
    if kind not in family.MODEL_TYPES:
        raise _unknown(kind)
    dtype, batch_s = choose_dtype(params.precision, device), params.batch_s or family.BATCH_S[device]
    return family.open_checkpoint(checkpoint, device, dtype, params, batch_s)


def default_batch_s(device: str, family: Family) -> float:
    """Seconds of sound at once where nobody says and nothing was tried."""
    return _module(family).BATCH_S[device]


def _module(family: Family) -> FamilyModule:
    if family not in (found.name for found in pkgutil.iter_modules(attune.recognizers.__path__)):
        raise _unknown(family)
    return cast(FamilyModule, import_module(f"attune.recognizers.{family}"))


def _unknown(kind: str) -> ModelError:
    files = [import_module(f"attune.recognizers.{found.name}") for found in pkgutil.iter_modules(attune.recognizers.__path__)]
    known = sorted(kind for file in files for kind in getattr(file, "MODEL_TYPES", ()))
    return ModelError(f"no recogniser here is for {kind!r} models; the speech-to-text kinds known are {', '.join(known)}")
