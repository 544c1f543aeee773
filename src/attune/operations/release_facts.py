"""What a released model says of where it comes from: base and licence, scores with intervals, data, settings. No dates.

It stands in the model's folder as `release.json`, `params.yaml` and the base's own licence files; the card tells it to people.
"""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from attune.checkpoint_files import read_json
from attune.checkpoints import TrainingRecord, read_training_record
from attune.errors import DataError, ModelError
from attune.files import write_json, write_text
from attune.lineage import read_lineage
from attune.operations.base_cards import BaseFacts, base_facts, licence_files, shown_name
from attune.operations.released import Release
from attune.params import Params

RELEASE, SETTINGS = "release.json", "params.yaml"
FORMAT = "attune-release-1"
"""Of release.json; another form gets another number."""
_SCORES = "scores.json"
"""Where in the evaluation folder its scores stand; `report.tables` writes them."""
_MADE_WITH = ("attune", "torch", "transformers", "ctranslate2")


@dataclass(frozen=True)
class Facts:
    """Of one release."""

    base: BaseFacts
    training: TrainingRecord
    scores: dict[str, Any]
    """Those of the evaluation, by slice: rates as fractions with their bounds, `overall` among them."""
    data: dict[str, str]
    """SHA-256 digests of every list that the model was made from; that of utterances.jsonl pins all recordings."""
    released: Release


def facts_of(finetuned: Path, evaluated: Path, released: Release) -> Facts:
    """Gathered from the folders that the stage reads. Raises DataError where the evaluation left no scores."""
    record = read_training_record(finetuned)
    return Facts(
        base_facts(record.base, record.revision), record, read_scores(evaluated), dict(read_lineage(evaluated)), released
    )


def write_facts(facts: Facts, params: Params, folder: Path) -> None:
    """Puts the files into `folder`."""
    told = {
        "data": facts.data,
        "scores": facts.scores,
        "exports": {v.name: {"folder": facts.released.folder_of(v), **v.metrics()} for v in facts.released.variants},
        "reason": facts.released.reason,
    }
    write_release(facts.base, facts.training, told, params, folder)


def write_release(base: BaseFacts, training: TrainingRecord, told: Mapping[str, Any], params: Params, folder: Path) -> None:
    """The same of what a task has to tell: `told` goes into release.json between base and training, and what made it."""
    content = {
        "format": FORMAT,
        "base": {**asdict(base), "digest": training.base_digest},
        "training": {"method": training.method, "weights_digest": training.weights_digest},
        **told,
        "made_with": {package: version(package).partition("+")[0] for package in _MADE_WITH},
    }
    write_json(folder / RELEASE, content)
    write_text(folder / SETTINGS, yaml.safe_dump(settings(params), sort_keys=False, allow_unicode=True))
    for file in licence_files(training.base, training.revision):
        shutil.copyfile(file, folder / file.name)


def read_scores(evaluated: Path) -> dict[str, Any]:
    """What the evaluation wrote for releases. Raises DataError where it left none."""
    try:
        return read_json(evaluated / _SCORES)
    except ModelError as error:
        raise DataError(f"{evaluated / _SCORES} is missing or damaged; run: dvc repro --force evaluate") from error


def settings(params: Params) -> dict[str, Any]:
    """All that made the model; where things lay on this machine is no part of it."""
    made_by = {
        "model": params.model,
        "split_clean_noisy": params.split_clean_noisy,
        "stt_baseline": params.stt_baseline,
        "llm_gold": params.llm_gold,
        "select_errors": params.select_errors,
        "train": params.train,
        "evaluate": params.evaluate,
        "convert_ct2": params.convert_ct2,
    }
    content = {name: section.model_dump(mode="json") for name, section in made_by.items()}
    content["model"]["name"] = shown_name(params.model.name)
    return content
