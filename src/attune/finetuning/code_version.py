"""Which code trains: a run that was begun by other code is not gone on with."""

import hashlib
import inspect
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

_LIBRARIES = ("attune", "torch", "transformers", "peft", "accelerate")


def code_version(make_family: Callable[..., Any]) -> str:
    """A digest of the files of this room and of that of `make_family`, and of the releases of the libraries that learn."""
    while isinstance(make_family, partial):
        make_family = make_family.func
    files = {*Path(__file__).parent.glob("*.py"), Path(inspect.getfile(make_family))}
    digest = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in _LIBRARIES).encode())
    for file in sorted(files, key=lambda each: each.name):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
