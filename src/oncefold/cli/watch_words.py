"""What a look says, as lines for people and as a document for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from oncefold.queries.render import formatting
from oncefold.queries.render.screen import Grid, Screen
from oncefold.watch.looks import StackMoment, StoreMoment

if TYPE_CHECKING:
    from datetime import datetime

    from oncefold.queries.answers import NodeTotal
    from oncefold.watch.looks import Changed, Look
    from oncefold.watch.watching import Seen

COUNT = "count"
_INDENT = "  "
_MARK = "*"
_SLOW = 10
"""Rates below have a decimal place."""


def facts(look: Look, rate: float | None, now: datetime | None = None) -> list[str]:
    """Two lines: how much there is, and how fresh it is; with `now`, how long ago that was."""
    moment = look.moment
    if isinstance(moment, StoreMoment):
        where = formatting.printable(moment.store)
        return [f"{_events(moment, rate)}; pipeline {look.pipeline}, {where}", _freshness(moment, now)]
    keys = formatting.many(look.tree.node.count, "key")
    where = f"stack {moment.stack}"
    return [f"{keys}; pipeline {look.pipeline}, {where}", f"at {moment.time_text}; {_pending(moment)}"]


def _events(moment: StoreMoment, rate: float | None) -> str:
    text = f"{formatting.many(moment.events, 'event')} in {formatting.many(moment.commit.number, 'commit')}"
    if rate is None:
        return text
    return f"{text}, {rate:,.1f} events/s" if 0 < rate < _SLOW else f"{text}, {rate:,.0f} events/s"


def _freshness(moment: StoreMoment, now: datetime | None) -> str:
    text, time = formatting.commit(moment.commit), moment.commit.time
    if time is None:
        return text
    if now is not None:
        text = f"commit {moment.commit.number:,}, {_rounded(max(now - time, timedelta()))} ago"
    if moment.newest_event is None:
        return text
    relation = "before" if moment.newest_event <= time else "after"
    return (
        f"{text}; newest event {moment.newest_event_text}, {formatting.span(time - moment.newest_event)} {relation} it"
    )


def _rounded(length: timedelta) -> str:
    """To a tenth of a second: what is redrawn should not flutter."""
    return formatting.span(timedelta(seconds=round(length.total_seconds(), 1)))


def _pending(moment: StackMoment) -> str:
    if not moment.deltas or moment.oldest_seconds is None:
        return "nothing is pending"
    count = formatting.many(moment.deltas, "delta")
    more = "" if moment.complete else "more than "
    return f"{more}{count} pending, the oldest {formatting.span(timedelta(seconds=moment.oldest_seconds))} old"


def columns(look: Look) -> list[str]:
    """The names of a row's numbers."""
    return [COUNT, *look.tree.scales]


def name(look: Look, row: NodeTotal) -> str:
    """A node as it stands in the tree, indented."""
    if row is look.tree.node:
        return formatting.node(row.path)
    return _INDENT * (row.depth - look.tree.node.depth) + formatting.label(row.label)


def numbers(row: NodeTotal) -> list[str]:
    """A node's count and sums, every digit."""
    return [formatting.number(row.count), *map(formatting.number, row.sums.values())]


def show_block(seen: Seen, look: Look, screen: Screen) -> None:
    """Show one look as plain lines; nodes that changed are marked."""
    for line in facts(look, seen.rate):
        screen.line(line)
    grid = Grid(["", look.tree.rollup, *columns(look)], frozenset(columns(look)))
    for row in look.tree:
        grid.add(_MARK if row.path in seen.changed else "", name(look, row), *numbers(row))
    screen.grid(grid)
    screen.line()


def document(seen: Seen, look: Look) -> dict[str, Any]:
    """One look for programs: what `oncefold query --format json` says, and what changed."""
    from oncefold.queries.forms import plain_rows

    return {
        **_moment_document(look.moment, seen.rate),
        "rollup": look.tree.rollup,
        "changed": _changed_document(look, seen.changed),
        "rows": list(plain_rows(look.tree, "rollup")),
    }


def _moment_document(moment: StoreMoment | StackMoment, rate: float | None) -> dict[str, Any]:
    if isinstance(moment, StoreMoment):
        return {
            "commit": moment.commit.number,
            "commit_time": moment.commit.time_text,
            "newest_event": moment.newest_event_text,
            "events": moment.events,
            "events_per_second": None if rate is None else round(rate, 1),
        }
    pending = {"deltas": moment.deltas, "complete": moment.complete, "oldest_seconds": moment.oldest_seconds}
    return {"stack": moment.stack, "time": moment.time_text, "pending": pending}


def _changed_document(look: Look, changed: Changed) -> dict[str, list[str]]:
    return {path: [column for column in columns(look) if column in names] for path, names in changed.items()}
