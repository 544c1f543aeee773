"""From the selected utterances to a folder with the tuned model, or with the base where there was no error to learn from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attune.checkpoints import TrainingRecord, TuningMethod, load_checkpoint, write_training_record
from attune.dataset import Sounds, read_utterances
from attune.devices import choose_device, reuse_freed_memory
from attune.files import read_jsonl
from attune.finetuning.families import Example
from attune.finetuning.training import TrainingReport, finetune
from attune.operations.model_card import Facts, write_card
from attune.operations.out_of_domain import read_out_of_domain
from attune.params import Params
from attune.records import Selection


@dataclass(frozen=True)
class Tuning:
    """What became of the selection. `method` is `none` where nothing was trained."""

    method: str
    errors: int
    replayed: int
    report: TrainingReport

    def metrics(self) -> dict[str, Any]:
        """For `metrics/train.json`; no times."""
        return {
            "method": self.method,
            "trained": bool(self.errors),
            "error_utterances": self.errors,
            "replayed_utterances": self.replayed,
            **self.report.metrics(),
        }

    def sentence(self) -> str:
        """One line for people."""
        if not self.errors:
            return "no errors were found, so there is nothing to train; the base model is released as it is."
        done = self.report
        return f"{self.method} on {done.trained_utterances} utterances in {done.steps} steps; {done.verdict()}."


def tune(prepared: Path, selected: Path, params: Params, folder: Path, work: Path) -> Tuning:
    """Fine-tunes `params.model` on `selected/train.jsonl` into `folder`; unfinished checkpoints stand in `work`.

    Raises ModelError where the base cannot be opened, TrainingError where it cannot learn from these utterances.
    """
    reuse_freed_memory()
    model = params.model
    lengths = {u.id: u.duration_s for u in read_utterances(prepared)}
    train, validation = (read_jsonl(selected / f"{side}.jsonl", Selection) for side in ("train", "validation"))
    errors = sum(s.role == "error" for s in train)
    checkpoint = load_checkpoint(model.name, model.revision, model.language)
    method: TuningMethod = params.train.method if errors else "none"
    report = TrainingReport()
    if errors:
        device = choose_device(model.device)
        examples, held_out = ([Example(s.id, s.text, lengths[s.id]) for s in side] for side in (train, validation))
        other = read_out_of_domain(params.train.forgetting.set, params.train.validation_utterances, lengths.keys())
        sounds = Sounds(prepared)
        report = finetune(
            checkpoint, examples, held_out, sounds, params.train, model.language, folder, work, device, out_of_domain=other
        )
        write_card(folder, Facts(checkpoint, model, params.train, [*train, *validation], lengths, report))
    write_training_record(folder, TrainingRecord(model.name, model.revision, method, checkpoint.family))
    return Tuning(method, errors, len(train) - errors, report)
