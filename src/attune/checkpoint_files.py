"""The files of a checkpoint: where they are, here or on a hub, whether all are there, and what they are together.

What is in them is opened by `checkpoints`.
"""

import hashlib
import json
import shlex
from functools import lru_cache
from pathlib import Path
from typing import Any

from attune.errors import ModelError

_READ = (
    "config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json", "tokenizer_config.json",
    "tokenizer.json", "vocab.json",
)  # fmt: skip
LANGUAGE_ADAPTER = "adapter.{}.safetensors"
"""Weights for one of many languages (MMS)."""
_WEIGHTS = ["model.safetensors", "model-*.safetensors", "adapter_model.safetensors"]
LICENCES = ("LICEN[CS]E*", "NOTICE*", "COPYING*")
_FETCHED = ["*.json", "*.txt", "*.jinja", "README.md", *LICENCES, *_WEIGHTS]
"""The card with them: it says what the licence is."""
_DIGESTED = ("*.json", "*.txt", "*.safetensors", "model.bin", "model.onnx", "model.onnx.data")


def resolve_base(name: str, revision: str | None, language: str | None = None) -> Path:
    """The folder that holds checkpoint `name`, fetched from the hub if it is none here. Raises ModelError."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        wanted = [*_FETCHED, *([LANGUAGE_ADAPTER.format(language)] if language else [])]
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
            f"model {name!r} is not a folder here, and the Hugging Face hub gave nothing ({one_line(error)}); correct the "
            "name, copy the model into a folder and name that, or connect to the network"
        ) from error


def files_digest(folder: Path, language: str | None = None) -> str:
    """SHA-256, as hex, of the names and contents of the files in `folder` that decide what the model says in `language`."""
    others = set(folder.glob(LANGUAGE_ADAPTER.format("*"))) - {folder / LANGUAGE_ADAPTER.format(language)}
    files = sorted({path for pattern in _DIGESTED for path in folder.glob(pattern)} - others)
    return _digest(tuple((path, _state(path)) for path in files))


@lru_cache(maxsize=64)
def _digest(files: tuple[tuple[Path, tuple[int, ...]], ...]) -> str:
    """Gigabytes are read once a process, not each time that a model is opened; a changed file has another state."""
    digest = hashlib.sha256()
    for path, _ in files:
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _state(path: Path) -> tuple[int, ...]:
    known = path.stat()
    return known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns


def require_files(folder: Path, model_class: str) -> None:
    """Says what is not there before a library guesses something in its place."""
    pickled = next((path.name for path in sorted(folder.glob("pytorch_model*.bin"))), None)
    if not any(folder.glob("model*.safetensors")) and pickled:
        raise ModelError(
            f"{folder} has its weights in a pickle ({pickled}), which can run code as it is read, and is refused; take a "
            "revision with model.safetensors, or convert it where nothing can be harmed: python -c "
            f"'import sys; from transformers import {model_class} as M; "
            f"M.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])' {shlex.quote(str(folder))}"
        )
    if not any(folder.glob("model*.safetensors")):
        raise ModelError(
            f"{folder} has no model.safetensors; copy the model again, or take a revision that has its weights so, not as "
            "pickles (pytorch_model.bin), which can run code as they are read"
        )
    if not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.json")):
        raise ModelError(f"{folder} has no tokenizer (tokenizer.json or vocab.json); save the processor beside the model")
    if not any((folder / file).is_file() for file in ("preprocessor_config.json", "processor_config.json")):
        raise ModelError(f"{folder} has no preprocessor_config.json; save the processor beside the model")
    _require_readable(folder)


def _require_readable(folder: Path) -> None:
    """Some libraries pass over a file that they cannot read, and the model says other words."""
    for name in _READ:
        if (folder / name).is_file():
            read_json(folder / name)


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path.parent} has no {path.name}, so it is not a model that can be opened") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not readable JSON: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__} where an object is expected")
    return content


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
