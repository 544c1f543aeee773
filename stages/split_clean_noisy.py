"""Node `split_clean_noisy`: the user's recordings become a checked corpus, dealt by speaker."""

from pathlib import Path

import click

from attune.commandline import one_line
from attune.files import write_csv, write_json
from attune.intake import IntakeReport
from attune.params import load_params
from attune.report.corpus import PARTS, distribution, metrics
from attune.tasks.registry import answering
from stages._run import FILE, FOLDER, stage


@stage
@click.option("--raw", type=FOLDER, required=True)
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--metrics", "metrics_file", type=FILE, required=True)
@click.option("--durations-plot", type=FILE, required=True)
@click.option("--snr-plot", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(raw: Path, prepared: Path, metrics_file: Path, durations_plot: Path, snr_plot: Path, params_file: Path) -> None:
    """Writes 16 kHz mono shards, utterances.jsonl and rejected.jsonl, the figures, and how durations and noise are spread."""
    params = load_params(params_file)
    report = answering(params.task, "split_clean_noisy").prepare(raw, prepared, params)
    write_json(metrics_file, metrics(report))
    write_csv(durations_plot, ("duration_s", *PARTS), distribution(report.utterances, "duration_s", 1))
    write_csv(snr_plot, ("snr_db", *PARTS), distribution(report.utterances, "snr_db", 5))
    for warning in report.warnings:
        click.echo(one_line(f"split_clean_noisy: warning: {warning}"), err=True)
    click.echo(_sentence(report, prepared))


def _sentence(report: IntakeReport, prepared: Path) -> str:
    figures = metrics(report)
    sides = ", ".join(f"{side} {figures[side]['speakers']}" for side in ("train", "validation", "test"))
    lost = f"rejected {figures['rejected']} (see {prepared / 'rejected.jsonl'})" if report.rejected else "nothing rejected"
    return (
        f"split_clean_noisy: {figures['utterances']} utterances ({figures['hours']:.2f} h) "
        f"of {figures['speakers']} speakers: {sides}; {lost}."
    )


if __name__ == "__main__":
    main()
