"""The params that ship with the project, changed where a test needs it."""

from pathlib import Path
from typing import Any

import yaml

from attune.params import SplitParams, load_params

_FILE = Path(__file__).parents[1] / "params.yaml"


def split_params(**changes: Any) -> SplitParams:
    """Section `split_clean_noisy`."""
    return SplitParams.model_validate(load_params(_FILE).split_clean_noisy.model_dump() | changes)


def write_params(path: Path, **sections: dict[str, Any]) -> None:
    """All of them at `path`, for a tiny random model called `base` on a CPU, with `sections` changed."""
    content = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    small: dict[str, dict[str, Any]] = {
        "model": {"name": "base", "device": "cpu", "precision": "float32", "batch_s": 10.0},
        "convert_ct2": {"quantization": "float32"},  # random weights do not survive rounding
    }
    for section in {*small, *sections}:
        content[section].update(small.get(section, {}) | sections.get(section, {}))
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
