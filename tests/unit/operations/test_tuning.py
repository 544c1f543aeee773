"""What training is told of an utterance, and how several processes begin again with less where memory runs out."""

from pathlib import Path
from typing import Any

import pytest
from shipped import write_params

from attune.files import write_jsonl
from attune.operations import tuning
from attune.operations.tuning import _example
from attune.params import load_params
from attune.records import Selection, Utterance


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


def test_examples_carry_speaker_length_and_the_language_of_their_list() -> None:
    utterance = Utterance("u", "d", "u.wav", "anna", "clean", "train", 2.5, 20.0, "hola", tags={"locale": "es-MX"})
    example = _example(Selection("u", "train", "error", "hola", "human", 1.0), utterance)
    assert (example.id, example.text, example.duration_s) == ("u", "hola", 2.5)
    assert (example.speaker, example.language) == ("anna", "es")
