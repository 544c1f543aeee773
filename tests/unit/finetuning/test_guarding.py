"""Training stops where going on would spoil what there is, says why, and keeps what was good."""

import errno
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from numpy.typing import NDArray
from shipped import train_params

from attune.checkpoints import load_checkpoint
from attune.errors import EnvironmentFault, TrainingError
from attune.finetuning import training
from attune.finetuning.buckets import order
from attune.finetuning.families import Example
from attune.finetuning.guarding import first_not_finite
from attune.finetuning.training import finetune
from attune.params import TrainParams

EXAMPLES = [Example(str(n), "a fever", 1.0) for n in range(6)]


class Clips:
    """A second of sound for each id; those of `broken` are no numbers."""

    def __init__(self, *broken: str) -> None:
        self._broken = broken

    def __getitem__(self, utterance_id: str) -> NDArray[np.float32]:
        sound = tiny_models.speech(1.0, int(utterance_id))
        return np.full_like(sound, np.nan) if utterance_id in self._broken else sound


def tune(folder: Path, params: TrainParams, sounds: Any, examples: list[Example] = EXAMPLES, name: str = "out") -> Any:
    if not (folder / "base").is_dir():
        tiny_models.make_whisper(folder / "base")
    base = load_checkpoint(str(folder / "base"), None)
    return finetune(base, examples, examples[:1], sounds, params, None, folder / name, folder / "work")


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_loss_that_is_no_number_names_its_utterances_and_keeps_the_checkpoint_before(tmp_path: Path, accumulation: int) -> None:
    params = train_params(batch_size=1, accumulation=accumulation, epochs=1, evaluations_per_epoch=6 // accumulation)
    late = EXAMPLES[order([1.0] * len(EXAMPLES), accumulation, params.seed, 0)[accumulation]].id
    with pytest.raises(TrainingError, match=rf"the loss became nan at step \d, of utterances {late}; the last good") as told:
        tune(tmp_path, params, Clips(late))
    step = int(re.findall(r"at step (\d)", str(told.value))[0])
    assert step > 1
    (kept,) = re.findall(r"is kept \((.*?)\)", str(told.value))
    assert Path(kept).name == f"checkpoint-{step - 1}"
    assert (Path(kept) / "whole").is_file()
    assert not (tmp_path / "out").exists()


def test_a_bad_loss_between_two_logs_reaches_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = training.arguments

    def rarely_logged(*given: Any, **named: Any) -> Any:
        settings = real(*given, **named)
        settings.logging_steps = 1000
        return settings

    monkeypatch.setattr(training, "arguments", rarely_logged)
    params = train_params(batch_size=1, epochs=1, evaluations_per_epoch=6)
    with pytest.raises(TrainingError, match=r"the loss became nan at step \d, of utterances 3"):
        tune(tmp_path, params, Clips("3"))
    for saved in (tmp_path / "work").glob("*/checkpoint-*"):
        weights = torch.load(saved / "optimizer.pt", weights_only=True)["state"].values()
        assert all(torch.isfinite(state["exp_avg"]).all() for state in weights)


def test_a_gradient_that_is_no_number_is_told_at_its_own_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = training.WerTrainer.training_step

    def broken(self: Any, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        loss = plain(self, model, inputs, *rest, **named)
        if self.state.global_step == 1:
            next(p for p in model.parameters() if p.grad is not None).grad.fill_(float("inf"))
        return loss

    monkeypatch.setattr(training.WerTrainer, "training_step", broken)
    with pytest.raises(TrainingError, match=r"the gradient became (nan|inf) at step 2, of utterances \d, \d"):
        tune(tmp_path, train_params(batch_size=2, epochs=1, evaluations_per_epoch=0.5), Clips())


def test_the_first_tensor_that_is_no_number_is_named() -> None:
    assert first_not_finite({}) is None
    assert first_not_finite({"a": torch.ones(2)}) is None
    assert first_not_finite({"a": torch.ones(2), "b": torch.tensor([1.0, float("inf")])}) == "b"


def test_a_disk_full_while_saving_keeps_the_checkpoint_before_and_training_goes_on_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = train_params(batch_size=2, epochs=1, evaluations_per_epoch=3)
    plain = training.WerTrainer._save_optimizer_and_scheduler

    def full(self: Any, output_dir: str) -> None:
        if self.state.global_step == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(self, output_dir)

    monkeypatch.setattr(training.WerTrainer, "_save_optimizer_and_scheduler", full)
    said = r"is full \(\d+ MB are free\), so the checkpoint of step 2 could not be saved; that of step 1 is whole"
    with pytest.raises(EnvironmentFault, match=said):
        tune(tmp_path, params, Clips())
    assert [folder.name for folder in (tmp_path / "work").glob("*/checkpoint-*")] == ["checkpoint-1"]
    monkeypatch.undo()
    steps = list[int]()
    step = training.WerTrainer.training_step
    monkeypatch.setattr(
        training.WerTrainer, "training_step", lambda self, *a, **n: steps.append(self.state.global_step) or step(self, *a, **n)
    )
    assert tune(tmp_path, params, Clips()).steps == 3
    assert steps == [1, 2]


def test_a_disk_full_while_the_result_is_saved_trains_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = train_params(batch_size=2, epochs=1, evaluations_per_epoch=3)
    monkeypatch.setattr(training, "_save", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(EnvironmentFault, match=r"so the result could not be saved; that of step 3 is whole"):
        tune(tmp_path, params, Clips())
    monkeypatch.undo()
    monkeypatch.setattr(training.WerTrainer, "training_step", lambda *_, **__: pytest.fail("trained again"))
    assert tune(tmp_path, params, Clips()).steps == 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Three megabytes of a file system of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("left", [4_000, 16_000, 28_000])
def test_a_real_disk_that_runs_full_is_told_in_the_same_words(
    left: int, tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever library it is that writes then: safetensors, torch or Python itself."""
    plain = training.WerTrainer._save_checkpoint

    def filled(self: Any, *given: Any) -> None:
        if self.state.global_step == 2:
            free = shutil.disk_usage(small_disk).free
            (small_disk / "others").write_bytes(b"x" * (free - left))
        plain(self, *given)

    monkeypatch.setattr(training.WerTrainer, "_save_checkpoint", filled)
    monkeypatch.setattr(training, "tell", lambda *_: None)  # it would not begin on so small a disk
    tiny_models.make_whisper(tmp_path / "base")
    base = load_checkpoint(str(tmp_path / "base"), None)
    params = train_params(batch_size=2, epochs=1, evaluations_per_epoch=3, lora={"rank": 1, "alpha": 1})
    with pytest.raises(EnvironmentFault, match=r"is full .* the checkpoint of step 2 could not .* step 1 is whole"):
        finetune(base, EXAMPLES, EXAMPLES[:1], Clips(), params, None, tmp_path / "out", small_disk)
