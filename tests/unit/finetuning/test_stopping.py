"""Training ends where it no longer gets better, at the same step whether it was killed before or not."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_training import EXAMPLES, Tones, params, tiny

from attune.finetuning import training
from attune.finetuning.stopping import StopWithoutGain
from attune.finetuning.training import finetune


@pytest.mark.parametrize(
    ("wers", "stops"), [([0.5, 0.6, 0.5], True), ([0.5, 0.4, 0.6], False), ([0.5, 0.6], False), ([0.5], False)]
)
def test_stops_after_so_many_evaluations_without_a_better_one(wers: list[float], stops: bool) -> None:
    state = SimpleNamespace(log_history=[{"loss": 1.0}, *({"eval_wer": wer} for wer in wers)])
    control = SimpleNamespace(should_training_stop=False, should_save=True)
    StopWithoutGain(2, lambda measured: measured).on_evaluate(None, state, control)
    assert control.should_training_stop is stops
    assert control.should_save is not stops


@pytest.mark.parametrize("at_step", [5, 7])
def test_a_killed_run_stops_where_an_undisturbed_one_does(at_step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(name: str) -> training.TrainingReport:
        rates = {"lora": 1e-9, "full": 1e-9}  # nothing is learnt: the first evaluation is the best
        settings = params(epochs=9, batch_size=2, evaluations_per_epoch=1, patience=2, learning_rate=rates)
        return finetune(tiny("ctc"), EXAMPLES, EXAMPLES, Tones(), settings, None, tmp_path / name, tmp_path / f"{name}-work")

    calm = train("calm")
    assert calm.steps == 6
    plain, steps = training.WerTrainer.training_step, 0

    def killed(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == at_step:
            raise KeyboardInterrupt
        return plain(self, *arguments, **named)

    monkeypatch.setattr(training.WerTrainer, "training_step", killed)
    if at_step == 7:  # after the step that ends training, before the result is written
        monkeypatch.setattr(training.WerTrainer, "_load_best_model", lambda _: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        train("storm")
    monkeypatch.undo()
    storm = train("storm")
    assert (storm.steps, storm.losses, storm.validation_wers) == (calm.steps, calm.losses, calm.validation_wers)
