"""The report for a pull request."""

from pathlib import Path

from attune.operations import pull_requests
from attune.params import Params
from attune.tasks.transcription.compare import answer as reader


def report(params_file: Path, params: Params, revision: str | None, images_at: str | None) -> str:
    """See `operations.pull_requests.report`."""
    return pull_requests.report(params_file, params, revision, images_at, reader)
