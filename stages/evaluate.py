"""Node `evaluate`: base and tuned model on the same held-out speakers, against human references only."""

import time
from pathlib import Path

import click

from attune.checkpoints import TRAINING_RECORD
from attune.dataset import UTTERANCES
from attune.files import whole_folder, write_json
from attune.lineage import check_lineage, record_lineage
from attune.params import load_params
from attune.tasks.protocol import Places
from attune.tasks.registry import answering
from stages._run import FILE, FOLDER, stage


@stage
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--gold", type=FOLDER, required=True)
@click.option("--finetuned", type=FOLDER, required=True)
@click.option("--suites", type=FOLDER, required=True)
@click.option("--glossary", type=FILE, required=True)
@click.option("--out-of-domain", type=FOLDER, required=True)
@click.option("--loss-plot", type=FILE, required=True)
@click.option("--wer-plot", type=FILE, required=True)
@click.option("--evaluated", type=FOLDER, required=True)
@click.option("--results", "results_file", type=FILE, required=True)
@click.option("--reports", type=FOLDER, required=True)
@click.option("--plots", type=FOLDER, required=True)
@click.option("--metrics", "metrics_file", type=FILE, required=True)
@click.option("--timing", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(
    prepared: Path, gold: Path, finetuned: Path, suites: Path, glossary: Path, out_of_domain: Path, loss_plot: Path,
    wer_plot: Path, evaluated: Path, results_file: Path, reports: Path, plots: Path, metrics_file: Path, timing: Path,
    params_file: Path,
) -> None:  # fmt: skip
    """Writes the scores with intervals and a verdict, both models' texts of every test utterance, and the reports for people."""
    params, start_s = load_params(params_file), time.monotonic()
    check_lineage(finetuned, [prepared / UTTERANCES, gold / "gold.jsonl"])
    places = Places(prepared, gold, finetuned, suites, glossary, out_of_domain, loss_plot, wer_plot)
    judged = answering(params.task, "evaluate").judge(places, params)
    with whole_folder(evaluated) as folder:
        record_lineage(folder, finetuned, [finetuned / TRAINING_RECORD])
        judged.write_folder(folder)
    judged.write_plots(plots)
    judged.write_reports(reports)
    judged.write_results(results_file)
    write_json(metrics_file, judged.figures())
    write_json(timing, {"minutes": (time.monotonic() - start_s) / 60, **judged.costs()})
    click.echo(f"evaluate: {judged.sentence()}")
    judged.require(results_file)


if __name__ == "__main__":
    main()
