"""Every answer as one JSON document, the same on the command line and over HTTP; sums are `Decimal`, see `rows`.

A document begins with what it is as of: for a store or a server `commit`, `commit_time`, `newest_event` and
`lag_seconds`, for a stack `stack`, `time` and `pending`. The rest is the same whichever backend answered, apart from
what names a place in it (the source of a reject) and from `status`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from oncefold.core.timestamps import parse_timestamp
from oncefold.queries.event_model import Conflicts, Explanation, History, RejectReasons, Rejects
from oncefold.queries.model import (
    Amounts,
    Answer,
    AsOfCommit,
    AsOfTime,
    KeyValue,
    Pending,
    RollupShape,
    SearchResult,
    Series,
    Totals,
    Verification,
    WrongNode,
)
from oncefold.queries.render.rows import json_rows
from oncefold.queries.status_model import FunctionState, SourceProgress, StackStatus, StoreStatus, StreamState

Document = dict[str, Any]
_NANOS = 10**9


def document(answer: Answer[Any] | SearchResult, now: int) -> Document:
    """The whole document of an answer; `now` is in nanoseconds since the epoch, for `lag_seconds`."""
    return {**as_of(answer.as_of, now), **content(answer)}


def as_of(moment: AsOfCommit | AsOfTime, now: int) -> Document:
    """The members that say what an answer is as of."""
    if isinstance(moment, AsOfCommit):
        return {
            "commit": moment.commit.number,
            "commit_time": moment.commit.time_text,
            "newest_event": moment.newest_event_text,
            "lag_seconds": lag_seconds(moment.newest_event_text, now),
        }
    named = {"stack": moment.stack, "time": moment.time_text}
    return named if moment.pending is None else {**named, "pending": _pending(moment.pending)}


def lag_seconds(newest_event: str | None, now: int) -> float | None:
    """Seconds from the newest event time to now; None without event times."""
    return None if newest_event is None else round((now - parse_timestamp(newest_event)) / _NANOS, 3)


def content(answer: Answer[Any] | SearchResult) -> Document:
    """The document without the members of `as_of`."""
    for kind, write in _CONTENTS.items():
        if isinstance(answer, kind):
            return write(answer)
    raise TypeError(f"no document is defined for {type(answer).__name__}")


def _pending(pending: Pending) -> Document:
    return {
        "deltas": pending.deltas,
        "complete": pending.complete,
        "oldest_seconds": _seconds(pending.oldest),
        "added": pending.added,
    }


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


def amounts(found: Amounts) -> Document:
    """Count and measures."""
    return {"count": found.count, "measures": _measures(found.sums)}


def _measures(sums: Mapping[str, KeyValue]) -> Document:
    return dict(sums)


def _totals(found: Totals) -> Document:
    return {
        "rollup": found.rollup,
        "path": found.node.path,
        "levels": list(found.shape.levels_of(found.rollup)),
        "scales": dict(found.shape.scales),
        "rows": list(json_rows(found, "commit", "rollup")),
        "more": found.more,
    }


def _series(found: Series) -> Document:
    return {
        "rollup": found.rollup,
        "path": found.path,
        "scales": dict(found.shape.scales),
        "points": list(json_rows(found)),
    }


def _explanation(found: Explanation) -> Document:
    return {
        "rollup": found.rollup,
        "path": found.path,
        **({} if found.measure is None else {"measure": found.measure, "value": found.value}),
        "count": found.count,
        "measures": _measures(found.sums),
        "total": amounts(found.total),
        "complete": found.complete,
        "adds_up": found.adds_up,
        "moved": found.moved,
        "rows": list(json_rows(found, "commit")),
        "more": found.more,
    }


def _history(found: History) -> Document:
    current, forgotten = found.current, found.forgotten_to
    return {
        "key": found.key,
        "current": {
            "deleted": current.deleted,
            "version": current.version_text or None,
            "leaf": current.leaf,
            **_leaves(found),
            "measures": _measures(current.values),
        },
        "forgotten_to": None if forgotten is None else forgotten.number,
        "forgotten_to_time": None if forgotten is None else forgotten.time_text,
        "rows": [{**row, "known": arrival.known} for row, arrival in zip(json_rows(found, "key"), found, strict=True)],
        "more": found.more,
    }


def _leaves(found: History) -> Document:
    """The paths of the leaves by rollup, where there may be several; nothing of a delete."""
    if not found.shape.has_several_leaves:
        return {}
    return {"leaves": {rollup: list(paths) for rollup, paths in found.current.leaves.items()}}


def _listed(found: Rejects | RejectReasons | Conflicts) -> Document:
    return {"total": found.total, "rows": list(json_rows(found))}


def _search(found: SearchResult) -> Document:
    return {
        "nodes": [
            {"rollup": node.rollup, "path": node.path, "count": node.count, "measures": _measures(node.sums)}
            for node in found.nodes
        ],
        "keys": [
            {
                "key": key.key,
                "live": key.live,
                "version": key.version_text,
                "leaf": key.leaf,
                "measures": _measures(key.values),
            }
            for key in found.keys
        ],
    }


def _verification(found: Verification) -> Document:
    return {
        "exact": found.exact,
        "nodes": found.nodes,
        "keys": found.keys,
        "rows": [_wrong(row) for row in found],
        "undecided": list(found.undecided),
        "tries": found.tries,
        "moved": found.moved,
    }


def _wrong(row: WrongNode) -> Document:
    pending = {} if row.pending is None else {"pending": amounts(row.pending)}
    return {
        "rollup": row.rollup,
        "path": row.path,
        "fault": row.fault or None,
        "stored": None if row.stored is None else amounts(row.stored),
        **pending,
        "recomputed": amounts(row.recomputed),
    }


def _shape(found: StoreStatus | StackStatus) -> Document:
    shape = found.shape
    return {
        "version_type": shape.version_type,
        "rollups": [_rollup(rollup) for rollup in shape.rollups],
        "measures": [
            {"name": name, "kind": shape.kinds.get(name, "sum"), "scale": scale} for name, scale in shape.scales.items()
        ],
    }


def _rollup(rollup: RollupShape) -> Document:
    """Its levels; which of them have several nodes for a key, and the windows, where there are any."""
    some = {"each": list(rollup.each), "windows": list(rollup.windows)}
    return {
        "name": rollup.name,
        "levels": list(rollup.levels),
        **{name: found for name, found in some.items() if found},
    }


def _store_status(found: StoreStatus) -> Document:
    load = {} if found.load is None else asdict(found.load)
    return {
        "store": found.path,
        "pipeline": found.pipeline,
        "fingerprint": found.fingerprint,
        "format": found.format,
        "created": found.created.isoformat(),
        "file_bytes": found.file_bytes,
        "behind_seconds": _seconds(found.behind),
        "keys": found.keys,
        "live": found.live,
        "nodes": found.nodes,
        "events": found.events,
        "counts": dict(found.counts),
        "rejects": found.rejects,
        "discarded": found.discarded,
        "conflicts": found.conflicts,
        "retention_seconds": _seconds(found.retention),
        "oldest_commit": found.oldest.number,
        "oldest_commit_time": found.oldest.time_text,
        "sources": [{**cells, **_source(row)} for cells, row in zip(json_rows(found), found, strict=True)],
        **_shape(found),
        **load,
    }


def _source(row: SourceProgress) -> Document:
    """What the columns do not have, and what only a stream's shard has."""
    shard = {"sequence": row.sequence, "lag_seconds": row.lag_seconds, "closed": row.closed}
    return {"state": row.state, **(shard if row.sequence is not None else {})}


