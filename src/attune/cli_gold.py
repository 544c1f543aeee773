"""The commands around gold: `attune gold` (what waits for people) and `attune llm` (the language model that proposes)."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from attune.commandline import PARAMS, AttuneGroup, load_params
from attune.errors import DataError

if TYPE_CHECKING:
    from attune.params import CorrectorName, Params


@click.group(cls=AttuneGroup)
def gold() -> None:
    """The text that training believes: what waits for a person, out and back."""


@gold.command("export-review")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--most", type=click.IntRange(min=1), help="So many at most, the most informative first; all if not given.")
@click.option("--audio-url", help="What addresses of sounds begin with; Label Studio's local files if not given.")
@PARAMS
def export_review(folder: Path, most: int | None, audio_url: str | None, params_file: Path) -> None:
    """Writes what waits for review into FOLDER: sounds, tasks for Label Studio, and a table to fill in."""
    from attune.operations.reviewing import FORM, TABLE, TASKS, export_review

    paths = load_params(params_file).paths
    count = export_review(paths.gold, paths.prepared, folder, most, audio_url)
    if not count:
        click.echo("gold export-review: nothing waits for review.")
        return
    click.echo(
        f"gold export-review: {count} utterances in {folder}. Listen, and fill in the columns text and status (edited, "
        f"confirmed, discarded) of {TABLE}; or import {TASKS} into Label Studio with {FORM} as its labelling interface, started "
        "with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT="
        f"{folder.resolve().parent}, and that folder added to the project as a local storage. Then: "
        "attune gold import-review FILE"
    )


@gold.command("import-review")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@PARAMS
def import_review(file: Path, params_file: Path) -> None:
    """Brings what people decided in FILE (the filled-in table, JSONL, Label Studio's export) into the folder of corrections."""
    from attune.operations.reviewing import import_review

    params = load_params(params_file)
    done = import_review(file, params.llm_gold.corrections, params.paths.prepared)
    unknown = f", {done.unknown} of them for sound that is not in the corpus" if done.unknown else ""
    click.echo(f"gold import-review: {done.corrections} decisions in {done.file}{unknown}. They count from the next: dvc repro")


@click.group(cls=AttuneGroup)
def llm() -> None:
    """The language model that proposes gold: is it there, is it any good?"""


_CORRECTOR = click.option(
    "--corrector", type=click.Choice(["transformers", "ollama", "openai"]), help="That of params.yaml if not given."
)


@llm.command("check")
@_CORRECTOR
@PARAMS
def check_llm(corrector: "Literal['transformers', 'ollama', 'openai'] | None", params_file: Path) -> None:
    """Reaches the model, has it correct two samples, and says how quick it is, or what to do next."""
    from attune.devices import choose_device
    from attune.operations.checking import check, told

    params = load_params(params_file)
    passed = True
    for number, outcome in enumerate(check(_asked(corrector, params), params.llm_gold, choose_device(params.model.device)), 1):
        click.echo(told(outcome, number))
        passed = passed and getattr(outcome, "passed", True)
    if not passed:
        raise click.exceptions.Exit(1)


@llm.command("models")
@_CORRECTOR
@PARAMS
def list_models(corrector: "Literal['transformers', 'ollama', 'openai'] | None", params_file: Path) -> None:
    """Lists what the server has, one a line."""
    from attune.operations.checking import models

    params = load_params(params_file)
    click.echo("\n".join(models(_asked(corrector, params), params.llm_gold)))


def _asked(corrector: "CorrectorName | None", params: "Params") -> "CorrectorName":
    name = corrector or params.llm_gold.corrector
    if name in ("references", "second_opinion"):
        raise DataError(f"llm_gold.corrector is {name}, which asks no language model; name one with --corrector")
    return name
