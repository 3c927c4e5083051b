"""From JSON documents, as `oncefold.queries.render.document` writes them, back to the values of the model.

A document that is not of that form raises KeyError, TypeError, ValueError or decimal.InvalidOperation.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from oncefold.core.nodepath import split
from oncefold.core.timestamps import parse_timestamp
from oncefold.queries.converters import to_datetime
from oncefold.queries.event_model import (
    Arrival,
    Conflicts,
    Contradiction,
    CountedKey,
    CurrentVersion,
    Explanation,
    History,
    RejectedEvent,
    Rejects,
    Side,
)
from oncefold.queries.model import (
    Amounts,
    AsOfCommit,
    Commit,
    FoundKey,
    FoundNode,
    KeyValue,
    NodeTotal,
    Point,
    RollupShape,
    SearchResult,
    Series,
    Shape,
    Totals,
    Verification,
    WrongNode,
)
from oncefold.queries.status_model import ServerLoad, SourceProgress, StoreStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    Document = Mapping[str, Any]


def shape_of(status: Document) -> Shape:
    """The shape of a pipeline, from the document of `status`."""
    return Shape(
        status["pipeline"],
        tuple(map(_rollup, status["rollups"])),
        {one["name"]: one["scale"] for one in status["measures"]},
        status["version_type"],
        {one["name"]: one.get("kind", "sum") for one in status["measures"]},
    )


def _rollup(found: Document) -> RollupShape:
    each, windows = found.get("each", ()), found.get("windows", ())
    return RollupShape(found["name"], tuple(found["levels"]), tuple(each), tuple(windows))


def _time(text: str | None) -> datetime | None:
    return None if text is None else to_datetime(parse_timestamp(text))


def _commit(number: int, text: str | None) -> Commit:
    return Commit(number, _time(text), text)


def as_of_commit(found: Document) -> AsOfCommit:
    """What an answer is as of."""
    newest = found["newest_event"]
    return AsOfCommit(_commit(found["commit"], found["commit_time"]), _time(newest), newest)


def node_measures(found: Document) -> Mapping[str, Decimal | None]:
    """Amounts of a node by measure."""
    return {name: None if value is None else Decimal(value) for name, value in found.items()}


def _values(shape: Shape, leaf: str | None, found: Document) -> Mapping[str, KeyValue]:
    """What a key adds to each measure; nothing for a delete, which has no leaf."""
    if leaf is None:
        return {}
    texts = shape.text_measures
    return {name: value if value is None or name in texts else Decimal(value) for name, value in found.items()}


def _amounts(found: Document) -> Amounts:
    return Amounts(found["count"], node_measures(found["measures"]))


def totals(shape: Shape, found: Document) -> Totals:
    """The answer to `query`."""
    return Totals(
        as_of=as_of_commit(found),
        shape=shape,
        rows=tuple(map(_node, found["rows"])),
        rollup=found["rollup"],
        more=found["more"],
    )


def _node(row: Document) -> NodeTotal:
    path = row["path"]
    measures = node_measures(row["measures"])
    return NodeTotal(path, split(path), row["depth"], row["label"], row["count"], measures, row["children"])


def series(shape: Shape, found: Document) -> Series:
    """The answer to `series`."""
    points = tuple(Point(_commit(point["commit"], point["time"]), _amounts(point)) for point in found["points"])
    return Series(as_of=as_of_commit(found), shape=shape, rows=points, rollup=found["rollup"], path=found["path"])


def _version(shape: Shape, text: str | None) -> tuple[int | None, str]:
    if text is None or shape.version_type is None:
        return None, ""
    if shape.version_type == "text":
        return None, text
    return parse_timestamp(text) if shape.version_type == "timestamp" else int(text), text


def _labels(shape: Shape, leaf: str | None) -> tuple[str, ...] | None:
    """One per level; none where a level may have several, which the leaf does not tell apart."""
    if leaf is None:
        return None
    return () if shape.has_several_leaves else split(leaf)


def explanation(shape: Shape, found: Document, after: int) -> Explanation:
    """The answer to `explain`, without the first `after` keys."""
    return Explanation(
        as_of=as_of_commit(found),
        shape=shape,
        rows=tuple(_counted_key(shape, row) for row in found["rows"]),
        rollup=found["rollup"],
        path=found["path"],
        count=found["count"],
        sums=node_measures(found["measures"]),
        total=_amounts(found["total"]),
        after=after,
        moved=found["moved"],
        measure=found.get("measure"),
        value=found.get("value"),
    )


def _counted_key(shape: Shape, row: Document) -> CountedKey:
    leaf = row["leaf"]
    leaves = tuple(row.get("leaves", (leaf,)))
    labels = _labels(shape, leaf) or ()
    return CountedKey(
        row["key"], *_version(shape, row["version"]), labels, leaves, _values(shape, leaf, row["measures"])
    )


def history(shape: Shape, found: Document) -> History:
    """The answer to `history`."""
    current, forgotten = found["current"], found["forgotten_to"]
    leaf = current["leaf"]
    return History(
        as_of=as_of_commit(found),
        shape=shape,
        rows=tuple(_arrival(shape, row) for row in found["rows"]),
        key=found["key"],
        current=CurrentVersion(
            *_version(shape, current["version"]),
            _labels(shape, leaf),
            leaf,
            _values(shape, leaf, current["measures"]),
            {rollup: tuple(paths) for rollup, paths in current.get("leaves", {}).items()},
        ),
        forgotten_to=None if forgotten is None else _commit(forgotten, found["forgotten_to_time"]),
        more=found["more"],
    )


def _arrival(shape: Shape, row: Document) -> Arrival:
    version, text = _version(shape, row["version"])
    return Arrival(
        commit=_commit(row["commit"], row["time"]),
        outcome=row["outcome"],
        known=row["known"],
        version=version,
        version_text=text,
        labels=_labels(shape, row["leaf"]),
        leaf=row["leaf"],
        values=_values(shape, row["leaf"], row["measures"]),
    )


def rejects(shape: Shape, found: Document) -> Rejects:
    """The answer to `rejects`."""
    return Rejects(
        as_of=as_of_commit(found), shape=shape, rows=tuple(map(_rejected, found["rows"])), total=found["total"]
    )


def _rejected(row: Document) -> RejectedEvent:
    raw = row["raw"]
    return RejectedEvent(
        id=row["id"],
        commit=_commit(row["commit"], row["time"]),
        time_text=row["time"],
        source=row["source"],
        position=row["position"],
        unit=row["unit"],
        reason=row["reason"],
        raw=base64.b64decode(row["raw_base64"]) if raw is None else raw.encode(),
        size=row["size"],
        format=row["format"],
        context=row["context"],
    )


def conflicts(shape: Shape, found: Document) -> Conflicts:
    """The answer to `conflicts`."""
    rows = tuple(_contradiction(shape, row) for row in found["rows"])
    return Conflicts(as_of=as_of_commit(found), shape=shape, rows=rows, total=found["total"])


def _contradiction(shape: Shape, row: Document) -> Contradiction:
    version, text = _version(shape, row["version"])
    kept, dropped = (
        Side(_labels(shape, leaf), leaf, _values(shape, leaf, row[f"{which}_measures"]))
        for which, leaf in (("kept", row["kept_leaf"]), ("dropped", row["dropped_leaf"]))
    )
    return Contradiction(row["id"], _commit(row["commit"], row["time"]), row["key"], version, text, kept, dropped)


def verification(shape: Shape, found: Document) -> Verification:
    """The answer to `verify`."""
    return Verification(
        as_of=as_of_commit(found),
        shape=shape,
        rows=tuple(map(_wrong, found["rows"])),
        nodes=found["nodes"],
        keys=found["keys"],
        undecided=tuple(found["undecided"]),
        tries=found["tries"],
        moved=found["moved"],
    )


def _wrong(row: Document) -> WrongNode:
    stored = None if row["stored"] is None else _amounts(row["stored"])
    return WrongNode(row["rollup"], row["path"], stored, row["fault"] or "", _amounts(row["recomputed"]))


def search(shape: Shape, found: Document) -> SearchResult:
    """The answer to `search`."""
    return SearchResult(
        as_of=as_of_commit(found),
        nodes=tuple(
            FoundNode(node["rollup"], node["path"], node["count"], node_measures(node["measures"]))
            for node in found["nodes"]
        ),
        keys=tuple(
            FoundKey(key["key"], key["live"], key["version"], key["leaf"], _values(shape, key["leaf"], key["measures"]))
            for key in found["keys"]
        ),
    )


def status(found: Document, now: int) -> StoreStatus:
    """The answer to `status` at a time in nanoseconds since the epoch."""
    retention, load = found["retention_seconds"], found.get("events_per_second")
    behind = found["behind_seconds"]
    return StoreStatus(
        as_of=as_of_commit(found),
        shape=shape_of(found),
        rows=tuple(map(_source, found["sources"])),
        fingerprint=found["fingerprint"],
        path=found["store"],
        format=found["format"],
        created=datetime.fromisoformat(found["created"]),
        keys=found["keys"],
        live=found["live"],
        nodes=found["nodes"],
        counts=dict(found["counts"]),
        rejects=found["rejects"],
        discarded=found["discarded"],
        conflicts=found["conflicts"],
        queried=to_datetime(now),
        behind=None if behind is None else timedelta(seconds=behind),
        oldest=_commit(found["oldest_commit"], found["oldest_commit_time"]),
        retention=None if retention is None else timedelta(seconds=retention),
        file_bytes=found["file_bytes"],
        load=None if load is None else ServerLoad(load, found["waiting_requests"]),
    )


def _source(row: Document) -> SourceProgress:
    return SourceProgress(
        source=row["source"],
        kind=row["kind"],
        commit=row["commit"],
        offset=row["offset"],
        file_bytes=row["file_bytes"],
        read_bytes=row["read_bytes"],
        state=row["state"],
        sequence=row.get("sequence"),
        lag_seconds=row.get("lag_seconds"),
        closed=row.get("closed", False),
    )
