"""Node `convert_ct2`: the model to deploy, released only when it says what the tuned model says."""

from pathlib import Path

import click

from attune.checkpoints import TRAINING_RECORD
from attune.dataset import UTTERANCES
from attune.files import whole_folder, write_json
from attune.lineage import check_lineage
from attune.params import load_params
from attune.tasks.registry import answering
from stages._run import FILE, FOLDER, stage


@stage
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--finetuned", type=FOLDER, required=True)
@click.option("--evaluated", type=FOLDER, required=True)
@click.option("--ct2", type=FOLDER, required=True)
@click.option("--metrics", type=FILE, required=True)
@click.option("--timing", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(prepared: Path, finetuned: Path, evaluated: Path, ct2: Path, metrics: Path, timing: Path, params_file: Path) -> None:
    """Writes the exported model and the figures of its parity."""
    params = load_params(params_file)
    check_lineage(evaluated, [prepared / UTTERANCES, finetuned / TRAINING_RECORD])
    with whole_folder(ct2) as folder:
        released = answering(params.task, "convert_ct2").release(prepared, finetuned, folder, params)
    write_json(metrics, released.figures)
    write_json(timing, released.timing)
    click.echo(f"convert_ct2: {released.sentence}")


if __name__ == "__main__":
    main()
