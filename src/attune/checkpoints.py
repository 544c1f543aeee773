"""Opens speech-to-text checkpoints in float32, from a folder or a hub name, for recognising, fine-tuning and export alike.

The checkpoint's own `model_type` decides the family, by what transformers knows of it. Weights are read from safetensors
only, and code that comes with a checkpoint is never run. Which folder a tuned model lies in is written and read here too.
"""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from attune.checkpoint_files import LANGUAGE_ADAPTER, files_digest, one_line, read_json, require_files, resolve_base
from attune.checkpoint_parts import Family, check_mels, check_vocabulary, completed_generation
from attune.errors import ModelError
from attune.files import write_json

TuningMethod = Literal["lora", "qlora", "full", "none"]

_PLACES: dict[TuningMethod, str] = {"lora": "lora_adapters", "qlora": "lora_adapters", "full": "model"}
"""Where below a tuned folder the result of each method lies."""
TRAINING_RECORD = "training.json"
"""The file in a tuned folder that says what it was made from."""
_HEAD = "base_model.model.lm_head.weight"
"""What adapters call a whole output layer that was learnt with them."""
_ADAPTER_CONFIG, _ADAPTERS = "adapter_config.json", "adapter_model.safetensors"

_UNNEEDED = ("masked_spec_embed",)
"""Weights that only training with masked features reads; published checkpoints often lack them."""


@dataclass(frozen=True)
class Checkpoint:
    """A model with what reads and writes its tokens, in float32 on the CPU and in evaluation mode."""

    name: str
    """As the user named it."""
    family: Family
    config: Any
    model: Any
    processor: Any
    digest: str
    """Changes whenever weights, tokenizer or configuration do."""


@dataclass(frozen=True)
class Outline:
    """What a checkpoint is, told without loading its weights; the fields mean the same as in `Checkpoint`."""

    name: str
    family: Family
    config: Any
    digest: str


@dataclass(frozen=True)
class TrainingRecord:
    """What a tuned folder was made from. With method `none` there was nothing to learn, and the base is the result."""

    base: str
    revision: str | None
    method: TuningMethod
    family: Family
    weights_digest: str | None = None
    """Of what was learnt, so that the record changes with it; `write_training_record` fills it in."""
    base_digest: str | None = None
    """Of the base as it was learnt on; None where nobody noted it."""


def load_checkpoint(name: str, revision: str | None, language: str | None = None) -> Checkpoint:
    """The model called `name`: a folder, a hub name, a folder of LoRA adapters (merged into their base), or a tuned folder.

    `language` is for models that have weights and letters for each (MMS). Raises ModelError, in one line, for whatever keeps
    it from being used.
    """
    if (Path(name) / TRAINING_RECORD).is_file():
        return load_checkpoint(tuned_checkpoint(Path(name)), read_training_record(Path(name)).revision, language)
    folder = resolve_base(name, revision, language)
    if (folder / _ADAPTER_CONFIG).is_file():
        return _merged(name, folder, revision, language)
    return _load_base(name, folder, language)


def outline(name: str, revision: str | None, language: str | None = None) -> Outline:
    """Of the model that `load_checkpoint` would load. Raises ModelError as that does, but for what only weights tell."""
    if (Path(name) / TRAINING_RECORD).is_file():
        return outline(tuned_checkpoint(Path(name)), read_training_record(Path(name)).revision, language)
    folder = resolve_base(name, revision, language)
    if (folder / _ADAPTER_CONFIG).is_file():
        base = outline(*_base_of(folder, revision), language)
        return replace(base, name=name, digest=_adapted_digest(base.digest, folder))
    family, model_class = _kind(folder)
    require_files(folder, model_class)
    from transformers import AutoConfig

    with usable(folder), quietly():
        return Outline(name, family, AutoConfig.from_pretrained(folder, local_files_only=True), files_digest(folder, language))


