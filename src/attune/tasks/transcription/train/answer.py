"""Fine-tuning of recognisers."""

from pathlib import Path

from attune.finetuning.live import Watched
from attune.operations.tuning import Tuning, tune
from attune.params import Params


def learn(prepared: Path, selected: Path, params: Params, folder: Path, work: Path, live: Watched | None) -> Tuning:
    """See `operations.tuning.tune`."""
    return tune(prepared, selected, params, folder, work, live)
