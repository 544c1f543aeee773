"""The params that ship with the project, changed where a test needs it."""

from pathlib import Path
from typing import Any

import yaml

from attune.files import parse_yaml
from attune.params import EvaluateParams, SplitParams, TrainParams, load_params

SHIPPED = Path(__file__).parents[1] / "params.yaml"


def split_params(**changes: Any) -> SplitParams:
    """Section `split_clean_noisy`."""
    return SplitParams.model_validate(load_params(SHIPPED).split_clean_noisy.model_dump() | changes)


def train_params(**changes: Any) -> TrainParams:
    """Section `train`, for tiny models that learn what they hear as it is; `lora` and the like are merged key by key."""
    content = load_params(SHIPPED).train.model_dump()
    lora, plain = {"rank": 8, "alpha": 16}, {"speed": 0.0, "equalizer_db": 0.0, "noise_snr_db": None}
    quick = {"lora": lora, "augmentation": plain, "precision": "float32", "batch_size": 4, "evaluations_per_epoch": 1.0}
    for key, value in [*quick.items(), *changes.items()]:
        content[key] = content[key] | value if isinstance(value, dict) else value
    return TrainParams.model_validate(content)


def evaluate_params(**changes: Any) -> EvaluateParams:
    """Section `evaluate`; a section within it is changed key by key."""
    content = load_params(SHIPPED).evaluate.model_dump()
    for key, value in changes.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    return EvaluateParams.model_validate(content)


def write_params(path: Path, **sections: dict[str, Any]) -> None:
    """All of them at `path`, for a tiny random model called `base` on a CPU, with `sections` changed."""
    content = parse_yaml(SHIPPED.read_text(encoding="utf-8"))
    small: dict[str, dict[str, Any]] = {
        "model": {"name": "base", "device": "cpu", "precision": "float32", "batch_s": 10.0},
        "convert_ct2": {"quantizations": ["float32"]},  # random weights do not survive rounding
    }
    for section in {*small, *sections}:
        content[section].update(small.get(section, {}) | sections.get(section, {}))
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
