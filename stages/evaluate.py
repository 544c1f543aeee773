"""Node `evaluate`: base and tuned model on the same held-out speakers, against human references only."""

import time
from dataclasses import asdict
from pathlib import Path

import click

from attune.checkpoints import TRAINING_RECORD
from attune.dataset import UTTERANCES, Sounds, read_utterances
from attune.errors import RegressionError
from attune.files import read_jsonl, whole_folder, write_csv, write_json
from attune.glossaries import read_glossary
from attune.lineage import check_lineage, record_lineage
from attune.operations.evaluating import decoding_facts, listen, silent_recordings, wanted
from attune.operations.normalizers import normalizers
from attune.params import load_params
from attune.records import Gold
from attune.report.evaluation import Material, evaluate
from attune.report.results import Decoding, write_results
from attune.report.suites import read_suites
from attune.report.tables import headline, plot_rows, sentence, write_folder
from attune.workcache import WorkCache
from stages._run import FILE, FOLDER, stage


@stage
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--gold", type=FOLDER, required=True)
@click.option("--finetuned", type=FOLDER, required=True)
@click.option("--suites", type=FOLDER, required=True)
@click.option("--glossary", type=FILE, required=True)
@click.option("--evaluated", type=FOLDER, required=True)
@click.option("--results", "results_file", type=FILE, required=True)
@click.option("--plot", type=FILE, required=True)
@click.option("--metrics", "metrics_file", type=FILE, required=True)
@click.option("--timing", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(
    prepared: Path, gold: Path, finetuned: Path, suites: Path, glossary: Path, evaluated: Path, results_file: Path, plot: Path,
    metrics_file: Path, timing: Path, params_file: Path,
) -> None:  # fmt: skip
    """Writes the scores with intervals and a verdict, both models' texts of every test utterance, and a plot's data."""
    params, start_s = load_params(params_file), time.monotonic()
    check_lineage(finetuned, [prepared / UTTERANCES, gold / "gold.jsonl"])
    utterances, golds = read_utterances(prepared), {g.id: g for g in read_jsonl(gold / "gold.jsonl", Gold)}
    asked = read_suites(suites), normalizers(params.evaluate.normalizers, params.model)
    heard = listen(finetuned, wanted(utterances, golds), Sounds(prepared), params, WorkCache())
    decoding = Decoding(**decoding_facts(finetuned, heard, params))
    material = Material(utterances, golds, read_glossary(glossary), *asked, decoding)
    played = (*heard.played, *silent_recordings(utterances, heard))
    found = evaluate(material, heard.base, heard.tuned, played, params.evaluate)
    with whole_folder(evaluated) as folder:
        record_lineage(folder, finetuned, [finetuned / TRAINING_RECORD])
        write_folder(folder, found)
    write_csv(plot, ("result", "wer", "wer_low", "wer_high"), plot_rows(found.results))
    write_results(results_file, found.results)
    write_json(metrics_file, headline(found.results))
    costs = {name: {**asdict(r), "real_time_factor": r.real_time_factor} for name, r in heard.reports.items()}
    write_json(timing, {"minutes": (time.monotonic() - start_s) / 60, **costs})
    click.echo(f"evaluate: {sentence(found.results)}")
    failed = [suite.name for suite in found.results.suites if suite.failed]
    if failed and params.evaluate.suites.fail_on_critical:
        raise RegressionError(
            f"critical suites failed: {', '.join(failed)}; see {results_file}; {found.results.verdict.sentence}"
        )


if __name__ == "__main__":
    main()
