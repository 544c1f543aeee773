"""Opens audio language models of the Qwen2-Audio class, and adapters of theirs; what opens is tested before it is believed."""

from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from attune.checkpoint_files import files_digest, read_json, require_files, resolve_base
from attune.checkpoints import TRAINING_RECORD, Checkpoint, quietly, read_training_record, tuned_checkpoint, usable
from attune.devices import choose_device, choose_dtype
from attune.errors import EnvironmentFault, ModelError
from attune.params import ModelParams
from attune.tasks.speech_detection.parts.embedding import hear_no_longer
from attune.tasks.speech_detection.parts.prompting import Prompting
from attune.tasks.speech_detection.parts.self_test import require_own_output_layer, require_right_results
from attune.workcache import digest_of

FAMILY, MODEL_CLASS = "qwen2_audio", "Qwen2AudioForConditionalGeneration"
_ADAPTERS = "adapter_config.json"


@dataclass(frozen=True)
class Setup:
    """What a model computes in, and where."""

    device: str
    dtype: Any
    four_bit: bool

    def __str__(self) -> str:
        return f"{self.device} {'4bit ' if self.four_bit else ''}{str(self.dtype).removeprefix('torch.')}"


def setup_of(params: ModelParams) -> Setup:
    """What `params` ask for on this machine: 4 bits and bfloat16 on a GPU, else float32. Raises EnvironmentFault."""
    device = choose_device(params.device)
    wanted = params.detection.quantized
    four_bit = wanted == "4bit" or (wanted == "auto" and device == "cuda")
    if four_bit:
        _require_bitsandbytes()
    return Setup(device, choose_dtype(params.precision, device), four_bit)


def open_model(name: str, params: ModelParams, setup: Setup) -> Checkpoint:
    """The model called `name` on its device: a folder, a hub name, adapters (merged where nothing is packed) or a tuned folder.

    Raises ModelError for what is no such model, and for a transformers release that gets it wrong.
    """
    checkpoint = _opened(name, params.revision if name == params.name else None, setup)
    require_right_results(checkpoint.model, prompting_of(checkpoint, params))
    return checkpoint


def prompting_of(checkpoint: Checkpoint, params: ModelParams) -> Prompting:
    """The question that `params` have, as this checkpoint is asked it. Raises ModelError."""
    return Prompting(checkpoint.processor, params.detection.question, params.detection.max_audio_length_s)


def open_to_train(params: ModelParams, *, whole: bool) -> Checkpoint:
    """The base on the CPU, which takes batches that end with their clips: in float32, or for adapters that learn on a GPU in
    bfloat16, which is half the memory.

    Its results were tested when the baseline was heard.
    """
    device = choose_device(params.device)
    dtype = torch.bfloat16 if device == "cuda" and not whole else torch.float32
    checkpoint = _opened(params.name, params.revision, Setup("cpu", dtype, False))
    hear_no_longer(checkpoint.model)
    return checkpoint


def open_unpacked(name: str, params: ModelParams) -> Checkpoint:
    """The model called `name` on the CPU, its adapters merged into weights that are not packed."""
    dtype = torch.bfloat16 if choose_device(params.device) == "cuda" else torch.float32
    return _opened(name, params.revision if name == params.name else None, Setup("cpu", dtype, False))


def _opened(name: str, revision: str | None, setup: Setup) -> Checkpoint:
    if (Path(name) / TRAINING_RECORD).is_file():
        return _opened(tuned_checkpoint(Path(name)), read_training_record(Path(name)).revision, setup)
    folder = resolve_base(name, revision)
    return _adapted(name, folder, revision, setup) if (folder / _ADAPTERS).is_file() else _base(name, folder, setup)


def _base(name: str, folder: Path, setup: Setup) -> Checkpoint:
    kind = read_json(folder / "config.json").get("model_type")
    if kind != FAMILY:
        raise ModelError(
            f"{folder} is a {kind!r} model; task speech_detection wants one of the class of Qwen/Qwen2-Audio-7B-Instruct: set "
            "model.name, or apply a preset: attune preset qwen2-audio-detection"
        )
    require_files(folder, MODEL_CLASS)
    import transformers

    packed: dict[str, Any] = {"device_map": {"": setup.device}} if setup.device == "cuda" else {}
    if setup.four_bit:
        packed["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=setup.dtype
        )
    with usable(folder), quietly():
        processor = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
        model, loading = getattr(transformers, MODEL_CLASS).from_pretrained(
            folder, dtype=setup.dtype, use_safetensors=True, local_files_only=True, output_loading_info=True, **packed
        )
    if loading["missing_keys"]:
        missing = sorted(loading["missing_keys"])
        raise ModelError(f"{folder} lacks {len(missing)} weight(s) of {MODEL_CLASS}, first {missing[0]}; copy the model again")
    require_own_output_layer(model, folder)
    processor.tokenizer.padding_side = "left"
    model.name_or_path = model.config._name_or_path = name  # else adapters would remember a path of this machine's cache
    return Checkpoint(name, FAMILY, model.config, model.eval(), processor, files_digest(folder))


def _adapted(name: str, folder: Path, revision: str | None, setup: Setup) -> Checkpoint:
    told = read_json(folder / _ADAPTERS)
    base_name = str(told.get("base_model_name_or_path") or "")
    if not base_name or Path(base_name).resolve() == folder.resolve():
        raise ModelError(f"{folder / _ADAPTERS} does not name its base model (base_model_name_or_path); correct it")
    base = _opened(base_name, told.get("revision") or revision, setup)
    from peft import PeftModel

    with usable(folder), quietly():
        model: Any = PeftModel.from_pretrained(base.model, folder)
        model = model if setup.four_bit else model.merge_and_unload()  # merged into packed weights it would be another model
    model.name_or_path = model.config._name_or_path = name  # else what is learnt on it would name this base's base as its own
    return replace(base, name=name, model=model.eval(), digest=digest_of(base.digest, files_digest(folder)))


def _require_bitsandbytes() -> None:
    try:
        version("bitsandbytes")
    except PackageNotFoundError as error:
        raise EnvironmentFault(
            "model.detection.quantized asks for 4 bits, which needs bitsandbytes: pip install -c constraints.txt -e "
            "'.[quantized]'; or set it to none"
        ) from error
