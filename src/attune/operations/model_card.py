"""Writes the README.md of a tuned model from facts: front matter as the Hugging Face hub reads it, then tables for people.

No date and no figure that differs from run to run, so that the same inputs give the same bytes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from attune.checkpoint_files import read_json
from attune.checkpoints import TRAINING_RECORD, Checkpoint, read_training_record, tuned_checkpoint, tuned_place
from attune.files import write_text
from attune.finetuning.training_report import TrainingReport
from attune.operations.base_cards import BaseFacts, base_facts, shown_name
from attune.operations.card_parts import CARD, TASK, table
from attune.params import ModelParams, TrainParams
from attune.records import Selection

_ROLES = {"error": "misheard, learnt from", "replay": "heard rightly, replayed", "validation": "validation"}
_NOT_TOLD = frozenset({"cache_gb"})
_OFF: tuple[Any, ...] = (None, 0.0, False)


@dataclass(frozen=True)
class Facts:
    """What a card tells."""

    checkpoint: Checkpoint
    """The base, as it was before training."""
    model: ModelParams
    train: TrainParams
    selected: Sequence[Selection]
    durations_s: Mapping[str, float]
    """By utterance id."""
    report: TrainingReport


def write_card(folder: Path, facts: Facts) -> None:
    """Puts the card beside the weights in a tuned `folder`, in place of the empty one that PEFT leaves there."""
    base = base_facts(facts.model.name, facts.model.revision)
    write_text(folder / tuned_place(facts.train.method) / CARD, f"---\n{_front_matter(facts, base)}---\n\n{_body(facts, base)}")


def _front_matter(facts: Facts, base: BaseFacts) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    method, report = facts.train.method, facts.report
    wers = {"validation": report.wer_after, "out-of-domain": report.forgetting_wer_after}
    scores = [
        EvalResult(TASK, side, f"{side} utterances", "wer", round(100 * wer, 2), metric_name="WER, %")
        for side, wer in wers.items()
        if wer is not None
    ]
    data = ModelCardData(
        model_name=_title(facts) if scores else None,
        base_model=base.hub_name,
        license=base.licence or "unknown",
        language=facts.model.language or base.language,
        library_name="transformers" if method == "full" else "peft",
        pipeline_tag=TASK,
        tags=[TASK, facts.checkpoint.config.model_type, method, "attune"],
        metrics=["wer"],
        eval_results=scores or None,
    )
    return str(data.to_yaml(line_break="\n")) + "\n"


def _body(facts: Facts, base: BaseFacts) -> str:
    train, report = facts.train, facts.report
    learnt = "weights" if train.method == "full" else "adapters"
    parts = [
        f"# {_title(facts)}",
        f"{base.name}, fine-tuned by Attune ({learnt}, method {train.method}).",
        "## Base",
        table(("", ""), _base_rows(facts, base)),
        "## Data",
        table(("role", "utterances", "hours", "texts by"), _data_rows(facts)),
        *([f"Left out, as the model cannot learn them: {_counted(report.dropped)}."] if report.dropped else []),
        "## Scores",
        _scores(report),
        "## Training",
        table(("setting", "value"), _settings(facts)),
        _steps(report),
        "## Use",
        _usage(facts),
        f"Made with torch {_release('torch')}, transformers {_release('transformers')}, peft {_release('peft')}.",
    ]
    return "\n\n".join(parts) + "\n"


def _base_rows(facts: Facts, base: BaseFacts) -> list[tuple[str, str]]:
    return [
        ("model", base.name),
        ("revision", base.commit or facts.model.revision or "none: a folder"),
        ("digest", f"`{facts.checkpoint.digest}` (SHA-256 of its files)"),
        ("licence", base.licence or f"unknown: see {base.name}"),
    ]


def _data_rows(facts: Facts) -> Sequence[tuple[str, ...]]:
    rows = []
    for role, told in _ROLES.items():
        of_role = [s for s in facts.selected if s.role == role]
        hours = sum(facts.durations_s[s.id] for s in of_role) / 3600
        rows.append((told, str(len(of_role)), f"{hours:.2f}", _counted(Counter(s.source for s in of_role)) or "-"))
    return rows


def _scores(report: TrainingReport) -> str:
    heard = [
        ("validation", report.validation_utterances, report.wer_before, report.wer_after),
        ("out of domain", report.forgetting_utterances, report.forgetting_wer_before, report.forgetting_wer_after),
    ]
    rows = [(what, str(count), _percent(before), _percent(after)) for what, count, before, after in heard if count]
    if not rows:
        return "Not measured: there was no validation side."
    note = "Validation chose the checkpoint. Scores on speakers by whom nothing was chosen are the evaluation's, not this card's."
    return table(("utterances", "count", "WER before", "WER after"), rows) + "\n\n" + note


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.2%}"


def _steps(report: TrainingReport) -> str:
    said = f"{report.steps} steps of {report.batch_size * report.accumulation} utterances"
    return f"{said}; {report.trainable_share:.2%} of the weights learnt; {report.kept_learnt:g} of what was learnt kept."


def _settings(facts: Facts) -> list[tuple[str, str]]:
    """All that is on, by the names of params.yaml."""
    train, content = facts.train, facts.train.model_dump(mode="json")
    flat = {key: value for key, value in content.items() if key not in _NOT_TOLD and not isinstance(value, dict)}
    sections = {"augmentation": True, "whisper": facts.checkpoint.family == "whisper", "lora": train.method != "full"}
    for section in (name for name, counts in sections.items() if counts):
        flat |= {f"{section}.{key}": value for key, value in content[section].items()}
    flat["forgetting.max_increase_points"] = train.forgetting.max_increase_points
    flat["learning_rate"] = content["learning_rate"]["full" if train.method == "full" else "lora"]
    return [(key, f"{value}") for key, value in flat.items() if value not in _OFF]


def _usage(facts: Facts) -> str:
    auto = "AutoModelForCTC" if facts.checkpoint.family == "ctc" else "AutoModelForSpeechSeq2Seq"
    place = tuned_place(facts.train.method)
    lines = [f"from transformers import {auto}, AutoProcessor", ""]
    if facts.train.method == "full":
        lines.append(f'model = {auto}.from_pretrained("{place}")')
    else:
        lines.insert(0, "from peft import PeftModel")
        lines += _opening(facts.model.name, facts.model.revision, auto)
        lines.append(f'model = PeftModel.from_pretrained(base, "{place}")')
    lines.append(f'processor = AutoProcessor.from_pretrained("{place}")')
    return "```python\n" + "\n".join(lines) + "\n```"


def _opening(name: str, revision: str | None, auto: str) -> list[str]:
    """Python that makes `base` of a checkpoint, or of an earlier result, whose adapters are merged into their own base."""
    if (Path(name) / TRAINING_RECORD).is_file():
        return _opening(tuned_checkpoint(Path(name)), read_training_record(Path(name)).revision, auto)
    config = Path(name) / "adapter_config.json"
    if not config.is_file():
        pinned = f', revision="{revision}"' if revision and not Path(name).is_dir() else ""
        return [f'base = {auto}.from_pretrained("{shown_name(name)}", dtype="float32"{pinned})']  # as it was learnt on
    told = read_json(config)
    below = _opening(str(told["base_model_name_or_path"]), told.get("revision") or revision, auto)
    return [*below, f'base = PeftModel.from_pretrained(base, "{shown_name(name)}").merge_and_unload()']


def _title(facts: Facts) -> str:
    return f"{Path(facts.model.name).name} tuned by {facts.train.method}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {counts[name]}" for name in sorted(counts))


def _release(package: str) -> str:
    return version(package).partition("+")[0]
