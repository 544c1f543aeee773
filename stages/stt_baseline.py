"""Node `stt_baseline`: what the base model hears in every utterance, with its confidence and alternatives."""

from dataclasses import asdict
from pathlib import Path

import click

from attune.dataset import UTTERANCES, Sounds, read_utterances
from attune.files import whole_folder, write_json, write_jsonl
from attune.lineage import record_lineage
from attune.operations.baseline import metrics, sentence
from attune.params import load_params
from attune.recognizers.registry import open_recognizer
from attune.recognizers.transcription import transcribe_corpus
from attune.workcache import WorkCache
from stages._run import FILE, FOLDER, stage


@stage
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--baseline", type=FOLDER, required=True)
@click.option("--metrics", "metrics_file", type=FILE, required=True)
@click.option("--timing", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(prepared: Path, baseline: Path, metrics_file: Path, timing: Path, params_file: Path) -> None:
    """Writes hypotheses.jsonl and the figures."""
    params = load_params(params_file)
    utterances, model, nbest = read_utterances(prepared), params.model, params.stt_baseline.nbest
    recognizer = open_recognizer(model.name, model)
    heard, report = transcribe_corpus(recognizer, utterances, Sounds(prepared), WorkCache(), model.batch_size, nbest)
    with whole_folder(baseline) as folder:
        record_lineage(folder, None, [prepared / UTTERANCES])
        write_jsonl(folder / "hypotheses.jsonl", heard)
    figures = metrics(utterances, heard)
    write_json(metrics_file, figures)
    write_json(timing, {**asdict(report), "real_time_factor": report.real_time_factor})
    click.echo(f"stt_baseline: {sentence(figures)}")


if __name__ == "__main__":
    main()
