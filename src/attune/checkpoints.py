"""Opens speech-to-text checkpoints in float32, from a folder or a hub name, for recognising, fine-tuning and export alike.

The checkpoint's own `model_type` decides the family. Weights are read from safetensors only, and code that comes with
a checkpoint is never run. Which folder a tuned model lies in is written and read here too.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from attune.errors import ModelError
from attune.files import write_json

Family = Literal["whisper", "ctc"]
TuningMethod = Literal["lora", "full", "none"]

_PLACES: dict[TuningMethod, str] = {"lora": "lora_adapters", "full": "model"}
"""Where below a tuned folder the result of each method lies."""
TRAINING_RECORD = "training.json"
"""The file in a tuned folder that says what it was made from."""
_ADAPTER_CONFIG, _ADAPTERS = "adapter_config.json", "adapter_model.safetensors"

_KNOWN: dict[str, tuple[Family, str, str]] = {
    "whisper": ("whisper", "WhisperForConditionalGeneration", "WhisperProcessor"),
    "wav2vec2": ("ctc", "Wav2Vec2ForCTC", "Wav2Vec2Processor"),
    "wav2vec2-bert": ("ctc", "Wav2Vec2BertForCTC", "Wav2Vec2BertProcessor"),
    "hubert": ("ctc", "HubertForCTC", "Wav2Vec2Processor"),
    "wavlm": ("ctc", "WavLMForCTC", "Wav2Vec2Processor"),
}
"""model_type → family, and the transformers classes of its model and processor."""
_UNNEEDED = ("masked_spec_embed",)
"""Weights that only training with masked features reads; published checkpoints often lack them."""
_LANGUAGE_ADAPTER = "adapter.{}.safetensors"
_FETCHED = ["*.json", "*.txt", "*.jinja", "model.safetensors", "model-*.safetensors", "adapter_model.safetensors"]
_DIGESTED = ("*.json", "*.txt", "*.safetensors", "model.bin")


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
    family, _, _ = _kind(folder)
    _require_files(folder)
    from transformers import AutoConfig

    with _usable(folder), quietly():
        return Outline(name, family, AutoConfig.from_pretrained(folder, local_files_only=True), files_digest(folder, language))


def resolve_base(name: str, revision: str | None, language: str | None = None) -> Path:
    """The folder that holds checkpoint `name`, fetched from the hub if it is none here. Raises ModelError."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        wanted = [*_FETCHED, *([_LANGUAGE_ADAPTER.format(language)] if language else [])]
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except GatedRepoError as error:
        raise ModelError(
            f"model {name!r} needs permission: accept its terms on huggingface.co, then run: hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(f"model {name!r} is neither a folder here nor on the Hugging Face hub; correct the name") from error
    except RevisionNotFoundError as error:
        raise ModelError(f"model {name!r} has no revision {revision!r} on the hub; correct model.revision") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ModelError(
            f"model {name!r} is not a folder here, and the Hugging Face hub gave nothing ({_one_line(error)}); correct the "
            "name, copy the model into a folder and name that, or connect to the network"
        ) from error


def tuned_checkpoint(folder: Path) -> str:
    """What to load for a tuned folder: its adapters, its full model, or the base's name. Raises ModelError."""
    record = read_training_record(folder)
    if record.method == "none":
        return record.base
    return str(folder / _PLACES[record.method])


def read_training_record(folder: Path) -> TrainingRecord:
    """What `folder` was made from. Raises ModelError where the train stage did not finish it."""
    content = _read_json(folder / TRAINING_RECORD)
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


def files_digest(folder: Path, language: str | None = None) -> str:
    """SHA-256, as hex, of the names and contents of the files in `folder` that decide what the model says in `language`."""
    digest, others = hashlib.sha256(), set(folder.glob(_LANGUAGE_ADAPTER.format("*")))
    others -= {folder / _LANGUAGE_ADAPTER.format(language)}
    for path in sorted({path for pattern in _DIGESTED for path in folder.glob(pattern)} - others):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


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
    family, model_class, processor_class = _kind(folder)
    _require_files(folder)
    import torch
    import transformers

    with _usable(folder), quietly():
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
    _check_vocabulary(folder, family, processor.tokenizer, model.config)
    model.name_or_path = model.config._name_or_path = name  # else adapters would remember a path of this machine's cache
    return Checkpoint(name, family, model.config, model.eval(), processor, files_digest(folder, language))


def _speak(folder: Path, model: Any, tokenizer: Any, language: str) -> None:
    """Gives a model of many languages (Pratap et al., 2023, "Scaling Speech Technology to 1,000+ Languages") the wanted one."""
    if language == tokenizer.target_lang:
        return  # its weights are those in model.safetensors
    if language not in tokenizer.vocab or not (folder / _LANGUAGE_ADAPTER.format(language)).is_file():
        here = sorted(path.name.split(".")[1] for path in folder.glob(_LANGUAGE_ADAPTER.format("*")))
        raise ModelError(
            f"{folder} has no weights ({_LANGUAGE_ADAPTER.format(language)}) or no letters for model.language {language!r}; it "
            f"speaks {tokenizer.target_lang!r} as it is, and there are weights here for: {', '.join(here) or 'no other'}"
        )
    with _usable(folder), quietly():
        tokenizer.set_target_lang(language)
        model.load_adapter(language, use_safetensors=True, local_files_only=True)


def _check_vocabulary(folder: Path, family: Family, tokenizer: Any, config: Any) -> None:
    """Raises ModelError for a tokenizer of another model, which would write other words, or none for what the model says.

    CTC tokenizers may have marks beyond the model's letters, which it never says.
    """
    written = len(tokenizer) if family == "whisper" else tokenizer.vocab_size
    if written > config.vocab_size:
        raise ModelError(
            f"{folder} has a tokenizer of {written} entries and a model of {config.vocab_size}; they are not of one model: "
            "save the processor that it was trained with beside it"
        )


def _merged(name: str, folder: Path, revision: str | None, language: str | None) -> Checkpoint:
    base = load_checkpoint(*_base_of(folder, revision), language)
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import safe_open

    with _usable(folder), quietly():
        adapted = PeftModel.from_pretrained(base.model, folder)
        with safe_open(folder / _ADAPTERS, "pt") as file:
            strange = set(file.keys()) ^ set(get_peft_model_state_dict(adapted))
        if strange:
            raise ModelError(
                f"{folder} holds adapters of another model than {base.name}: {len(strange)} of their weights have no place there "
                f"or are missing, first {min(strange)}; correct base_model_name_or_path in {_ADAPTER_CONFIG}"
            )
        model = adapted.merge_and_unload()
    return Checkpoint(name, base.family, base.config, model.eval(), base.processor, _adapted_digest(base.digest, folder))


def _base_of(folder: Path, revision: str | None) -> tuple[str, str | None]:
    """Name and revision of the model that the adapters in `folder` belong to."""
    config = _read_json(folder / _ADAPTER_CONFIG)
    base_name = config.get("base_model_name_or_path")
    if not base_name:
        raise ModelError(f"{folder / _ADAPTER_CONFIG} does not name its base model (base_model_name_or_path)")
    if not (folder / _ADAPTERS).is_file():
        raise ModelError(f"{folder} has no adapter_model.safetensors; adapters in pickle files are refused")
    return str(base_name), config.get("revision") or revision


def _adapted_digest(base: str, folder: Path) -> str:
    return hashlib.sha256(f"{base} {files_digest(folder)}".encode()).hexdigest()


def _kind(folder: Path) -> tuple[Family, str, str]:
    model_type = _read_json(folder / "config.json").get("model_type")
    if model_type not in _KNOWN:
        raise ModelError(
            f"{folder} is a {model_type!r} model; the speech-to-text kinds known here are {', '.join(sorted(_KNOWN))}"
        )
    return _KNOWN[model_type]


def _require_files(folder: Path) -> None:
    """Says what is not there before a library guesses something in its place."""
    if not any(folder.glob("model*.safetensors")):
        raise ModelError(
            f"{folder} has no model.safetensors; weights in pickle files can run code and are refused: save the model with "
            "safetensors, or take a revision that has them"
        )
    if not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.json")):
        raise ModelError(f"{folder} has no tokenizer (tokenizer.json or vocab.json); save the processor beside the model")
    if not any((folder / file).is_file() for file in ("preprocessor_config.json", "processor_config.json")):
        raise ModelError(f"{folder} has no preprocessor_config.json; save the processor beside the model")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path.parent} has no {path.name}, so it is not a model that can be opened") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not readable JSON: {_one_line(error)}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__} where an object is expected")
    return content


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """What the loading libraries raise for damaged files, as one ModelError."""
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, ImportError) as error:
        raise ModelError(f"{folder} cannot be loaded, a file in it is damaged or does not fit: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
