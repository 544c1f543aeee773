"""The commands around versions of a model: `attune model`. Commands of git, GTO and DVC that they run go to stderr."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from attune.commandline import PARAMS, AttuneGroup, load_params, one_line
from attune.errors import DataError, RegistryError

if TYPE_CHECKING:
    from attune.registry.journal import Journal
    from attune.registry.promoting import Move
    from attune.registry.registering import Bump
    from attune.shell import Shell

_NAME = click.option("--name", default="stt", show_default=True, help="Which of the artifacts of dvc.yaml.")
_STAGE = click.option("--stage", default="prod", show_default=True, help="Of those that registry.stages in params.yaml has.")


@click.group(cls=AttuneGroup)
def model() -> None:
    """Versions of the model: registered, put in stages, taken back, fetched. They are git tags, and no file of Attune's."""


@model.command()
@click.option("--version", metavar="vX.Y.Z", help="Exactly this one; else the next one.")
@click.option(
    "--bump",
    type=click.Choice(["major", "minor", "patch"]),
    default="minor",
    show_default=True,
    help="Which part of the newest version to count on.",
)
@click.option("--force", metavar="REASON", help="Also where validation did not pass; the tag tells why.")
@_NAME
@PARAMS
def register(version: str | None, bump: "Bump", force: str | None, name: str, params_file: Path) -> None:
    """Gives the committed model a version, if it passed validation, and puts its files into storage."""
    from datetime import datetime

    from attune.registry.registering import Asked, register
    from attune.tasks.registry import answering

    params, today = load_params(params_file), datetime.now().astimezone().date()
    read = answering(params.task, "registration").read
    made = register(_shell(params_file), Asked(name, version, bump, force), PurePosixPath(params.paths.metrics), read, today)
    click.echo(f"{name} {made} is registered; next: attune model promote {made} --stage staging")


@model.command()
@click.argument("version", required=False)
@click.option("--yes", is_flag=True, help="You approve; nobody is asked.")
@_STAGE
@_NAME
@PARAMS
def promote(version: str | None, yes: bool, stage: str, name: str, params_file: Path) -> None:
    """Puts VERSION, the newest if not given, in a stage. What was there stays the way back."""
    from attune.registry.promoting import promote, require_stage

    asked = load_params(params_file).registry
    require_stage(stage, asked.stages)
    approve = _approved if yes or not asked.approval else _ask
    move, needed = promote(_shell(params_file), name, version, stage, approve)
    if not needed:
        click.echo(f"{name} {move.version.version} is in {stage} already")
        return
    back = f"; the way back: attune model rollback --stage {stage}" if move.former else ""
    click.echo(f"{name} {move.version.version} is in {stage}{back}")


@model.command()
@click.option("--to", "version", metavar="VERSION", help="Another one that was in the stage once.")
@click.option("--reason", help="What the tag tells of it.")
@_STAGE
@_NAME
@PARAMS
def rollback(version: str | None, reason: str | None, stage: str, name: str, params_file: Path) -> None:
    """Takes a stage back to the version that it had before. Nobody is asked: that one was approved."""
    from attune.registry.promoting import require_stage, roll_back

    require_stage(stage, load_params(params_file).registry.stages)
    move = roll_back(_shell(params_file), name, stage, version, reason)
    click.echo(f"{name} {move.version.version} is in {stage} again, in place of {move.former}")


@model.command()
@click.option(
    "--keep", type=click.IntRange(min=1), help="How many of the newest stay; registry.keep of params.yaml if not given."
)
@click.option("--dry-run/--remove", default=True, show_default=True, help="Only tells what would go.")
@_NAME
@PARAMS
def prune(keep: int | None, dry_run: bool, name: str, params_file: Path) -> None:
    """Removes old versions from storage; never what is in a stage, nor what it would be rolled back to."""
    from attune.registry.pruning import prune

    asked = load_params(params_file).registry
    plan = prune(_shell(params_file), name, keep or asked.keep, not dry_run)
    done = "would be removed" if dry_run else "removed"
    for version in plan.versions:
        click.echo(f"{name} {version}: {done}")
    click.echo(f"{len(plan.files)} files of {plan.size_mb:.1f} MB {done} from storage; kept: {', '.join(plan.kept) or 'none'}")
    if dry_run and plan.files:
        click.echo("remove them with: attune model prune --remove")


