"""The commands around released models: `attune model`."""

from pathlib import Path

import click

from attune.commandline import one_line
from attune.errors import DataError


@click.group()
def model() -> None:
    """Released models: is one whole?"""


@model.command("verify")
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
