"""`oncefold rejects` and `oncefold conflicts`: what could not be counted, and what contradicts itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import click

from oncefold.cli import words
from oncefold.cli.lazy import Lazy, LazyGroup, Section
from oncefold.cli.options import FORMATS, STATUS_WORDS, ask, format_options, limit_option, store_option
from oncefold.cli.output import Reply
from oncefold.cli.screen import Grid, Screen

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    from oncefold.queries import Conflicts, Rejects
    from oncefold.queries.events import RejectedEvent, Side

PIECE_CHARS = 60
"""Characters of a rejected event that are shown without --raw."""

_SECTIONS = (
    Section(
        "Commands",
        (
            Lazy("list", "oncefold.cli.rejects:list_rejects", "Show the reject list (also without a command)."),
            Lazy("redrive", "oncefold.cli.redrive:redrive", "Read rejected events again, after a fix."),
            Lazy("discard", "oncefold.cli.discard:discard", "Take rejected events off the list for good."),
        ),
    ),
)

_GROUP_EPILOG = """\b
Examples:
  oncefold rejects --store risk.db
  oncefold rejects list --limit all --raw --store risk.db
  oncefold rejects redrive pipeline.toml --store risk.db
  oncefold rejects discard 17 18 --store risk.db"""

_LIST_EPILOG = f"""\b
Examples:
  oncefold rejects list --store risk.db
\b
  # whole events, all of them
  oncefold rejects list --limit all --raw --store risk.db
\b
  # their bytes, as they came, into a program
  oncefold rejects list --limit all --format jsonl --store risk.db | jq -r .raw

JSON and CSV hold an event's bytes as text in `raw`, or, if they are not UTF-8, in `raw_base64`.

{STATUS_WORDS}"""

_CONFLICTS_EPILOG = f"""\b
Examples:
  oncefold conflicts --store risk.db
  oncefold conflicts --limit all --output conflicts.csv --store risk.db

Of two events with one key and version but different content, one counts, always the same, whichever came first: a
delete above a live event, then the greater labels, then the greater values.

{STATUS_WORDS}"""


@click.group(cls=LazyGroup, sections=_SECTIONS, default="list", epilog=_GROUP_EPILOG)
def rejects() -> None:
    """Events that could not be read: list them, read them again after a fix, or discard them."""


@click.command("list", epilog=_LIST_EPILOG)
@store_option
@limit_option(20, "events")
@click.option("--raw", is_flag=True, help="Show each event whole. Only tables cut them.")
@format_options(*FORMATS)
def list_rejects(store: Path, limit: int | None, raw: bool, form: str | None, output: Path | None) -> None:  # noqa: FBT001
    """Show the events that could not be read: where each stood, why, and what it looks like."""
    from oncefold.queries import documents

    with ask(store) as questions:
        found = questions.rejects(limit)
    rest = left_out(found, "rejected event")
    reply = Reply(lambda screen: _show_rejects(found, screen, raw=raw), lambda: documents.listed(found), found, rest)
    reply.write(form, output)


def _show_rejects(found: Rejects, screen: Screen, *, raw: bool) -> None:
    grid = Grid(["id", "source", "position", "reason", "event"], frozenset(["id", "position"]))
    for row in found:
        position = f"{row.unit} {words.number(row.position)}"
        source, reason = words.printable(row.source), words.printable(row.reason)
        grid.add(str(row.id), source, position, reason, _event(row, raw=raw))
    _show_list(grid, found, screen, "rejected event")


def _event(row: RejectedEvent, *, raw: bool) -> str:
    if not raw:
        return words.piece(row.raw, PIECE_CHARS)
    text = words.printable(row.raw.decode("utf-8", "backslashreplace"))
    return text if row.size <= len(row.raw) else f"{text}… ({row.size:,} bytes in all; the rest was not kept)"


@click.command(epilog=_CONFLICTS_EPILOG)
@store_option
@limit_option(20, "conflicts")
@format_options(*FORMATS)
def conflicts(store: Path, limit: int | None, form: str | None, output: Path | None) -> None:
    """Show events of one key and version that contradict each other: which one counts, and the other."""
    from oncefold.queries import documents

    with ask(store) as questions:
        found = questions.conflicts(limit)
    rest = left_out(found, "conflict")
    Reply(lambda screen: _show_conflicts(found, screen), lambda: documents.listed(found), found, rest).write(
        form, output
    )


def _show_conflicts(found: Conflicts, screen: Screen) -> None:
    numbers = ["commit"] if found.version_is_time else ["commit", "version"]
    grid = Grid(["commit", "key", "version", "counts", "does not"], frozenset(numbers))
    for row in found:
        kept, dropped = side_words(row.kept), side_words(row.dropped)
        grid.add(words.number(row.commit.number), words.printable(row.key), row.version_text, kept, dropped)
    _show_list(grid, found, screen, "conflict")


def side_words(side: Side) -> str:
    """One content of a conflict in a table."""
    if side.leaf is None:
        return "delete"
    return " ".join([words.node(side.leaf), *(_amount(name, value) for name, value in side.values.items())])


def _amount(measure: str, value: Decimal) -> str:
    return f"{measure}={words.number(value)}"


def _show_list(grid: Grid, found: Rejects | Conflicts, screen: Screen, noun: str) -> None:
    if found.rows:
        screen.grid(grid)
        screen.line()
    screen.line(f"{left_out(found, noun) or words.many(found.total, noun)}.")
    screen.line(f"as of {words.commit(found.commit)}", "dim")


class Listed(Protocol):
    """A list, or the beginning of one."""

    @property
    def total(self) -> int:
        """How many there are in all."""
        ...

    def __len__(self) -> int: ...


def left_out(found: Listed, noun: str) -> str:
    """How many there are beyond those listed; nothing if all are."""
    if len(found) >= found.total:
        return ""
    return f"{len(found):,} of {words.many(found.total, noun)} are listed; --limit all lists every one"