@model.command("list")
@_NAME
@PARAMS
def list_versions(name: str, params_file: Path) -> None:
    """All versions, newest first, and the stages that they are in."""
    from attune.registry.showing import listed

    for line in listed(_journal(params_file, name), load_params(params_file).registry.stages):
        click.echo(one_line(line).rstrip())


@model.command()
@click.argument("version", required=False)
@_STAGE
@_NAME
@PARAMS
def show(version: str | None, stage: str, name: str, params_file: Path) -> None:
    """What is known of VERSION; without one, of the version in --stage."""
    from attune.registry.showing import described

    known = _journal(params_file, name)
    for line in described(known, known.find(version) if version else known.holder(stage)):
        click.echo(one_line(line))


@model.command()
@_NAME
@PARAMS
def history(name: str, params_file: Path) -> None:
    """What happened to the versions, newest first."""
    from attune.registry.showing import told

    for line in told(_journal(params_file, name)):
        click.echo(one_line(line).rstrip())


@model.command()
@click.argument("version", required=False)
@click.option("--stage", help="The version that is in that stage; prod if neither it nor a VERSION is given.")
@click.option(
    "-o", "--out", "folder", required=True, type=click.Path(path_type=Path), help="The folder to make; complete or absent."
)
@click.option("--repo", default=".", show_default=True, help="Folder or address of the git repository; here if not given.")
@click.option(
    "--config", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="DVC settings to add, as credentials are."
)
@_NAME
def pull(version: str | None, stage: str | None, folder: Path, repo: str, config: Path | None, name: str) -> None:
    """Fetches VERSION, or what is in a stage, into a folder; a folder that is right is left alone. Needs no project around it."""
    from attune.registry.origins import Source
    from attune.registry.pulling import pull
    from attune.shell import Shell

    if version and stage:
        raise RegistryError(f"give a version or --stage, not both: what is in {stage} may be another one than {version}")
    source = Source(repo, name, None if version else stage or "prod", version, config)
    pulled = pull(Shell(Path(), lambda line: click.echo(one_line(line), err=True)), source, folder)
    for path in pulled.repaired:
        click.echo(one_line(f"{folder / path}: was not as it was pulled; replaced"), err=True)
    click.echo(f"{name} {pulled.version} in {folder}: {pulled.how}")


@model.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def verify(folder: Path) -> None:
    """Checks every file of the model in FOLDER against its list (SHA256SUMS), and names what is missing, changed or extra."""
    from attune.checksums import CHECKSUMS, verify_checksums

    found = verify_checksums(folder)
    for fault in found.faults():
        click.echo(one_line(fault))
    if not found.whole:
        raise DataError(
            f"{folder} is not what was released: {len(found.missing)} missing, {len(found.changed)} changed, "
            f"{len(found.extra)} extra of {found.files} files in {CHECKSUMS}; pull it again, or export it: "
            "dvc repro --force convert_ct2"
        )
    click.echo(f"model verify: all {found.files} files of {one_line(str(folder))} are as they were released.")


def _journal(params_file: Path, name: str) -> "Journal":
    from attune.registry.journal import read_journal
    from attune.registry.sharing import catch_up, require_repository

    shell = _shell(params_file)
    require_repository(shell)
    catch_up(shell, name)
    return read_journal(shell, name)


def _shell(params_file: Path) -> "Shell":
    from attune.shell import Shell

    return Shell(params_file.parent, lambda line: click.echo(one_line(line), err=True))


def _approved(move: "Move") -> bool:
    click.echo(one_line(move.sentence), err=True)
    return True


def _ask(move: "Move") -> bool:
    try:
        return click.confirm(f"Promote {one_line(move.sentence)}?", err=True)
    except click.Abort as error:
        click.echo(err=True)
        raise RegistryError(
            "nobody is here to approve; add --yes where somebody did, or set registry.approval to false in params.yaml"
        ) from error
