"""Says of a disk that ran full while training saved what was lost, what is kept, and that nothing is trained twice."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from attune.errors import EnvironmentFault
from attune.finetuning.resuming import newest_whole_checkpoint

_FULL = {errno.ENOSPC, errno.EDQUOT}
_SIGNS = (os.strerror(errno.ENOSPC), "PytorchStreamWriter failed", "inline_container")
"""What safetensors and torch write of it: neither raises OSError."""


@contextmanager
def told_where_full(what: str, home: Path, target: Path | None = None) -> Iterator[None]:
    """Raises EnvironmentFault where saving `what` to `target` (`home`, if not given) fills the disk.

    `home` is where the checkpoints of this training stand.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        full = error.errno in _FULL if isinstance(error, OSError) and error.errno else any(sign in str(error) for sign in _SIGNS)
        if not full:
            raise
        folder = target or home
        whole = newest_whole_checkpoint(home)
        kept = (
            f"that of step {whole.name.rpartition('-')[2]} is whole ({whole}), and training goes on from it"
            if whole
            else "there is no checkpoint yet, so training begins anew"
        )
        raise EnvironmentFault(
            f"the disk of {folder} is full ({shutil.disk_usage(home).free / 1e6:.0f} MB are free), so {what} could not be "
            f"saved; {kept}: make room there and run it again"
        ) from error
