"""`oncefold status`: a store as a whole."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from oncefold.cli import words
from oncefold.cli.options import STATUS_WORDS, ask, format_options, store_option
from oncefold.cli.output import Reply
from oncefold.cli.screen import Grid, Screen

if TYPE_CHECKING:
    from pathlib import Path

    from oncefold.queries import Overview
    from oncefold.queries.progress import SourceProgress

_SEQUENCE_CHARS = 12
"""Of the many digits of a sequence number, the last tell two apart."""

_EPILOG = f"""\b
Examples:
  oncefold status --store risk.db
\b
  # for a monitor: bytes not folded yet, and seconds behind
  oncefold status --store risk.db --format json | jq '.sources[].lag_bytes, .behind_seconds'

{STATUS_WORDS}"""


@click.command(epilog=_EPILOG)
@store_option
@format_options("table", "json")
def status(store: Path, form: str | None, output: Path | None) -> None:
    """Show a store as a whole: positions and lag of its sources, what became of the events, freshness, size."""
    from oncefold.queries import documents

    with ask(store) as questions:
        found = questions.status()
    Reply(lambda screen: _show(found, screen), lambda: documents.status(found)).write(form, output)


def _show(found: Overview, screen: Screen) -> None:
    lines = [
        ("store", f"{words.printable(found.path)}, {words.size(found.file_bytes)}, pipeline {found.pipeline}"),
        ("last", words.commit(found.commit)),
        ("newest event", _freshness(found)),
        ("keys", f"{found.live:,} counted, {found.keys:,} ever met; {words.many(found.nodes, 'node')}"),
        ("events", _events(found)),
        ("rejects", _listed(found.rejects, "oncefold rejects") + _discarded(found.discarded)),
        ("conflicts", _listed(found.conflicts, "oncefold conflicts")),
        ("the past", f"{_retention(found.retention)}; it can be asked back to {words.commit(found.oldest)}"),
    ]
    for name, text in lines:
        screen.line(f"{name:<13}{text}")
    screen.line()
    if found.rows:
        screen.grid(_sources(found))
    else:
        screen.line("No source has a position.")


def _freshness(found: Overview) -> str:
    if found.behind is None:
        return "none has a time"
    relation = "ago" if found.behind.total_seconds() >= 0 else "ahead of the clock"
    return f"{found.newest_event_text}, {words.span(found.behind)} {relation}"


def _events(found: Overview) -> str:
    some = [f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in found.counts.items() if count]
    return f"{found.events:,}" + (f": {', '.join(some)}" if some else "")


def _listed(count: int, command: str) -> str:
    return f"{count:,}" + (f"; see: {command}" if count else "")


def _discarded(count: int) -> str:
    return f"; {count:,} discarded so far" if count else ""


def _retention(retention: timedelta | None) -> str:
    return "kept for ever" if retention is None else f"kept for {words.span(retention)}"


def _sources(found: Overview) -> Grid:
    grid = Grid(["source", "next", "folded", "lag", "commit"], frozenset(["next", "folded", "lag", "commit"]))
    for row in found:
        name = "standard input" if row.source == "-" else words.printable(row.source)
        grid.add(name, _next(row), _share(row), _lag(row), words.number(row.commit))
    return grid


def _next(row: SourceProgress) -> str:
    if row.sequence is not None:
        return f"after …{row.sequence[-_SEQUENCE_CHARS:]}" if row.sequence else "the oldest record"
    if row.offset is None:
        return words.piece(row.state.encode(), 40)
    return f"{'row' if row.kind == 'table' else 'byte'} {row.offset:,}"


def _share(row: SourceProgress) -> str:
    if row.lag_bytes is None or not row.file_bytes:
        return ""
    return f"{100 * (1 - row.lag_bytes / row.file_bytes):.1f} %" if row.lag_bytes else "100 %"


def _lag(row: SourceProgress) -> str:
    if row.closed:
        return "none, closed"
    if row.lag_seconds is not None:
        return f"{words.span(timedelta(seconds=row.lag_seconds)) if row.lag_seconds else 'none'} when last read"
    if row.shrunk:
        return "the file is shorter now"
    if row.lag_bytes is not None:
        return "none" if row.lag_bytes == 0 else words.size(row.lag_bytes)
    return "the file is gone" if row.file_bytes is None and row.kind in {"text", "table"} else ""
