"""From the selected utterances to a folder with the tuned model, or with the base where there was no error to learn from."""

import logging
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attune.checkpoints import Checkpoint, TrainingRecord, TuningMethod, load_checkpoint, write_training_record
from attune.dataset import Sounds, read_utterances
from attune.devices import choose_device, reuse_freed_memory
from attune.errors import TrainingError
from attune.files import read_jsonl, write_jsonl
from attune.finetuning import processes
from attune.finetuning.families import Example, FamilyMaker, family_of
from attune.finetuning.forgetting import OutOfDomain
from attune.finetuning.launching import launch
from attune.finetuning.live import Watched
from attune.finetuning.prompts import language_of_tags
from attune.finetuning.sharing import processes_for
from attune.finetuning.training import finetune
from attune.finetuning.training_report import TrainingReport
from attune.operations.model_card import Facts, write_card
from attune.operations.out_of_domain import read_out_of_domain
from attune.params import Params
from attune.records import Selection, Utterance

_LOG = logging.getLogger(__name__)
_DROPPED = "dropped.jsonl"
"""Names in a tuned folder what the model could not learn."""


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


@dataclass(frozen=True)
class Refused:
    """A selected utterance that this model cannot learn."""

    id: str
    reason: str
    """A fixed word to count by, see `finetuning.families`."""


@dataclass(frozen=True)
class Craft:
    """How models of a kind are opened, taught and described; functions of modules, as other processes get them by name."""

    open: Callable[[Params], Checkpoint]
    family: FamilyMaker
    out_of_domain: Callable[[Params, Collection[str]], OutOfDomain]
    """What must not be forgotten, but for the utterances with these ids."""
    describe: Callable[[Path, Facts], None]
    """Writes a card into the tuned folder."""


def _open(params: Params) -> Checkpoint:
    return load_checkpoint(params.model.name, params.model.revision, params.model.language)


def _out_of_domain(params: Params, known: Collection[str]) -> OutOfDomain:
    found = read_out_of_domain(params.train.forgetting.set, params.train.validation_utterances, known)
    return OutOfDomain(tuple(Example(u.id, u.reference or "", u.duration_s) for u in found.utterances), found.sounds)


RECOGNISERS = Craft(_open, family_of, _out_of_domain, write_card)


def tune(
    prepared: Path,
    selected: Path,
    params: Params,
    folder: Path,
    work: Path,
    live: Watched | None = None,
    craft: Craft = RECOGNISERS,
) -> Tuning:
    """Fine-tunes `params.model` on `selected/train.jsonl` into `folder`; unfinished checkpoints stand in `work`, figures to watch
    where `live` says while it trains.

    Raises ModelError where the base cannot be opened, TrainingError where it cannot learn from these utterances, or where
    `params.train.processes` cannot share its batches.
    """
    if not any(s.role == "error" for s in read_jsonl(selected / "train.jsonl", Selection)):
        if live is not None:
            shutil.rmtree(live.folder, ignore_errors=True)  # of an earlier training
        return _tune(prepared, selected, params, folder, work, live, craft, "cpu", 0)
    device = choose_device(params.model.device)
    count = processes_for(params.train, device)
    settled = params.model_copy(update={"train": params.train.model_copy(update={"processes": count})})
    arguments = (prepared, selected, settled, folder, work, live, craft, device)
    return _tune(*arguments, 0) if count == 1 else _together(count, arguments, 0)


def _require_transcribing(params: Params, checkpoint: Checkpoint) -> None:
    """What is learnt stands under Whisper's prompt to transcribe, and would not be heard under that to translate."""
    generation = getattr(checkpoint.model, "generation_config", None)
    if params.model.task == "translate" and getattr(generation, "is_multilingual", False):
        raise TrainingError("model.task is translate, and training teaches to transcribe; set model.task to transcribe")


def _together(count: int, arguments: tuple[Path, Path, Params, Path, Path, Watched | None, Craft, str], halvings: int) -> Tuning:
    """By so many processes; where memory runs out in one of them all begin again with half as many utterances at once."""
    try:
        return launch(count, arguments[-1], _tune, *arguments, halvings)
    except MemoryError:
        _LOG.warning("Memory ran out; starting the %d processes again with half as many utterances at once.", count)
    return _together(count, arguments, halvings + 1)


def _tune(
    prepared: Path,
    selected: Path,
    params: Params,
    folder: Path,
    work: Path,
    live: Watched | None,
    craft: Craft,
    device: str,
    halvings: int,
) -> Tuning:
    """In this process, or in each of those that `launch` started."""
    reuse_freed_memory()
    model = params.model
    utterances = {u.id: u for u in read_utterances(prepared)}
    train, validation = (read_jsonl(selected / f"{side}.jsonl", Selection) for side in ("train", "validation"))
    errors = sum(s.role == "error" for s in train)
    checkpoint = craft.open(params)
    method: TuningMethod = params.train.method if errors else "none"
    report = TrainingReport()
    if errors:
        _require_transcribing(params, checkpoint)
        examples, held_out = ([_example(s, utterances[s.id]) for s in side] for side in (train, validation))
        other = craft.out_of_domain(params, utterances.keys())
        sounds = Sounds(prepared)
        report = finetune(
            checkpoint, examples, held_out, sounds, params.train, model.language, folder, work, device, live, halvings, other,
            craft.family,
        )  # fmt: skip
        if processes.first():
            write_jsonl(folder / _DROPPED, [Refused(*each) for each in sorted(report.refused.items())])
            lengths = {u.id: u.duration_s for u in utterances.values()}
            craft.describe(folder, Facts(checkpoint, model, params.train, [*train, *validation], lengths, report))
    if processes.first():
        record = TrainingRecord(model.name, model.revision, method, checkpoint.family, base_digest=checkpoint.digest)
        write_training_record(folder, record)
    return Tuning(method, errors, len(train) - errors, report)


def _example(selected: Selection, utterance: Utterance) -> Example:
    return Example(selected.id, selected.text, utterance.duration_s, utterance.speaker, language_of_tags(utterance.tags))