def tuned_checkpoint(folder: Path) -> str:
    """What to load for a tuned folder: its adapters, its full model, or the base's name. Raises ModelError."""
    record = read_training_record(folder)
    if record.method == "none" and Path(record.base).resolve() == folder.resolve():
        raise ModelError(f"{folder / TRAINING_RECORD} names itself as its base; run: dvc repro --force train")
    if record.method == "none":
        return record.base
    if record.method not in _PLACES:
        raise ModelError(f"{folder / TRAINING_RECORD} has method {record.method!r}; run: dvc repro --force train")
    return str(folder / _PLACES[record.method])


def tuned_place(method: TuningMethod) -> str:
    """The folder below a tuned one that holds what `method` learnt."""
    return _PLACES[method]


def read_training_record(folder: Path) -> TrainingRecord:
    """What `folder` was made from. Raises ModelError where the train stage did not finish it."""
    content = read_json(folder / TRAINING_RECORD)
    try:
        return TrainingRecord(**content)
    except TypeError as error:
        raise ModelError(
            f"{folder / TRAINING_RECORD} is not a training record ({error}); run: dvc repro --force train"
        ) from error


def write_training_record(folder: Path, record: TrainingRecord) -> None:
    """Says in `folder`, which holds what was learnt, what it was made from."""
    learnt = None if record.method == "none" else files_digest(folder / _PLACES[record.method])
    write_json(folder / TRAINING_RECORD, asdict(replace(record, weights_digest=learnt)))


