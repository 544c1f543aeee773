"""Node `llm_gold`: the text that training may believe, human first, and what a person should review."""

import time
from pathlib import Path

import click

from attune.dataset import UTTERANCES
from attune.files import read_jsonl, whole_folder, write_json, write_jsonl
from attune.lineage import check_lineage, record_lineage
from attune.params import load_params
from attune.records import Hypothesis
from attune.tasks.registry import answering
from stages._run import FILE, FOLDER, stage


@stage
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--baseline", type=FOLDER, required=True)
@click.option("--gold", type=FOLDER, required=True)
@click.option("--metrics", "metrics_file", type=FILE, required=True)
@click.option("--timing", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(prepared: Path, baseline: Path, gold: Path, metrics_file: Path, timing: Path, params_file: Path) -> None:
    """Writes gold.jsonl and review.jsonl, and the figures."""
    params, start_s = load_params(params_file), time.monotonic()
    hypotheses = baseline / "hypotheses.jsonl"
    check_lineage(baseline, [prepared / UTTERANCES])
    believed = answering(params.task, "llm_gold").believe(prepared, read_jsonl(hypotheses, Hypothesis), params)
    with whole_folder(gold) as folder:
        record_lineage(folder, baseline, [hypotheses])
        write_jsonl(folder / "gold.jsonl", believed.golds)
        write_jsonl(folder / "review.jsonl", believed.review)
    write_json(metrics_file, believed.figures)
    write_json(timing, {"minutes": (time.monotonic() - start_s) / 60})
    waiting = f"{len(believed.review)} wait for review in {gold / 'review.jsonl'}."
    click.echo(f"llm_gold: {believed.sentence}; {waiting}{believed.note}")


if __name__ == "__main__":
    main()
