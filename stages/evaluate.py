"""Node `evaluate`: base and tuned model on the same held-out speakers, against human references only."""

import time
from pathlib import Path

import click

from attune.checkpoints import TRAINING_RECORD
from attune.dataset import UTTERANCES, Sounds, read_utterances
from attune.files import whole_folder, write_csv, write_json, write_jsonl
from attune.lineage import check_lineage, record_lineage
from attune.operations.hearing import hear
from attune.params import load_params
from attune.report.evaluation import evaluate
from attune.report.tables import SCORES, headline, metrics, plot_rows, speaker_rows
from attune.workcache import WorkCache
from stages._run import FILE, FOLDER, stage


@stage
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--finetuned", type=FOLDER, required=True)
@click.option("--evaluated", type=FOLDER, required=True)
@click.option("--plot", type=FILE, required=True)
@click.option("--metrics", "metrics_file", type=FILE, required=True)
@click.option("--timing", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(
    prepared: Path, finetuned: Path, evaluated: Path, plot: Path, metrics_file: Path, timing: Path, params_file: Path
) -> None:
    """Writes the scores with intervals, both models' texts of every test utterance, and a plot's data."""
    params = load_params(params_file)
    start_s = time.monotonic()
    check_lineage(finetuned, [prepared / UTTERANCES])
    utterances = read_utterances(prepared)
    tested = [u for u in utterances if u.split == "test" and u.reference is not None]
    sounds, cache = Sounds(prepared), WorkCache()
    heard = [hear(name, tested, sounds, params, cache)[0] for name in (params.model.name, finetuned)]
    base, tuned = ({hypothesis.id: hypothesis.text for hypothesis in texts} for texts in heard)
    result = evaluate(utterances, base, tuned, params.evaluate)
    with whole_folder(evaluated) as folder:
        record_lineage(folder, finetuned, [finetuned / TRAINING_RECORD])
        write_json(folder / SCORES, metrics(result))
        write_jsonl(folder / "utterances.jsonl", result.utterances)
        write_csv(folder / "speakers.csv", ("speaker", "utterances", "base_wer", "tuned_wer"), speaker_rows(result))
    write_csv(plot, ("result", "wer", "wer_low", "wer_high"), plot_rows(result))
    write_json(metrics_file, headline(result))
    write_json(timing, {"minutes": (time.monotonic() - start_s) / 60})
    whole = result.slices[0]
    click.echo(
        f"evaluate: {whole.utterances} utterances of {whole.speakers} held-out speakers; "
        f"WER {whole.base.words.rate:.2%} -> {whole.tuned.words.rate:.2%}."
    )


if __name__ == "__main__":
    main()
