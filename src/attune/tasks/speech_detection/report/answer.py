"""The report for a pull request, of what stands in the project now, beside another commit of it."""

from pathlib import Path

from attune.files import read_jsonl
from attune.operations.pull_requests import change, pictures_at
from attune.params import Params
from attune.tasks.speech_detection.compare import answer as reader
from attune.tasks.speech_detection.evaluate.clips import CLIPS, Called, truth_and_models
from attune.tasks.speech_detection.evaluate.page import FIGURES, markdown
from attune.tasks.speech_detection.evaluate.pictures import drawings
from attune.tasks.speech_detection.evaluate.results import RESULTS, read_results


def report(params_file: Path, params: Params, revision: str | None, images_at: str | None) -> str:
    """As Markdown, with what changed since `revision`. Raises DataError where nothing was evaluated, or by another version."""
    metrics = params_file.parent / params.paths.metrics
    results = read_results(metrics / RESULTS)
    drawn = drawings(results, *truth_and_models(list(read_jsonl(metrics / "evaluation" / CLIPS, Called))))
    there = {file.stem for file in (metrics / FIGURES).glob("*.svg")}
    shown = [drawing for drawing in drawn if drawing.name in there]
    told = change(params_file, params, revision, reader)
    return markdown(results, shown, pictures_at(images_at), f"{told}\n\n{reader.NOTE}" if told else "")