def _stack_status(found: StackStatus) -> Document:
    return {
        "region": found.region,
        "pipeline": found.pipeline,
        "fingerprint": found.fingerprint,
        "accepted_definitions": found.accepted,
        "stream": None if found.stream is None else _stream(found.stream),
        "functions": [_function(function) for function in found.functions],
        "keys": found.keys.number,
        "live": None if found.live is None else found.live.number,
        "nodes": found.nodes.number,
        "counted": found.keys.exact,
        "pending": _pending(found.outbox),
        "rejects": found.rejects.number,
        "conflicts": found.conflicts.number,
        "failures": found.failures,
        "rebuild": found.rebuild,
        "lost": found.lost,
        "unknown": dict(found.unknown),
        **_shape(found),
    }


def _stream(stream: StreamState) -> Document:
    return {
        "name": stream.name,
        "status": stream.status,
        "mode": stream.mode,
        "open_shards": stream.open_shards,
        "closed_shards": stream.closed_shards,
        "retention_seconds": stream.retention.total_seconds(),
    }


def _function(function: FunctionState) -> Document:
    mappings = function.mappings
    return {
        "name": function.name,
        "mappings": None if mappings is None else [{"state": m.state, "last_result": m.result} for m in mappings],
        "iterator_age_seconds": _seconds(function.age),
        "errors": function.errors,
    }


_CONTENTS: Mapping[type[Any], Callable[[Any], Document]] = {
    Totals: _totals,
    Series: _series,
    Explanation: _explanation,
    History: _history,
    Rejects: _listed,
    RejectReasons: _listed,
    Conflicts: _listed,
    SearchResult: _search,
    Verification: _verification,
    StoreStatus: _store_status,
    StackStatus: _stack_status,
}
