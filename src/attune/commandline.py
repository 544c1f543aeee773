"""How commands end: what a person can mend is one line on stderr and exit code 2, an interrupt one line and 130.

Shared by the stage scripts and `attune`. Faults of our own keep their traceback.
"""

import atexit
import errno
import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attune.errors import AttuneError

if TYPE_CHECKING:
    from attune.params import Params

PARAMS = click.option(
    "--params", "params_file", type=click.Path(path_type=Path, dir_okay=False), default=Path("params.yaml"), show_default=True
)
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


def load_params(file: Path) -> "Params":
    """As `params.load_params`, whose schema is imported once it is asked for: half of what starting `attune` takes."""
    from attune.params import load_params

    return load_params(file)


def settle() -> None:
    """What each of our processes begins with, before torch is loaded.

    Starting is imports, a million objects that stay: looking for garbage among them every 700, and once more at the end, took a
    quarter of the time. Threads that wait for each other sleep instead of spinning: on cores that something else uses too,
    recognition of 32 clips took 0.04 s a clip this way, and 1.5 s with torch's default. bitsandbytes advises users of CPUs to
    install more; it need not.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    gc.set_threshold(50_000, 20, 100)
    atexit.register(gc.freeze)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


class _PlainFaults(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AttuneError as error:
            message, code = str(error), 2
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click ends quietly when the reader of a pipe goes away
            message, code = describe_os_error(error, _paths(ctx)), 2
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] in ("attune", "stages"):
                raise
            message = (
                f"this needs {error.name}, which is not installed; from a clone: pip install -c constraints.txt -e '.[graph]'"
            )
            code = 2
        except KeyboardInterrupt:
            message, code = "interrupted; run it again to go on", 130
        except Exception as error:
            if os.strerror(errno.ENOSPC) not in str(error):  # safetensors says it without being an OSError
                raise
            message, code = describe_os_error(OSError(errno.ENOSPC, ""), [*_paths(ctx), Path(tempfile.gettempdir())]), 2
        click.echo(one_line(f"{ctx.find_root().command.name}: {message}"), err=True)
        raise click.exceptions.Exit(code)


class AttuneCommand(_PlainFaults):
    """A click command that ends as described above."""


class AttuneGroup(_PlainFaults, click.Group):
    """A click group whose commands end as described above, each with its own paths at hand."""

    command_class = AttuneCommand
    group_class = type


def one_line(text: str) -> str:
    """The text with line breaks and other unprintable characters escaped, as names of files may hold any."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def describe_os_error(error: OSError, paths: Iterable[Path]) -> str:
    """What the machine refused, where, and what to do; `paths` are those that the command was given."""
    where = error.filename or ", ".join(map(str, paths)) or "."
    if error.errno in _DISK_FULL:
        folder = min((_standing(Path(p)) for p in (error.filename, *paths, ".") if p), key=lambda p: shutil.disk_usage(p).free)
        free_mb = shutil.disk_usage(folder).free / 1e6
        return f"the disk of {folder} is full, {free_mb:.0f} MB are free; make room there and run it again"
    if error.errno in _NOT_WRITABLE:
        return f"{where} cannot be written or read: {error.strerror}; change its permissions, or the paths in params.yaml"
    return f"{where}: {error.strerror or error}"


def _paths(ctx: click.Context) -> list[Path]:
    return [value for value in ctx.params.values() if isinstance(value, Path)]


def _standing(path: Path) -> Path:
    """The path itself or the nearest folder above it that exists."""
    return next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
