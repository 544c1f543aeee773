"""Node `train`: fine-tunes the base model on the selected utterances; with nothing selected the base is the result."""

import time
from pathlib import Path

import click

from attune.checkpoints import TrainingRecord, load_checkpoint, write_training_record
from attune.dataset import UTTERANCES, Sounds, read_utterances
from attune.files import read_jsonl, whole_folder, write_csv, write_json
from attune.finetuning.families import Example
from attune.finetuning.training import TrainingReport, finetune
from attune.lineage import check_lineage, record_lineage
from attune.params import load_params
from attune.records import Selection
from stages._run import FILE, FOLDER, stage


@stage
@click.option("--prepared", type=FOLDER, required=True)
@click.option("--selected", type=FOLDER, required=True)
@click.option("--finetuned", type=FOLDER, required=True)
@click.option("--work", type=FOLDER, required=True, help="Checkpoints of an unfinished run; not an output.")
@click.option("--curve", type=FILE, required=True)
@click.option("--metrics", type=FILE, required=True)
@click.option("--timing", type=FILE, required=True)
@click.option("--params", "params_file", type=FILE, default=Path("params.yaml"))
def main(
    prepared: Path, selected: Path, finetuned: Path, work: Path, curve: Path, metrics: Path, timing: Path, params_file: Path
) -> None:
    """Writes adapters or weights, metrics/train.json and the training curve."""
    params = load_params(params_file)
    model, train = params.model, params.train
    start_s = time.monotonic()
    check_lineage(selected, [prepared / UTTERANCES])
    lengths = {u.id: u.duration_s for u in read_utterances(prepared)}
    chosen, validation = (read_jsonl(selected / f"{side}.jsonl", Selection) for side in ("train", "validation"))
    errors = sum(s.role == "error" for s in chosen)
    report = TrainingReport()
    with whole_folder(finetuned) as folder:
        checkpoint = load_checkpoint(model.name, model.revision)
        if errors:
            examples, held_out = ([Example(s.id, s.text, lengths[s.id]) for s in side] for side in (chosen, validation))
            report = finetune(checkpoint, examples, held_out, Sounds(prepared), train, model.language, folder, work)
        method = train.method if errors else "none"
        record_lineage(folder, selected, [selected / "train.jsonl", selected / "validation.jsonl"])
        write_training_record(folder, TrainingRecord(model.name, model.revision, method, checkpoint.family))
    write_csv(curve, ("step", "loss", "validation_wer"), report.curve_rows())
    write_json(
        metrics,
        {
            "method": method,
            "trained": bool(errors),
            "error_utterances": errors,
            "replayed_utterances": len(chosen) - errors,
            **report.metrics(),
        },
    )
    write_json(timing, {"minutes": (time.monotonic() - start_s) / 60})
    if errors:
        click.echo(f"train: {method} on {report.trained_utterances} utterances in {report.steps} steps; {report.verdict()}.")
    else:
        click.echo("train: no errors were found, so there is nothing to train; the base model is released as it is.")


if __name__ == "__main__":
    main()
