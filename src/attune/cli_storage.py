"""The commands around storage: `attune storage`. Commands of DVC that they run go to stderr."""

from pathlib import Path

import click

from attune.commandline import PARAMS, AttuneGroup, load_params, one_line
from attune.errors import StorageError


@click.group(cls=AttuneGroup)
def storage() -> None:
    """Where recordings and models are kept besides this machine."""


@storage.command()
@click.argument("url")
@click.option("--models", metavar="URL", help="Another place for models.")
@click.option("--test", metavar="URL", help="Another place for recordings of test people, and what was heard in them.")
@click.option("--endpoint", metavar="URL", help="Of a server that speaks Google's or Amazon's protocol.")
@click.option("--credentials", type=click.Path(path_type=Path), help="A service account's key; stays out of git.")
@click.option("--anonymous", is_flag=True, help="Without credentials.")
@PARAMS
def use(
    url: str,
    models: str | None,
    test: str | None,
    endpoint: str | None,
    credentials: Path | None,
    anonymous: bool,
    params_file: Path,
) -> None:
    """Keeps recordings and models at URL: a folder, gs://bucket/prefix, s3://... It is tried first; git then has what changed."""
    from attune.shell import Shell
    from attune.storage.remotes import Access, Role, use

    given: dict[Role, str | None] = {"storage": url, "models": models, "test": test}
    shell = Shell(params_file.parent, lambda line: click.echo(one_line(line), err=True))
    wanted = {role: place for role, place in given.items() if place is not None}
    use(shell, wanted, Access(endpoint, credentials, anonymous), load_params(params_file).paths.raw)
    for role, place in wanted.items():
        click.echo(one_line(f"{role}: {place} can be written to and read from"))
    click.echo("next: dvc push, and for the others: git add --all && git commit -m 'storage' && git push")


@storage.command()
@click.option("--remove", is_flag=True, help="Removes what is damaged, so that it can be pushed again.")
@PARAMS
def check(remove: bool, params_file: Path) -> None:
    """Whether every object in storage is what its name says; damaged ones are named. Exit code 2 where there are any."""
    from attune.shell import Shell
    from attune.storage.checking import check

    found = check(Shell(params_file.parent, lambda line: click.echo(one_line(line), err=True)), remove)
    for address in found.damaged:
        click.echo(one_line(f"{address}: damaged{'; removed' if remove else ''}"))
    for address in found.lists if remove else ():
        click.echo(one_line(f"{address}: names what was damaged; removed"))
    if found.damaged and not remove:
        count = f"{len(found.damaged)} of {found.objects} objects"
        raise StorageError(f"{count} are damaged; remove them with: attune storage check --remove")
    after = "; push them again from a copy that is whole: dvc push" if found.damaged else ""
    click.echo(f"{found.objects} objects, {len(found.damaged)} damaged{after}")
