"""What hearing takes is measured in a process of its own, whose end is told."""

import os
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from attune.errors import EnvironmentFault
from attune.operations import measuring
from attune.params import load_params
from attune.records import Utterance

_MODEL = load_params(Path(__file__).resolve().parents[3] / "params.yaml").model.model_copy(update={"device": "cpu"})


def _killed(*_: Any) -> None:
    os._exit(9)


def test_a_process_that_is_killed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_cost", _killed)
    utterance = Utterance("u", "d", "u.wav", "ann", "clean", "validation", 1.0, 20.0, "a cough")
    with pytest.raises(EnvironmentFault, match="ended from outside, as happens where memory runs out"):
        measuring.measure(tmp_path, _MODEL, [utterance], {"u": tiny_models.speech(1.0)})
