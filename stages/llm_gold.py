"""Node `llm_gold`: the text that training may believe, human first, and what a person should review."""

import time
from pathlib import Path

import click

from attune.corrections import read_corrections
from attune.correctors.gold import make_gold, metrics
from attune.dataset import UTTERANCES, read_utterances
from attune.files import read_jsonl, whole_folder, write_json, write_jsonl
from attune.lineage import check_lineage, record_lineage
from attune.operations.correction import Workshop, costs
from attune.params import load_params
from attune.records import Hypothesis
from attune.workcache import WorkCache, default_cache_folder
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
    params = load_params(params_file)
    start_s = time.monotonic()
    check_lineage(baseline, [prepared / UTTERANCES])
    utterances, heard = read_utterances(prepared), read_jsonl(baseline / "hypotheses.jsonl", Hypothesis)
    corrections = read_corrections(params.llm_gold.corrections)
    workshop = Workshop(params, utterances, prepared, WorkCache(default_cache_folder()))
    corrector, judge = workshop.corrector(corrections), workshop.judge()
    report = make_gold(
        utterances,
        heard,
        corrector,
        judge,
        params.llm_gold.guards,
        corrections,
        workshop.gate(),
        test_agreement=params.llm_gold.test_agreement,
    )
    with whole_folder(gold) as folder:
        record_lineage(folder, baseline, [baseline / "hypotheses.jsonl"])
        write_jsonl(folder / "gold.jsonl", report.golds)
        write_jsonl(folder / "review.jsonl", report.review)
    write_json(metrics_file, metrics(report) | {"asking": costs(workshop)})
    write_json(timing, {"minutes": (time.monotonic() - start_s) / 60})
    vain = f" {report.unanswered} had no usable answer; dvc repro -f -s llm_gold asks them again." if report.unanswered else ""
    void = f" {len(report.void_corrections)} corrections are of sound that is no more." if report.void_corrections else ""
    click.echo(
        f"llm_gold: {report.believed} of {report.wanted} utterances for training have gold ({corrector.name}); "
        f"{len(report.review)} wait for review in {gold / 'review.jsonl'}.{vain}{void}"
    )


if __name__ == "__main__":
    main()
