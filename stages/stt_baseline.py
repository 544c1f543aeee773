"""Node `stt_baseline`: what the base model hears in every utterance, with its confidence and alternatives."""

from pathlib import Path

import click

from attune.dataset import UTTERANCES
from attune.files import whole_folder, write_csv, write_json, write_jsonl
from attune.lineage import record_lineage
from attune.operations.baseline import RELIABILITY
from attune.params import load_params
from attune.tasks.registry import answering
from stages._run import FILE, FOLDER, stage


@stage
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--baseline", type=FOLDER, required=True)
@click.option("--metrics", "metrics_file", type=FILE, required=True)
@click.option("--reliability-plot", type=FILE, required=True)
@click.option("--timing", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(prepared: Path, baseline: Path, metrics_file: Path, reliability_plot: Path, timing: Path, params_file: Path) -> None:
    """Writes hypotheses.jsonl, their scores by condition and split, and the figures."""
    params = load_params(params_file)
    heard = answering(params.task, "stt_baseline").hear(prepared, params)
    if heard.note:
        click.echo(f"stt_baseline: {heard.note}", err=True)
    with whole_folder(baseline) as folder:
        record_lineage(folder, None, [prepared / UTTERANCES])
        write_jsonl(folder / "hypotheses.jsonl", heard.hypotheses)
        write_csv(folder / "scores.csv", heard.columns, heard.scores)
    write_csv(reliability_plot, RELIABILITY, heard.reliability)
    write_json(metrics_file, heard.figures)
    write_json(timing, heard.timing)
    click.echo(f"stt_baseline: {heard.sentence}")


if __name__ == "__main__":
    main()
