"""The params that ship with the project, changed where a test needs it."""

from pathlib import Path
from typing import Any

from attune.params import SplitParams, load_params


def split_params(**changes: Any) -> SplitParams:
    """Section `split_clean_noisy`."""
    shipped = load_params(Path(__file__).parents[1] / "params.yaml").split_clean_noisy
    return SplitParams.model_validate(shipped.model_dump() | changes)
