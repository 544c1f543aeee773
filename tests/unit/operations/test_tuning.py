"""Where memory runs out in one of several processes, all begin again with less at once."""

from pathlib import Path
from typing import Any

import pytest
from shipped import write_params

from attune.files import write_jsonl
from attune.operations import tuning
from attune.params import load_params
from attune.records import Selection


def test_processes_begin_again_with_half_until_memory_suffices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jsonl(tmp_path / "train.jsonl", [Selection("u", "train", "error", "a fever", "human", 1.0)])
    write_params(tmp_path / "params.yaml", train={"processes": 2})
    started = []

    def launch(count: int, device: str, entry: Any, *arguments: Any) -> str:
        started.append((count, device, arguments[-1], arguments[2].train.processes))
        if len(started) < 3:
            raise MemoryError("CUDA out of memory")
        return "done"

    monkeypatch.setattr(tuning, "launch", launch)
    done: Any = tuning.tune(tmp_path, tmp_path, load_params(tmp_path / "params.yaml"), tmp_path / "out", tmp_path / "work")
    assert done == "done"
    assert started == [(2, "cpu", 0, 2), (2, "cpu", 1, 2), (2, "cpu", 2, 2)]
