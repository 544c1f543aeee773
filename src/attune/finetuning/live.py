"""Figures of a training that is under way, for whoever watches: loss and validation WER by step.

The stage's own metrics and plots hold them while it runs, so that `dvc exp show` and `dvc plots show` do; it writes them anew
when it is done. Beside them, in a folder that the graph does not know, stands all that DVCLive makes of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers.integrations import DVCLiveCallback  # type: ignore[attr-defined]

from attune.files import write_csv, write_json

Curve = Sequence[tuple[int, float]]
"""Steps, and what was measured at each."""

_TOTALS = ("train_", "total_")
"""What the Trainer says of a whole run at its end, by how it begins."""


@dataclass(frozen=True)
class Watched:
    """Where figures stand while training is under way."""

    folder: Path
    """DVCLive's: `metrics.json`, the latest figures, and below `plots/metrics` one table of each by step."""
    metrics: Path
    loss_plot: Path
    wer_plot: Path


class LiveFigures(DVCLiveCallback):
    """Writes what `Watched` says at each step that is logged.

    A resumed run writes what its checkpoint knows anew and goes on from there, so that no step stands there twice.
    """

    def __init__(self, watched: Watched, wer_before: float | None) -> None:
        """`wer_before` is that of step 0, None where there is no validation."""
        super().__init__(log_model=False)
        self._watched = watched
        self._before: list[dict[str, float]] = [] if wer_before is None else [{"step": 0, "eval_wer": wer_before}]

    def setup(self, args: Any, state: Any, model: Any) -> None:  # noqa: ARG002
        from dvclive.live import Live  # it loads DVC

        self._initialized = True
        self.live: Any = Live(str(self._watched.folder), dvcyaml=None, save_dvc_exp=False)  # the graph knows its own outputs
        for logs in (*self._before, *state.log_history):
            self._pass_on(logs, state)
        self._write(state)

    def on_log(self, args: Any, state: Any, control: Any, model: Any = None, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        self._pass_on(state.log_history[-1], state)
        self._write(state)

    def _pass_on(self, logs: Mapping[str, float], state: Any) -> None:
        """To DVCLive, which would count what is logged as steps."""
        self.live.step = int(logs["step"])
        shown = {name: value for name, value in logs.items() if name != "step" and not name.startswith(_TOTALS)}
        super().on_log(None, state, None, logs=shown)  # type: ignore[no-untyped-call]

    def _write(self, state: Any) -> None:
        history = [*self._before, *state.log_history]
        losses, wers = (curve(history, name) for name in ("loss", "eval_wer"))
        write_curves(losses, wers, self._watched.loss_plot, self._watched.wer_plot)
        latest = {"loss": losses, "validation_wer": wers}
        write_json(self._watched.metrics, {"step": state.global_step, **{name: c[-1][1] for name, c in latest.items() if c}})


def curve(history: Sequence[Mapping[str, float]], name: str) -> list[tuple[int, float]]:
    """Of `name` in a Trainer's `log_history`."""
    return [(int(entry["step"]), float(entry[name])) for entry in history if name in entry]


def write_curves(losses: Curve, wers: Curve, loss_plot: Path, wer_plot: Path) -> None:
    """The data of the plots `training_loss` and `validation_wer`, as CSV."""
    write_csv(loss_plot, ("step", "loss"), [{"step": step, "loss": loss} for step, loss in losses])
    write_csv(wer_plot, ("step", "validation_wer"), [{"step": step, "validation_wer": wer} for step, wer in wers])
