"""Node `stt_baseline`: what the base model hears in every utterance, with its confidence and alternatives."""

from dataclasses import asdict
from pathlib import Path

import click

from attune.dataset import UTTERANCES, Sounds, read_utterances
from attune.files import whole_folder, write_csv, write_json, write_jsonl
from attune.lineage import record_lineage
from attune.operations.baseline import COLUMNS, RELIABILITY, calibrated, metrics, sentence, slices
from attune.operations.hearing import hear
from attune.params import load_params
from attune.workcache import WorkCache
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
    utterances = read_utterances(prepared)
    name, wanted, sounds = params.model.name, params.stt_baseline, Sounds(prepared)
    heard, report = hear(name, utterances, sounds, params, WorkCache(), nbest=wanted.nbest, word_times=wanted.word_times)
    if report.why:
        click.echo(f"stt_baseline: {report.way} is fastest here. {report.why}", err=True)
    heard, doubt = calibrated(utterances, heard, wanted.calibration)
    with whole_folder(baseline) as folder:
        record_lineage(folder, None, [prepared / UTTERANCES])
        write_jsonl(folder / "hypotheses.jsonl", heard)
        write_csv(folder / "scores.csv", COLUMNS, slices(utterances, heard))
    figures = metrics(utterances, heard) | doubt.figures
    write_csv(reliability_plot, RELIABILITY, doubt.rows)
    write_json(metrics_file, figures)
    write_json(timing, {**asdict(report), "real_time_factor": report.real_time_factor})
    click.echo(f"stt_baseline: {sentence(figures)}")


if __name__ == "__main__":
    main()
