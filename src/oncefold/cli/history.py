"""`oncefold history`: what arrived for a key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from oncefold.cli import words
from oncefold.cli.options import FORMATS, STATUS_WORDS, ask, format_options, store_option
from oncefold.cli.output import Reply
from oncefold.cli.screen import Grid, Screen

if TYPE_CHECKING:
    from pathlib import Path

    from oncefold.queries import History
    from oncefold.queries.events import Arrival

_EPILOG = f"""\b
Examples:
  oncefold history 161ebc4b-0828-448a-a734-41169c67910c --store risk.db
\b
  # duplicates, stale events and lost conflicts too, as JSON Lines
  oncefold history T-17 --every --format jsonl --store risk.db
\b
  # a key of several fields: its parts joined by /
  oncefold history US/Texas --store covid.db
\b
  # a key that begins with a dash
  oncefold history --store risk.db -- -17

{STATUS_WORDS}"""


@click.command(epilog=_EPILOG)
@click.argument("key")
@store_option
@click.option("--every", is_flag=True, help="Also the events that changed nothing: duplicates, stale and lost ones.")
@format_options(*FORMATS)
def history(key: str, store: Path, every: bool, form: str | None, output: Path | None) -> None:  # noqa: FBT001
    """Show every version of KEY that was accepted, oldest first, and the one that stands."""
    from oncefold.queries import documents

    with ask(store) as questions:
        found = questions.history(key, every=every)
        versions = questions.pipeline.version is not None
    document = partial(documents.history, found)
    reply = Reply(lambda screen: _show(found, screen, versions=versions, every=every), document, found)
    reply.write(form, output)


def _show(found: History, screen: Screen, *, versions: bool, every: bool) -> None:
    screen.line(f"{words.printable(found.key)} {_standing(found)}", "bold")
    screen.line()
    if found.rows:
        _show_arrivals(found, screen, versions=versions)
        screen.line()
    if found.forgotten_to is not None:
        screen.line(f"What arrived up to {words.commit(found.forgotten_to)}, is beyond the retention.")
    elif every:
        screen.line("This is all that ever arrived.")
    screen.line(f"as of {words.commit(found.commit)}", "dim")


def _standing(found: History) -> str:
    version = f" at version {found.stands.version_text}" if found.stands.version_text else ""
    if found.stands.leaf is None:
        return f"is deleted{version}"
    return f"counts{version} in {words.node(found.stands.leaf)}"


def _show_arrivals(found: History, screen: Screen, *, versions: bool) -> None:
    before = ["commit", "time", "outcome", *(["version"] if versions else []), "leaf"]
    numbers = ["commit"] if found.version_is_time else ["commit", "version"]
    grid = Grid([*before, *found.scales], frozenset([*numbers, *found.scales]))
    for row in found:
        version = [row.version_text] if versions else []
        values = [words.number(row.values[measure]) if row.values else "" for measure in found.scales]
        time = row.commit.time_text or ""
        grid.add(words.number(row.commit.number), time, row.outcome.replace("_", " "), *version, _leaf(row), *values)
    screen.grid(grid)


def _leaf(row: Arrival) -> str:
    if row.leaf is not None:
        return words.node(row.leaf)
    return "(delete)" if row.known else "(forgotten)"
