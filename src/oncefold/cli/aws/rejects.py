"""`oncefold aws rejects`: events that could not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oncefold.cli import words
from oncefold.cli.aws.asking import STACK_STATUS_WORDS, ask, show_list
from oncefold.cli.aws.counting import Counting
from oncefold.cli.aws.options import stack_option
from oncefold.cli.options import FORMATS, format_options, limit_option
from oncefold.cli.output import Reply
from oncefold.cli.rejects import PIECE_CHARS, left_out
from oncefold.cli.screen import Grid, Screen

if TYPE_CHECKING:
    from pathlib import Path

    from oncefold.aws.names import Names
    from oncefold.aws.reader.answers import StackRejects, StreamReject

_EPILOG = f"""\b
Examples:
  oncefold aws rejects --stack oncefold-risk
\b
  # whole events, all of them
  oncefold aws rejects --limit all --raw --stack oncefold-risk
\b
  # their bytes, as they came, into a program
  oncefold aws rejects --limit all --format jsonl --stack oncefold-risk | jq -r .raw

JSON and CSV hold an event's bytes as text in `raw`, or, if they are not UTF-8, in `raw_base64`. After a fix of the
definition: oncefold aws redrive.

{STACK_STATUS_WORDS}"""


@click.command(epilog=_EPILOG)
@stack_option
@limit_option(20, "events")
@click.option("--raw", is_flag=True, help="Show each event whole. Only tables cut them.")
@format_options(*FORMATS)
def rejects(names: Names, limit: int | None, raw: bool, form: str | None, output: Path | None) -> None:  # noqa: FBT001
    """Show the events that could not be read, in order of their arrival: where each stood, why, what it looks like."""
    with Counting() as counting:
        found = ask(names).rejects(limit, progress=counting)
    rest = left_out(found, "rejected event")
    Reply(lambda screen: _show(found, screen, raw=raw), lambda: _document(found), found, rest).write(form, output)


def _show(found: StackRejects, screen: Screen, *, raw: bool) -> None:
    grid = Grid(["arrived", "shard", "sequence number", "line", "reason", "event"], frozenset(["line"]))
    for row in found:
        place = (words.printable(row.shard), words.printable(row.sequence), words.number(row.line))
        grid.add(row.arrived_text, *place, words.printable(row.reason), _event(row, raw=raw))
    show_list(grid, found, "rejected event", screen)


def _event(row: StreamReject, *, raw: bool) -> str:
    if not raw:
        return words.piece(row.raw, PIECE_CHARS)
    text = words.printable(row.raw.decode("utf-8", "backslashreplace"))
    return f"{text}… (the rest was not kept)" if row.cut else text


def _document(found: StackRejects) -> dict[str, Any]:
    from oncefold.queries.forms import plain_rows

    return {
        "stack": found.read.stack,
        "time": found.read.time_text,
        "total": found.total,
        "rows": list(plain_rows(found)),
    }
