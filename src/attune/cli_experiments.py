"""The commands around experiments: `attune compare` and `attune sweep`."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from attune.commandline import PARAMS, AttuneCommand, load_params
from attune.errors import DataError, ParamsError

if TYPE_CHECKING:
    from attune.operations.revisions import Repository, Revision
    from attune.params import Params

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(cls=AttuneCommand)
@click.argument("revisions", nargs=-1, metavar="[REV|EXP]...")
@click.option(
    "--against", default="HEAD", show_default=True, help="The revision or experiment that the others are compared with."
)
@click.option("--all", "everything", is_flag=True, help="Also every experiment that was made from --against.")
@click.option("--common", is_flag=True, help="Where tests differ, compare on the utterances that all were tested on.")
@click.option(
    "--cost", type=click.Choice(["size_mb", "minutes", "memory_mb"]), default="size_mb", show_default=True, help="For the front."
)
@click.option("--trend", is_flag=True, help="Instead: WER and suites over the commits up to --against.")
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many commits --trend shows.")
@click.option("--csv", "csv_file", type=_FILE, help="Also writes the figures here.")
@click.option("--html", "html_file", type=_FILE, help="Also writes a page here, with a drawing of WER against cost.")
@PARAMS
def compare(
    revisions: tuple[str, ...],
    against: str,
    everything: bool,
    common: bool,
    cost: Literal["size_mb", "minutes", "memory_mb"],
    trend: bool,
    last: int,
    csv_file: Path | None,
    html_file: Path | None,
    params_file: Path,
) -> None:
    """Compares experiments and revisions with one of them; without names the workspace with HEAD."""
    from attune.files import write_csv, write_text
    from attune.operations.revisions import WORKSPACE, Repository, distinct
    from attune.report import comparing, comparison_page, comparison_tables
    from attune.report.experiments import load_experiment
    from attune.tasks.registry import answering
    from attune.workcache import WorkCache

    params = load_params(params_file)
    reader = answering(params.task, "compare")
    repository = Repository(params_file.parent)
    reference = repository.resolve(against)
    if trend:
        if revisions or everything or html_file:
            raise ParamsError("--trend takes no revisions, --all or --html; say with --against up to which commit")
        _show_trend(repository, params, last, reference, csv_file)
        return
    others = [repository.resolve(name) for name in revisions]
    if everything:
        made = repository.experiments(reference.commit or repository.resolve("HEAD").commit or "")
        others += made
    if everything and not others:
        raise DataError(f"no experiment was made from {against}; make some with: attune sweep, or see: dvc exp list -A")
    others = distinct(others, reference) or others or [repository.resolve(WORKSPACE)]
    settings, cache = Path(params_file.name), WorkCache()
    metrics = params.paths.metrics
    first, *rest = (load_experiment(repository, each, metrics, settings, cache, reader) for each in (reference, *others))
    found = comparing.compare(first, rest, params.evaluate, cost, common, reader.NOTE)
    click.echo(comparison_tables.text(found), nl=False)
    if csv_file:
        write_csv(csv_file, comparison_tables.COLUMNS, comparison_tables.csv_rows(found))
    if html_file:
        write_text(html_file, comparison_page.page(found))


@click.command(cls=AttuneCommand)
@click.option(
    "--rank", "ranks", multiple=True, help="train.lora.rank, and alpha with it, so that alpha/rank stays. Several times."
)
@click.option("--model", "models", multiple=True, help="model.name. Several times.")
@click.option("--set", "sets", multiple=True, metavar="KEY=V1,V2", help="Any other key of params.yaml. Several times.")
@click.option("--name", default="sweep", show_default=True, help="What the experiments' names begin with.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="How many run at once.")
@click.option("--run", "now", is_flag=True, help="Runs the commands and waits; without it they are only printed.")
@PARAMS
def sweep(
    ranks: tuple[str, ...], models: tuple[str, ...], sets: tuple[str, ...], name: str, jobs: int, now: bool, params_file: Path
) -> None:
    """Tries every combination of settings: prints the commands of DVC's queue for it, and with --run runs them."""
    from attune.operations.sweeping import plan, run
    from attune.report.wording import counted

    values = {"train.lora.rank": list(ranks), "model.name": list(models)}
    for given in sets:
        key, _, listed = given.partition("=")
        if not key or not listed:
            raise ParamsError(f"--set {given} says no values; write it as --set train.epochs=3,6")
        values.setdefault(key, []).extend(listed.split(","))
    planned = plan(params_file, values, name, jobs)
    click.echo(planned.script(), nl=False)
    if now:
        run(planned, params_file.parent)
    count, names = counted(len(planned.experiments), "experiment"), " ".join(planned.experiments)
    click.echo(f"# {count}; {'compare' if now else 'then compare'} with: attune compare {names}")


def _show_trend(repository: "Repository", params: "Params", last: int, until: "Revision", csv_file: Path | None) -> None:
    from attune.files import write_csv
    from attune.report import trend
    from attune.tasks.registry import answering

    reader = answering(params.task, "compare")
    moments = trend.history(repository, params.paths.metrics, last, until, reader)
    click.echo(trend.text(moments, reader.NOTE), nl=False)
    if csv_file:
        write_csv(csv_file, trend.columns(moments), trend.csv_rows(moments))