@contextmanager
def quietly() -> Iterator[None]:
    """Keeps transformers from drawing bars and giving advice between our own lines; its errors stay what they are."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            # peft 0.21 still asks for the old name: it is kept until transformers 6
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def _load_base(name: str, folder: Path, language: str | None) -> Checkpoint:
    (family, model_class), processor_class = _kind(folder), _processor_class(folder)
    require_files(folder, model_class)
    import torch
    import transformers

    with usable(folder), quietly():
        processor = getattr(transformers, processor_class).from_pretrained(folder, local_files_only=True)
        model, loading = getattr(transformers, model_class).from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    missing = sorted(key for key in loading["missing_keys"] if not key.endswith(_UNNEEDED))
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} weight(s) of {model_class}, first {missing[0]}; it was not trained to write text: "
            "choose a checkpoint fine-tuned for speech recognition"
        )
    if getattr(model.config, "adapter_attn_dim", None) and language:
        _speak(folder, model, processor.tokenizer, language)
    check_vocabulary(folder, family, processor.tokenizer, model.config)
    if family == "whisper":
        told = model.generation_config.to_dict()
        for key, value in completed_generation(folder, told, processor.tokenizer).items():
            if told.get(key) != value:
                setattr(model.generation_config, key, value)
        check_mels(folder, model.config, processor.feature_extractor)
    model.name_or_path = model.config._name_or_path = name  # else adapters would remember a path of this machine's cache
    return Checkpoint(name, family, model.config, model.eval(), processor, files_digest(folder, language))


def _speak(folder: Path, model: Any, tokenizer: Any, language: str) -> None:
    """Gives a model of many languages (Pratap et al., 2023, "Scaling Speech Technology to 1,000+ Languages") the wanted one."""
    if language == tokenizer.target_lang:
        return  # its weights are those in model.safetensors
    if language not in tokenizer.vocab or not (folder / LANGUAGE_ADAPTER.format(language)).is_file():
        here = sorted(path.name.split(".")[1] for path in folder.glob(LANGUAGE_ADAPTER.format("*")))
        raise ModelError(
            f"{folder} has no weights ({LANGUAGE_ADAPTER.format(language)}) or no letters for model.language {language!r}; it "
            f"speaks {tokenizer.target_lang!r} as it is, and there are weights here for: {', '.join(here) or 'no other'}"
        )
    with usable(folder), quietly():
        tokenizer.set_target_lang(language)
        model.load_adapter(language, use_safetensors=True, local_files_only=True)


def _merged(name: str, folder: Path, revision: str | None, language: str | None) -> Checkpoint:
    base = load_checkpoint(*_base_of(folder, revision), language)
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import safe_open

    with usable(folder), quietly():
        base = _with_letters_of(folder, base)
        adapted = PeftModel.from_pretrained(base.model, folder)
        with safe_open(folder / _ADAPTERS, "pt") as file:
            written = set(file.keys())
        # told, as peft would look for the base's config to find out, on the hub where the base is an earlier result
        embedded = base.family != "ctc" and any(key.endswith("embed_tokens.weight") for key in written)
        strange = written ^ set(get_peft_model_state_dict(adapted, save_embedding_layers=embedded))
        if strange:
            raise ModelError(
                f"{folder} holds adapters of another model than {base.name}: {len(strange)} of their weights have no place there "
                f"or are missing, first {min(strange)}; correct base_model_name_or_path in {_ADAPTER_CONFIG}"
            )
        model = adapted.merge_and_unload()
    model.name_or_path = model.config._name_or_path = name  # else what is learnt on it would name this base's base as its own
    return Checkpoint(name, base.family, base.config, model.eval(), base.processor, _adapted_digest(base.digest, folder))


def _with_letters_of(folder: Path, base: Checkpoint) -> Checkpoint:
    """The base with the letters that were added to its vocabulary when the adapters in `folder` were learnt."""
    from safetensors import safe_open

    with safe_open(folder / _ADAPTERS, "pt") as file:
        size = int(file.get_slice(_HEAD).get_shape()[0]) if _HEAD in file.keys() else 0  # noqa: SIM118 : no dictionary
    if base.family != "ctc" or size <= base.config.vocab_size:
        return base
    import transformers

    from attune.ctc_heads import grow_head

    grow_head(base.model, size, {})
    processor = getattr(transformers, type(base.processor).__name__).from_pretrained(folder, local_files_only=True)
    check_vocabulary(folder, base.family, processor.tokenizer, base.model.config)
    return replace(base, config=base.model.config, processor=processor)


def _base_of(folder: Path, revision: str | None) -> tuple[str, str | None]:
    """Name and revision of the model that the adapters in `folder` belong to."""
    config = read_json(folder / _ADAPTER_CONFIG)
    base_name = config.get("base_model_name_or_path")
    if not base_name:
        raise ModelError(f"{folder / _ADAPTER_CONFIG} does not name its base model (base_model_name_or_path)")
    if Path(str(base_name)).resolve() == folder.resolve():
        raise ModelError(f"{folder / _ADAPTER_CONFIG} names itself as its base model (base_model_name_or_path); correct it")
    if not (folder / _ADAPTERS).is_file():
        raise ModelError(f"{folder} has no adapter_model.safetensors; adapters in pickle files are refused")
    return str(base_name), config.get("revision") or revision


def _adapted_digest(base: str, folder: Path) -> str:
    return hashlib.sha256(f"{base} {files_digest(folder)}".encode()).hexdigest()


def _kind(folder: Path) -> tuple[Family, str]:
    """The family, and the name of transformers' class for its model."""
    from transformers.models.auto import modeling_auto

    kind = _model_type(folder)
    if model := modeling_auto.MODEL_FOR_CTC_MAPPING_NAMES.get(kind):
        return "ctc", model
    if model := modeling_auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES.get(kind):
        return kind.replace("-", "_"), model
    raise _unknown(folder, kind)


def _processor_class(folder: Path) -> str:
    """The name of transformers' class for its processor."""
    from transformers.models.auto import auto_mappings, processing_auto  # noqa: F401 : the second completes the first, in seconds

    kind = _model_type(folder)
    if processor := auto_mappings.PROCESSOR_MAPPING_NAMES.get(kind):
        return processor
    raise _unknown(folder, kind)


def _model_type(folder: Path) -> str:
    return str(read_json(folder / "config.json").get("model_type"))


def _unknown(folder: Path, kind: str) -> ModelError:
    return ModelError(f"{folder} is a {kind!r} model, which is no speech-to-text model that transformers {_release()} knows")


def _release() -> str:
    import transformers

    return str(transformers.__version__)


@contextmanager
def usable(folder: Path) -> Iterator[None]:
    """What the loading libraries raise for damaged files in `folder`, as one ModelError."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    try:
        yield
    except ModelError:
        raise
    except (
        SafetensorError, StrictDataclassError, OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError,
        ImportError, AssertionError,
    ) as error:  # fmt: skip
        raise ModelError(f"{folder} cannot be loaded, a file in it is damaged or does not fit: {one_line(error)}") from error
