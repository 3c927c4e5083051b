"""`oncefold aws conflicts`: events of one key and version that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oncefold.cli import words
from oncefold.cli.aws.asking import STACK_STATUS_WORDS, ask, show_list
from oncefold.cli.aws.counting import Counting
from oncefold.cli.aws.options import stack_option
from oncefold.cli.options import FORMATS, format_options, limit_option
from oncefold.cli.output import Reply
from oncefold.cli.rejects import left_out, side_words
from oncefold.cli.screen import Grid, Screen

if TYPE_CHECKING:
    from pathlib import Path

    from oncefold.aws.names import Names
    from oncefold.aws.reader.answers import StackConflicts

_EPILOG = f"""\b
Examples:
  oncefold aws conflicts --stack oncefold-risk
  oncefold aws conflicts --limit all --output conflicts.csv --stack oncefold-risk

Of two events with one key and version but different content, one counts, always the same, whichever came first: a
delete above a live event, then the greater labels, then the greater values. They are listed by key and version.

{STACK_STATUS_WORDS}"""


@click.command(epilog=_EPILOG)
@stack_option
@limit_option(20, "conflicts")
@format_options(*FORMATS)
def conflicts(names: Names, limit: int | None, form: str | None, output: Path | None) -> None:
    """Show events of one key and version that contradict each other: which one counts, and the other."""
    with Counting() as counting:
        found = ask(names).conflicts(limit, progress=counting)
    rest = left_out(found, "conflict")
    Reply(lambda screen: _show(found, screen), lambda: _document(found), found, rest).write(form, output)


def _show(found: StackConflicts, screen: Screen) -> None:
    grid = Grid(["key", "version", "counts", "does not"], frozenset([] if found.version_is_time else ["version"]))
    for row in found:
        grid.add(words.printable(row.key), row.version_text, side_words(row.kept), side_words(row.dropped))
    show_list(grid, found, "conflict", screen)


def _document(found: StackConflicts) -> dict[str, Any]:
    from oncefold.queries.forms import plain_rows

    return {
        "stack": found.read.stack,
        "time": found.read.time_text,
        "total": found.total,
        "rows": list(plain_rows(found)),
    }
