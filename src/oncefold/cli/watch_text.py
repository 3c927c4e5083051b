"""A look as lines for people and as a document for programs."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from oncefold.queries.model import AsOfCommit
from oncefold.queries.render import formatting
from oncefold.queries.render.document import document as answer_document
from oncefold.queries.render.rows import MEASURE
from oncefold.queries.render.screen import Grid, Screen
from oncefold.queries.render.table import pending_text
from oncefold.watch.watching import COUNT

if TYPE_CHECKING:
    from datetime import datetime

    from oncefold.queries.model import NodeTotal
    from oncefold.watch.watching import Look, Seen

_INDENT = "  "
_MARK = "*"
_SLOW = 10
"""Rates below have a decimal place."""


def facts(look: Look, rate: float | None, now: datetime | None = None) -> list[str]:
    """Two lines: how much there is, and how fresh it is; with `now`, how long ago that was."""
    moment, pipeline = look.totals.as_of, look.totals.shape.pipeline
    if isinstance(moment, AsOfCommit):
        where = formatting.printable(look.where)
        return [f"{_events(look, moment, rate)}; pipeline {pipeline}, {where}", _freshness(moment, now)]
    keys = formatting.many(look.totals.node.count, "key")
    pending = "the outbox was not read" if moment.pending is None else pending_text(moment.pending)
    return [f"{keys}; pipeline {pipeline}, stack {moment.stack}", f"at {moment.time_text}; {pending}"]


def _events(look: Look, moment: AsOfCommit, rate: float | None) -> str:
    text = f"{formatting.many(look.events or 0, 'event')} in {formatting.many(moment.commit.number, 'commit')}"
    if rate is None:
        return text
    return f"{text}, {rate:,.1f} events/s" if 0 < rate < _SLOW else f"{text}, {rate:,.0f} events/s"


def _freshness(moment: AsOfCommit, now: datetime | None) -> str:
    text, time, newest = formatting.commit(moment.commit), moment.commit.time, moment.newest_event
    if time is None:
        return text
    if now is not None:
        text = f"commit {moment.commit.number:,}, {_rounded(max(now - time, timedelta()))} ago"
    if newest is None:
        return text
    relation = "before" if newest <= time else "after"
    return f"{text}; newest event {moment.newest_event_text}, {formatting.span(time - newest)} {relation} it"


def _rounded(length: timedelta) -> str:
    """To a tenth of a second: what is redrawn should not flutter."""
    return formatting.span(timedelta(seconds=round(length.total_seconds(), 1)))


def headings(look: Look) -> list[str]:
    """The headings of a row's numbers."""
    return [COUNT, *look.totals.scales]


def columns(look: Look) -> list[str]:
    """The columns of the same numbers."""
    return [COUNT, *(f"{MEASURE}{name}" for name in look.totals.scales)]


def name(look: Look, row: NodeTotal) -> str:
    """A node as the tree shows it, indented."""
    if row is look.totals.node:
        return formatting.node(row.path)
    return _INDENT * (row.depth - look.totals.node.depth) + formatting.label(row.label)


def numbers(row: NodeTotal) -> list[str]:
    """A node's count and sums, every digit."""
    return [formatting.number(row.count), *map(formatting.amount, row.sums.values())]


def show_block(seen: Seen, look: Look, screen: Screen) -> None:
    """Show one look as plain lines; nodes that changed are marked."""
    for line in facts(look, seen.rate):
        screen.line(line)
    grid = Grid(["", look.totals.rollup, *headings(look)], frozenset(headings(look)))
    for row in look.totals:
        grid.add(_MARK if row.path in seen.changed else "", name(look, row), *numbers(row))
    screen.grid(grid)
    screen.line()


def document(seen: Seen, look: Look) -> dict[str, Any]:
    """One look for programs: what `oncefold query --format json` says, and what changed."""
    rate = None if seen.rate is None else round(seen.rate, 1)
    events = {} if look.events is None else {"events": look.events, "events_per_second": rate}
    changed = {path: [name for name in columns(look) if name in names] for path, names in seen.changed.items()}
    return {**answer_document(look.totals, time.time_ns()), **events, "changed": changed}
