"""Bounds for the guards: those of params.yaml, without the acoustic check, which needs a model."""

from pathlib import Path
from typing import Any

from attune.params import GuardParams, load_params


def bounds(**changed: Any) -> GuardParams:
    """The shipped bounds with some of them changed."""
    shipped = load_params(Path(__file__).parents[1] / "params.yaml").llm_gold.guards
    return shipped.model_copy(update={"max_acoustic_loss": None, **changed})
