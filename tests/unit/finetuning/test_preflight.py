"""What training will take is told before it starts, and a disk with too little room stops it there."""

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from numpy.typing import NDArray
from shipped import train_params

from attune.checkpoints import load_checkpoint
from attune.errors import EnvironmentFault
from attune.finetuning import methods, preflight, training
from attune.finetuning.families import Example, family_of
from attune.finetuning.forgetting import Forgetting
from attune.finetuning.lessons import Features, Lesson
from attune.finetuning.preflight import foresee
from attune.finetuning.training import finetune
from attune.params import TrainParams

EXAMPLES = [Example(str(n), "a fever", 1.0) for n in range(4)]


class Clips:
    def __getitem__(self, utterance_id: str) -> NDArray[np.float32]:
        return tiny_models.speech(1.0, int(utterance_id))


def prepared(folder: Path, params: TrainParams, kind: str = "whisper") -> tuple[Any, Any]:
    if not folder.is_dir():
        tiny_models.make_whisper(folder) if kind == "whisper" else tiny_models.make_wav2vec2(folder, "layer")
    checkpoint = load_checkpoint(str(folder), None)
    family = family_of(checkpoint.family, checkpoint.model, checkpoint.processor, None)
    return methods.prepared(checkpoint.model, family, params, "cpu"), family


def tune(folder: Path, params: TrainParams) -> Any:
    tiny_models.make_whisper(folder / "base")
    base = load_checkpoint(str(folder / "base"), None)
    return finetune(base, EXAMPLES, [], Clips(), params, None, folder / "out", folder / "work")


@pytest.mark.parametrize("kind", ["whisper", "ctc"])
def test_what_learns_decides_what_optimizer_and_checkpoints_take(kind: str, tmp_path: Path) -> None:
    def need(method: str) -> Any:
        params = train_params(method=method)
        model, family = prepared(tmp_path / "base", params, kind)
        return foresee(model, Lesson(Features(family, Clips()), EXAMPLES, [], Forgetting([], None)), params, "cpu")

    lora, full = need("lora"), need("full")
    assert lora.optimizer_mb < full.optimizer_mb <= 2 * full.weights_mb
    assert lora.checkpoint_mb < full.checkpoint_mb
    assert lora.result_mb < full.result_mb


def test_each_more_utterance_takes_what_the_second_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def step_mb(**changes: Any) -> float | None:
        def measured(works: Any, _: str) -> list[float]:
            tried = [work() for work in works]
            return [100.0, 130.0][: len(tried)]

        monkeypatch.setattr(preflight, "memory_growths_mb", measured)
        params = train_params(**changes)
        model, family = prepared(tmp_path / "base", params)
        return foresee(model, Lesson(Features(family, Clips()), EXAMPLES, [], Forgetting([], None)), params, "cpu").step_mb

    assert step_mb(batch_size=1) == 100
    assert step_mb(batch_size=4) == 190
    assert step_mb(batch_size=4, gradient_checkpointing=True) == 95


def test_where_the_system_does_not_tell_memory_no_figure_is_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "memory_growths_mb", lambda *_: None)
    assert tune(tmp_path, train_params(epochs=1)).timing["estimated_memory_mb"] is None
    assert "memory that cannot be told here, and up to" in capsys.readouterr().err


def test_a_checkpoint_is_as_large_as_was_foreseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreseen, sizes = list[Any](), list[float]()
    real, plain = training.foresee, training.WerTrainer._save_checkpoint

    def weighed(self: Any, *given: Any) -> None:
        plain(self, *given)
        (saved,) = Path(self.args.output_dir).glob("checkpoint-*")
        sizes.append(sum(file.stat().st_size for file in saved.rglob("*") if file.is_file()) / 1e6)

    monkeypatch.setattr(training, "foresee", lambda *given: foreseen.append(real(*given)) or foreseen[-1])
    monkeypatch.setattr(training.WerTrainer, "_save_checkpoint", weighed)
    tune(tmp_path, train_params(method="full", epochs=1, learning_rate={"full": 1e-4}))
    (size,), (need,) = sizes, foreseen
    assert need.checkpoint_mb - 8.0 == pytest.approx(size, rel=0.25)
    assert need.result_mb - 8.0 == pytest.approx(need.weights_mb)


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    params = train_params(lora={"dropout": 0.5})
    model, family = prepared(tmp_path / "base", params)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    foresee(model, Lesson(Features(family, Clips()), EXAMPLES, [], Forgetting([], None)), params, "cpu")
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
    assert model.training
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    assert all(p.grad is None for p in model.parameters())


def test_it_is_told_in_a_sentence_before_the_first_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tune(tmp_path, train_params(epochs=1))
    said = capsys.readouterr().err
    assert "Training takes about" in said
    assert "4 utterances" in said
    assert report.timing["estimated_memory_mb"] is None or report.timing["estimated_memory_mb"] > 0


def test_too_little_disk_is_an_error_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 5_000_000))
    monkeypatch.setattr(training.WerTrainer, "training_step", lambda *_, **__: pytest.fail("it began to train"))
    said = r"would fill the disk of .*: 5 MB are free, and it takes up to \d+ MB \(3 checkpoints of \d+ MB, a result of \d+ MB\)"
    with pytest.raises(EnvironmentFault, match=said):
        tune(tmp_path, train_params(epochs=1))


def test_little_memory_is_told_and_training_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "memory_growths_mb", lambda *_: [5.0, 7.0])
    monkeypatch.setattr(preflight, "free_memory_mb", lambda _: 0.1)
    assert tune(tmp_path, train_params(epochs=1)).steps == 1
    assert "of 0 MB free" in (said := capsys.readouterr().err)
    assert "where it runs out, batches are halved" in said
