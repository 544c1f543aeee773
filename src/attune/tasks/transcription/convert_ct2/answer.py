"""The model to deploy, by CTranslate2 where it converts the model rightly."""

from dataclasses import asdict
from pathlib import Path

from attune.dataset import Sounds, read_utterances
from attune.operations.exported_card import write_exported_card
from attune.operations.release import release as release_model
from attune.params import Params
from attune.tasks.protocol import Released
from attune.workcache import WorkCache


def release(prepared: Path, finetuned: Path, folder: Path, params: Params) -> Released:
    """See `operations.release.release`."""
    released = release_model(finetuned, read_utterances(prepared), Sounds(prepared), params, WorkCache(), folder)
    write_exported_card(finetuned, folder, released.sentence())
    report = released.exported_report
    timing = {**asdict(report), "real_time_factor": report.real_time_factor}
    return Released(released.metrics(), timing, released.sentence())
