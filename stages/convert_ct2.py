"""Node `convert_ct2`: the model to deploy, released only when it says what the tuned model says."""

import time
from pathlib import Path

import click

from attune.checkpoints import TRAINING_RECORD
from attune.dataset import UTTERANCES
from attune.files import whole_folder, write_csv, write_json
from attune.lineage import check_lineage
from attune.params import load_params
from attune.tasks.protocol import COSTS, Tuned
from attune.tasks.registry import answering
from stages._run import FILE, FOLDER, stage


@stage
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--finetuned", type=FOLDER, required=True)
@click.option("--evaluated", type=FOLDER, required=True)
@click.option("--ct2", type=FOLDER, required=True)
@click.option("--plot", type=FILE, required=True)
@click.option("--timing-plot", type=FILE, required=True)
@click.option("--metrics", type=FILE, required=True)
@click.option("--timing", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(
    prepared: Path, finetuned: Path, evaluated: Path, ct2: Path, plot: Path, timing_plot: Path, metrics: Path, timing: Path,
    params_file: Path,
) -> None:  # fmt: skip
    """Writes the exported model, its card and its list of files, the figures of its parity, and what hearing with it takes."""
    params, begin_s = load_params(params_file), time.perf_counter()
    check_lineage(evaluated, [prepared / UTTERANCES, finetuned / TRAINING_RECORD])
    with whole_folder(ct2) as folder:
        released = answering(params.task, "convert_ct2").release(Tuned(prepared, finetuned, evaluated), folder, params)
    wall_s, costs = time.perf_counter() - begin_s, released.costs(ct2)
    write_json(metrics, released.figures())
    released.write_plot(plot)
    write_json(timing, {"wall_s": wall_s, "exports": costs})
    write_csv(timing_plot, ["export", *COSTS], [{"export": name, **cost} for name, cost in costs.items()])
    click.echo(f"convert_ct2: {released.sentence()}")


if __name__ == "__main__":
    main()
