"""Node `convert_ct2`: the model to deploy, released only when it says what the tuned model says."""

import time
from dataclasses import asdict
from pathlib import Path

import click

from attune.checkpoints import TRAINING_RECORD
from attune.dataset import UTTERANCES, Sounds, read_utterances
from attune.files import whole_folder, write_json
from attune.lineage import check_lineage
from attune.operations.measuring import COLUMNS, measure_all
from attune.operations.release import release
from attune.operations.released import write_plot, write_timing_plot
from attune.operations.sealing import seal
from attune.params import load_params
from attune.workcache import WorkCache
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
    utterances, sounds = read_utterances(prepared), Sounds(prepared)
    with whole_folder(ct2) as folder:
        released = release(finetuned, utterances, sounds, params, WorkCache(), folder)
        seal(finetuned, evaluated, folder, released, params)
    wall_s = time.perf_counter() - begin_s
    costs = {name: asdict(cost) for name, cost in measure_all(ct2, released, utterances, sounds, params).items()}
    write_json(metrics, released.metrics())
    write_plot(plot, released)
    write_json(timing, {"wall_s": wall_s, "exports": costs})
    write_timing_plot(timing_plot, costs, COLUMNS)
    click.echo(f"convert_ct2: {released.sentence()}")


if __name__ == "__main__":
    main()
