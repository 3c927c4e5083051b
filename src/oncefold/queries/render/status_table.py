"""The answer to `status` as text for people."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from oncefold.queries.model import AsOfTime
from oncefold.queries.render import formatting
from oncefold.queries.render.screen import Grid, Screen
from oncefold.queries.render.table import pending_text
from oncefold.queries.status_model import StackStatus, Status, StoreStatus

if TYPE_CHECKING:
    from oncefold.queries.status_model import Count, FunctionState, SourceProgress, StreamState

_SEQUENCE_CHARS = 12
"""Of the many digits of a sequence number, the last tell two apart."""
_FINGERPRINT_CHARS = 8


def show_status(found: Status, screen: Screen) -> None:
    """Show a store or a stack as a whole."""
    if isinstance(found, StoreStatus):
        _show_store(found, screen)
    if isinstance(found, StackStatus):
        _show_stack(found, screen)


# a store


def _show_store(found: StoreStatus, screen: Screen) -> None:
    where = f"{formatting.printable(found.path)}, {formatting.size(found.file_bytes)}"
    oldest = formatting.commit(found.oldest)
    keys = f"{found.live:,} counted, {found.keys:,} ever met; {formatting.many(found.nodes, 'node')}"
    lines = [
        ("store", f"{where}, pipeline {found.pipeline}"),
        ("last", formatting.commit(found.commit)),
        ("newest event", _freshness(found)),
        ("keys", keys),
        ("events", _events(found)),
        ("rejects", _counted(found.rejects, "oncefold rejects") + _discarded(found.discarded)),
        ("conflicts", _counted(found.conflicts, "oncefold conflicts")),
        ("the past", f"{_retention(found.retention)}; it can be queried back to {oldest}"),
    ]
    if found.load is not None:
        waiting = formatting.many(found.load.waiting_requests, "waiting request")
        lines.append(("load", f"{found.load.events_per_second:,.1f} events/s, {waiting}"))
    for name, text in lines:
        screen.line(f"{name:<13}{text}")
    screen.line()
    if found.rows:
        screen.grid(_sources(found))
    else:
        screen.line("No source has a position.")


def _freshness(found: StoreStatus) -> str:
    if found.behind is None:
        return "none has a time"
    relation = "ago" if found.behind.total_seconds() >= 0 else "ahead of the clock"
    return f"{found.newest_event_text}, {formatting.span(found.behind)} {relation}"


def _events(found: StoreStatus) -> str:
    some = [f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in found.counts.items() if count]
    return f"{found.events:,}" + (f": {', '.join(some)}" if some else "")


def _counted(count: int, command: str) -> str:
    return f"{count:,}" + (f"; see: {command}" if count else "")


def _discarded(count: int) -> str:
    return f"; {count:,} discarded so far" if count else ""


def _retention(retention: timedelta | None) -> str:
    return "kept for ever" if retention is None else f"kept for {formatting.span(retention)}"


def _sources(found: StoreStatus) -> Grid:
    grid = Grid(["source", "next", "folded", "lag", "commit"], frozenset(["next", "folded", "lag", "commit"]))
    for row in found:
        name = "standard input" if row.source == "-" else formatting.printable(row.source)
        grid.add(name, _next(row), _share(row), _lag(row), formatting.number(row.commit))
    return grid


def _next(row: SourceProgress) -> str:
    if row.sequence is not None:
        return f"after …{row.sequence[-_SEQUENCE_CHARS:]}" if row.sequence else "the oldest record"
    if row.offset is None:
        return formatting.piece(row.state.encode(), 40)
    return f"{'row' if row.kind == 'table' else 'byte'} {row.offset:,}"


def _share(row: SourceProgress) -> str:
    if row.lag_bytes is None or not row.file_bytes:
        return ""
    return f"{100 * (1 - row.lag_bytes / row.file_bytes):.1f} %" if row.lag_bytes else "100 %"


def _lag(row: SourceProgress) -> str:
    if row.closed:
        return "none, closed"
    if row.lag_seconds is not None:
        return f"{formatting.span(timedelta(seconds=row.lag_seconds)) if row.lag_seconds else 'none'} when last read"
    if row.shrunk:
        return "the file is shorter now"
    if row.lag_bytes is not None:
        return "none" if row.lag_bytes == 0 else formatting.size(row.lag_bytes)
    return "the file is gone" if row.file_bytes is None and row.kind in {"text", "table"} else ""


# a stack


def _show_stack(found: StackStatus, screen: Screen) -> None:
    assert isinstance(found.as_of, AsOfTime)
    stack, time = found.as_of.stack, found.as_of.time_text
    lines = [
        ("stack", f"{stack} in {found.region} at {time}"),
        ("pipeline", _pipeline(found)),
        ("stream", "unknown" if found.stream is None else _stream(found.stream)),
        *((function.name.removeprefix(f"{stack}-"), _function(function)) for function in found.functions),
        ("keys", _keys(found)),
        ("nodes", _about(found.nodes)),
        ("outbox", pending_text(found.outbox)),
        ("rejects", _at_least(found.rejects, "oncefold rejects")),
        ("conflicts", _at_least(found.conflicts, "oncefold conflicts")),
        ("failures", _failures(found)),
    ]
    if found.lost:
        lines.append(("lost", "changes may have been dropped unread; make the totals anew: oncefold aws rebuild"))
    if found.rebuild is not None:
        lines.append(("rebuild", f"under way, in its phase `{found.rebuild}`; to go on with it: oncefold aws rebuild"))
    for name, text in lines:
        screen.line(f"{name:<11}{text}")
    if not found.keys.exact:
        screen.line("about: as DynamoDB counted within the last six hours; --count counts now", "dim")
    for what, why in found.unknown.items():
        screen.line(f"unknown: {what}: {formatting.printable(why)}", "yellow")


def _pipeline(found: StackStatus) -> str:
    text = f"{found.pipeline}, definition {found.fingerprint[:_FINGERPRINT_CHARS]}"
    return text if found.accepted == 1 else f"{text}, widened from {formatting.many(found.accepted - 1, 'other')}"


def _stream(stream: StreamState) -> str:
    mode = stream.mode.lower().replace("_", " ")
    shards = formatting.many(stream.open_shards, "open shard")
    closed = f", {stream.closed_shards:,} closed" if stream.closed_shards else ""
    return f"{stream.status.lower()}, {mode}, {shards}{closed}, keeps {formatting.span(stream.retention)}"


def _function(function: FunctionState) -> str:
    parts = []
    if function.mappings:
        parts += [f"mapping {mapping.state.lower()} ({mapping.result})" for mapping in function.mappings]
    elif function.mappings is not None and not function.name.endswith("-sweep"):
        parts.append("NO mapping feeds it")
    if function.age is not None:
        parts.append(f"iterator age {formatting.span(function.age)}")
    if function.errors is not None:
        parts.append(formatting.many(function.errors, "error"))
    return ", ".join(parts) or "unknown"


def _keys(found: StackStatus) -> str:
    if found.live is None:
        return _about(found.keys)
    return f"{found.live.number:,} counted, {found.keys.number:,} ever met"


def _about(count: Count) -> str:
    about = "" if count.exact else "about "
    return f"{about}{count.number:,}"


def _at_least(count: Count, command: str) -> str:
    if not count.number:
        return "0"
    more = "" if count.complete else "more than "
    return f"{more}{count.number:,}; see: {command}"


def _failures(found: StackStatus) -> str:
    if found.failures is None:
        return "unknown"
    if not found.failures:
        return "0"
    return f"{formatting.many(found.failures, 'message')} about failed batches; see: oncefold aws redrive"
