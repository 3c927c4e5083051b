"""Answers made for people from those of the store."""

import json
import sys
from datetime import timedelta
from pathlib import Path

from oncefold.core.decimals import parse_decimal
from oncefold.core.errors import IllFormedQuestionError
from oncefold.core.fold import Outcome, Total
from oncefold.core.timestamps import format_timestamp
from oncefold.queries.answers import Amounts, Commit, NodeTotal, WrongNode
from oncefold.queries.events import Arrival, Contradiction, CountedKey, History, RejectedEvent, Side, Standing
from oncefold.queries.overview import Overview
from oncefold.queries.progress import progress_of
from oncefold.queries.snapshot import commit_of
from oncefold.queries.values import Reading, path_of, to_datetime
from oncefold.store import answers as stored
from oncefold.store.rows import labels_of

_LIMIT = 10**19
"""Beyond every mantissa of one event."""


def checked(number: int | None, name: str) -> int | None:
    """A depth or limit. Raises IllFormedQuestionError for a negative one."""
    if number is not None and number < 0:
        raise IllFormedQuestionError(f"{name} is {number}; give 0 or more, or None for all")
    return number


def limited(limit: int | None) -> int:
    """A limit as a number. Raises IllFormedQuestionError for a negative one."""
    return sys.maxsize if checked(limit, "limit") is None else int(limit or 0)


def node_total(reading: Reading, row: stored.TotalRow) -> NodeTotal:
    """A node's totals."""
    return NodeTotal(row.path, labels_of(row.path), row.depth, row.label, row.count, reading.amounts(row.sums))


def wrong_node(reading: Reading, difference: stored.Difference) -> WrongNode:
    """A node that is wrong."""
    was = difference.stored
    return WrongNode(
        rollup=difference.rollup,
        path=difference.path,
        stored=_amounts(reading, was) if isinstance(was, Total) else None,
        fault=was if isinstance(was, str) else "",
        recomputed=_amounts(reading, difference.recomputed),
    )


def _amounts(reading: Reading, total: Total) -> Amounts:
    return Amounts(total.count, reading.amounts(total.sums))


def counted_key(reading: Reading, rollup: int, state: stored.KeyState) -> CountedKey:
    """A key behind a total."""
    labels = state.labels or ()
    return CountedKey(
        key=state.key,
        version=reading.version(state.version),
        version_text=reading.version_text(state.version),
        labels=labels,
        leaf=path_of(tuple(labels[level] for level in reading.pipeline.rollup_levels[rollup])),
        values=reading.amounts(state.measures),
    )


def history(reading: Reading, at: Commit, found: stored.KeyHistory) -> History:
    """What arrived for a key."""
    return History(
        commit=at,
        rows=tuple(_arrival(reading, arrival) for arrival in found.arrivals),
        key=found.key,
        stands=_stands(reading, found.state),
        forgotten_to=None if found.since is None else commit_of(found.since),
        scales=reading.scales,
        version_is_time=reading.version_is_time,
    )


def _stands(reading: Reading, state: stored.KeyState) -> Standing:
    return Standing(
        version=reading.version(state.version),
        version_text=reading.version_text(state.version),
        labels=state.labels,
        leaf=reading.leaf(state.labels),
        values={} if state.labels is None else reading.amounts(state.measures),
    )


def _arrival(reading: Reading, arrival: stored.Arrival) -> Arrival:
    live = arrival.labels is not None
    return Arrival(
        commit=commit_of(arrival.commit),
        outcome=arrival.outcome.name.lower(),
        known=arrival.version is not None,
        version=reading.version(arrival.version),
        version_text=reading.version_text(arrival.version),
        labels=arrival.labels,
        leaf=reading.leaf(arrival.labels),
        values=reading.amounts(arrival.measures) if live else {},
    )


def rejected(item: stored.ListedReject) -> RejectedEvent:
    """An event on the reject list."""
    reject = item.reject
    return RejectedEvent(
        id=item.id,
        commit=commit_of(item.commit),
        source=reject.source,
        position=reject.position,
        unit="row" if reject.format == "table" else "byte",
        reason=reject.reason,
        raw=reject.raw,
        size=reject.size,
        format=reject.format,
        context=reject.context,
    )


def contradiction(reading: Reading, item: stored.ListedConflict) -> Contradiction:
    """A conflict."""
    conflict = item.conflict
    return Contradiction(
        commit=commit_of(item.commit),
        key=conflict.key,
        version=reading.version(conflict.version),
        version_text=reading.version_text(conflict.version),
        kept=_side(reading, conflict.kept),
        dropped=_side(reading, conflict.dropped),
    )


def _side(reading: Reading, text: str) -> Side:
    content = json.loads(text)
    if content is None:
        return Side(None, None, {})
    labels = tuple(content["labels"])
    pairs = zip(content["measures"], reading.pipeline.measures, strict=True)
    values = reading.amounts([parse_decimal(value, measure.scale, _LIMIT) for value, measure in pairs])
    return Side(labels, path_of(labels), values)


def overview(path: Path, status: stored.Status, now: int) -> Overview:
    """A store as a whole."""
    newest, retention = status.newest_time, status.retention
    return Overview(
        commit=commit_of(status.last),
        rows=tuple(map(progress_of, status.positions)),
        path=str(path),
        pipeline=status.pipeline.name,
        fingerprint=status.pipeline.fingerprint,
        format=status.format,
        created=to_datetime(status.created),
        keys=status.keys,
        live=status.live,
        nodes=status.nodes,
        counts={outcome.name.lower(): status.counts.get(outcome, 0) for outcome in Outcome},
        rejects=status.rejects,
        discarded=status.discarded,
        conflicts=status.conflicts,
        newest_event=None if newest is None else to_datetime(newest),
        newest_event_text=None if newest is None else format_timestamp(newest),
        asked=to_datetime(now),
        behind=None if newest is None else timedelta(microseconds=(now - newest) // 1_000),
        oldest=commit_of(status.oldest),
        retention=None if isinstance(retention, str) else retention,
        file_bytes=status.file_bytes,
    )
