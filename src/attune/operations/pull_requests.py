"""The pull-request report of what stands in the project now, beside another commit of it."""

from pathlib import Path

from attune.errors import DataError
from attune.files import read_jsonl
from attune.operations.revisions import WORKSPACE, Repository
from attune.operations.showing import FIGURES, IMAGES, read_training
from attune.params import Params
from attune.report.against import against, not_compared
from attune.report.experiments import RESULTS, Reader, load_experiment
from attune.report.pictures import pictures
from attune.report.pull_request import pull_request_report
from attune.report.results import UtteranceResult, read_results
from attune.report.tables import UTTERANCE_ROWS
from attune.workcache import WorkCache


def report(params_file: Path, params: Params, revision: str | None, images_at: str | None, reader: Reader) -> str:
    """As Markdown, with what changed since `revision`, a commit or experiment.

    `images_at` is the address of the folder of metrics where the report will be read; without it pictures stand beside it. Raises
    DataError where the metrics here are missing or of another version of Attune, or `revision` is none; where its metrics are
    missing or of another version the report says so.
    """
    told = change(params_file, params, revision, reader)
    metrics = params_file.parent / params.paths.metrics
    results, rows = read_results(metrics / RESULTS), read_jsonl(metrics / "evaluation" / UTTERANCE_ROWS, UtteranceResult)
    training = read_training(metrics / "plots/training_loss.csv", metrics / "plots/validation_wer.csv")
    there = {file.stem for file in (metrics / FIGURES).glob("*.svg")}
    drawn = [picture for picture in pictures(results, rows, training) if picture.name in there]
    return pull_request_report(results, drawn, images=pictures_at(images_at), change=told)


def pictures_at(address: str | None) -> str:
    """Where a report's pictures stand, with {} for a file's name: beside it, or in the folder of metrics at `address`."""
    # raw and sanitize, as GitHub gives an SVG as plain text otherwise (github/markup issue 556)
    return IMAGES if address is None else f"{address.rstrip('/')}/{IMAGES}?sanitize=true"


def change(params_file: Path, params: Params, name: str | None, reader: Reader) -> str:
    """The part about what changed since the commit or experiment `name`; empty without one. Raises DataError as `report`."""
    if name is None:
        return ""
    repository, metrics = Repository(params_file.parent), params.paths.metrics
    revision, settings = repository.resolve(name), Path(params_file.name)
    cache = WorkCache()
    here = load_experiment(repository, repository.resolve(WORKSPACE), metrics, settings, cache, reader)
    try:
        base = load_experiment(repository, revision, metrics, settings, cache, reader)
    except DataError as error:  # of a first pull request, or the first after an update of Attune
        return not_compared(revision.name, str(error))
    return against(here, base, params.evaluate)
