"""Which checkpoint an interrupted training goes on from: the newest one that was written to its end."""

import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

_WHOLE = "whole"


class MarkWhole(TrainerCallback):
    """Leaves a mark in each checkpoint once all of it is written: the Trainer writes them in place, file by file."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        (Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}" / _WHOLE).touch()


def last_whole_checkpoint(home: Path) -> str | None:
    """The newest marked checkpoint in `home`; what a kill or a full disk left half done is removed."""
    whole = []
    for folder in home.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if (folder / _WHOLE).is_file():
            whole.append(folder)
        else:
            shutil.rmtree(folder)
    return str(max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]))) if whole else None
