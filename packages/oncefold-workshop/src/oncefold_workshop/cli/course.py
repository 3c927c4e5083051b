"""`oncefold lab course`: the starting kit of the course."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

_EPILOG = """\b
Examples:
  # handlers with gaps, in the folder `course`
  oncefold lab course
  cd course
  oncefold lab play --fast --functions functions:state,map,reduce --messages 1000 --rounds 5
\b
  # begin again
  oncefold lab course --force

docs/COURSE.md fills the gaps in three labs: connect it, make it exactly-once, make it last.

\b
Exit status: 0 written, 2 it cannot be written."""


@click.command(epilog=_EPILOG)
@click.argument("folder", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path), default="course")
@click.option("--force", is_flag=True, help="Overwrite the files if they exist.")
def course(folder: Path, force: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Write Lambda handlers with gaps to DIR (course), for `oncefold lab play --functions`."""
    from oncefold_workshop.course.functions import write_kit

    for path in write_kit(folder, force=force):
        click.echo(f"wrote {path}")
    click.echo(
        f"docs/COURSE.md begins here: cd {shlex.quote(str(folder))} && "
        "oncefold lab play --fast --functions functions:state,map,reduce --messages 1000 --rounds 5"
    )
