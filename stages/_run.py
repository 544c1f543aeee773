"""What all stage scripts share: how they become commands, and how these end (see `attune.commandline`)."""

import inspect
from collections.abc import Callable
from pathlib import Path

import click

from attune.commandline import AttuneCommand

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)


def stage(function: Callable[..., None]) -> click.Command:
    """Makes a command of a stage's function, named like its script: `@stage` above the options."""
    return click.command(name=Path(inspect.getfile(function)).stem, cls=AttuneCommand)(function)
