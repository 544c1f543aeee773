"""Node `train`: fine-tunes the base model on the selected utterances; with nothing selected the base is the result."""

import os
import time
from pathlib import Path

import click

from attune.dataset import UTTERANCES
from attune.files import whole_folder, write_json
from attune.lineage import check_lineage, record_lineage
from attune.operations.costs import remember
from attune.params import load_params
from attune.tasks.registry import answering
from attune.workcache import WorkCache
from stages._run import FILE, FOLDER, stage

_SPINS = "10000"
"""How often threads that wait for each other look before they sleep, half a millisecond: steps are many short products one after
another. With sleep at once a step took a third longer; spinning for good takes cores from those that prepare the sounds."""


@stage
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--selected", type=FOLDER, required=True)
@click.option("--finetuned", type=FOLDER, required=True)
@click.option("--work", type=FOLDER, required=True, help="Checkpoints of an unfinished run; not an output.")
@click.option("--live", type=FOLDER, required=True, help="Figures to watch while it trains; not an output.")
@click.option("--loss-plot", type=FILE, required=True)
@click.option("--wer-plot", type=FILE, required=True)
@click.option("--metrics", type=FILE, required=True)
@click.option("--timing", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(
    prepared: Path,
    selected: Path,
    finetuned: Path,
    work: Path,
    live: Path,
    loss_plot: Path,
    wer_plot: Path,
    metrics: Path,
    timing: Path,
    params_file: Path,
) -> None:
    """Writes adapters or weights, metrics/train.json, and loss and validation WER by step."""
    os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
    from attune.finetuning.live import Watched, write_curves
    from attune.finetuning.resuming import forget

    params, start_s = load_params(params_file), time.monotonic()
    check_lineage(selected, [prepared / UTTERANCES])
    with whole_folder(finetuned) as folder:
        watched = Watched(live, metrics, loss_plot, wer_plot)
        tuning = answering(params.task, "train").learn(prepared, selected, params, folder, work, watched)
        record_lineage(folder, selected, [selected / "train.jsonl", selected / "validation.jsonl"])
    forget(tuning.report.checkpoints)
    report = tuning.report
    write_curves(report.losses, report.validation_wers, report.forgetting_wers, loss_plot, wer_plot)
    write_json(metrics, tuning.metrics())
    took = {"minutes": (time.monotonic() - start_s) / 60, **tuning.report.timing}
    write_json(timing, took)
    remember(WorkCache(), metrics.read_text(encoding="utf-8"), loss_plot.read_text(encoding="utf-8"), took)
    click.echo(f"train: {tuning.sentence()}")


if __name__ == "__main__":
    main()
