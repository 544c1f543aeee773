"""Node `select_errors`: what is trained on and validated with, and the proof that no test speaker is among it."""

from pathlib import Path

import click

from attune.dataset import UTTERANCES
from attune.files import read_jsonl, whole_folder, write_csv, write_json, write_jsonl
from attune.lineage import check_lineage, record_lineage
from attune.params import load_params
from attune.records import Gold, Hypothesis
from attune.selection import metrics, plot_rows
from attune.tasks.registry import answering
from stages._run import FILE, FOLDER, stage


@stage
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--baseline", type=FOLDER, required=True)
@click.option("--gold", type=FOLDER, required=True)
@click.option("--selected", type=FOLDER, required=True)
@click.option("--plot", type=FILE, required=True)
@click.option("--metrics", "metrics_file", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(prepared: Path, baseline: Path, gold: Path, selected: Path, plot: Path, metrics_file: Path, params_file: Path) -> None:
    """Writes train.jsonl, validation.jsonl, dropped.jsonl and confusions.jsonl, and the figures."""
    params = load_params(params_file)
    hypotheses = baseline / "hypotheses.jsonl"
    check_lineage(gold, [prepared / UTTERANCES, hypotheses])
    golds, heard = read_jsonl(gold / "gold.jsonl", Gold), read_jsonl(hypotheses, Hypothesis)
    report = answering(params.task, "select_errors").choose(prepared, golds, heard, params)
    with whole_folder(selected) as folder:
        record_lineage(folder, gold, [gold / "gold.jsonl"])
        write_jsonl(folder / "train.jsonl", [s for s in report.selections if s.split == "train"])
        write_jsonl(folder / "validation.jsonl", [s for s in report.selections if s.split == "validation"])
        write_jsonl(folder / "dropped.jsonl", report.dropped)
        write_jsonl(folder / "confusions.jsonl", report.confusions)
    write_csv(plot, ("confusion", "count"), plot_rows(report))
    write_json(metrics_file, metrics(report))
    errors, replayed, validation = (report.count(role) for role in ("error", "replay", "validation"))
    nothing = " No errors were found: the base model will be the result." if report.nothing_to_train else ""
    click.echo(
        f"select_errors: {errors} errors and {replayed} well-heard utterances to train, {validation} to validate.{nothing}"
    )


if __name__ == "__main__":
    main()
