"""From whole numbers, as backends keep them, to the values of the model: decimals, times in UTC, versions as text.

And how fresh an answer over HTTP is: its commit, as headers and as members of a document.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal

from oncefold.core import leafset
from oncefold.core.decimals import format_decimal, parse_decimal
from oncefold.core.fold import Total
from oncefold.core.measures import NO_VALUE
from oncefold.core.nodepath import join
from oncefold.core.timestamps import format_timestamp, parse_timestamp
from oncefold.core.versions import write_version
from oncefold.queries.event_model import Arrival, Contradiction, CountedKey, CurrentVersion, RejectedEvent, Side
from oncefold.queries.model import Amounts, AsOfCommit, Commit, KeyValue, NodeTotal, Shape, WrongNode
from oncefold.store.rows import labels_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oncefold.core.definition import Pipeline
    from oncefold.store import answers as stored

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LIMIT = 10**19
"""Beyond every mantissa of one event."""
_UNITS: dict[str, Literal["row", "item"]] = {"table": "row", "item": "item"}
"""What the position of a reject counts, by its format; bytes for the others."""
_NANOS = 10**9


def to_decimal(mantissa: int, scale: int) -> Decimal:
    """The number mantissa / 10**scale with exactly `scale` places, whatever the decimal context says."""
    return Decimal(format_decimal(mantissa, scale))


def to_datetime(nanos: int) -> datetime:
    """The microsecond in UTC that this time in nanoseconds since the epoch lies in."""
    return _EPOCH + timedelta(microseconds=nanos // 1_000)


def to_nanos(moment: datetime) -> int:
    """The first nanosecond of a moment's microsecond; the moment must have a time zone."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def commit_of(seq: int, at: int) -> Commit:
    """A commit by its number and its time in nanoseconds since the epoch, 0 where it has none."""
    return Commit(seq, to_datetime(at), format_timestamp(at)) if at else Commit(seq)


def as_of_commit(commit: Commit, newest_event: int | None) -> AsOfCommit:
    """A commit with the greatest event time up to it, in nanoseconds since the epoch."""
    if newest_event is None:
        return AsOfCommit(commit)
    return AsOfCommit(commit, to_datetime(newest_event), format_timestamp(newest_event))


@lru_cache(maxsize=2**16)
def path_of(labels: tuple[str, ...]) -> str:
    """The labels joined as a path; many keys share a leaf."""
    return join(labels)


@dataclass(frozen=True)
class Converter:
    """Converts the numbers and labels of one pipeline."""

    pipeline: Pipeline
    shape: Shape = field(init=False)
    """What the answers look like."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", Shape.of(self.pipeline))

    @cached_property
    def _rollups(self) -> Mapping[str | None, int]:
        """Indexes of rollups by name, and of the only one by None."""
        found: dict[str | None, int] = {rollup.name: index for index, rollup in enumerate(self.pipeline.rollups)}
        return found if len(found) > 1 else {**found, None: 0}

    def rollup_index(self, name: str | None) -> int:
        """The index of a rollup; its name may be left out where there is only one. Raises QueryError."""
        index = self._rollups.get(name)
        return self.pipeline.find_rollup(name) if index is None else index

    def amounts(self, amounts: Sequence[int]) -> Mapping[str, Decimal | None]:
        """What a node with these amounts shows, by measure."""
        layout = self.pipeline.layout
        values = amounts if layout.direct else layout.values(amounts)
        pairs = zip(self.shape.scales.items(), values, strict=True)
        return {name: None if value is None else to_decimal(value, scale) for (name, scale), value in pairs}

    def key_values(self, numbers: Sequence[int], texts: Sequence[str | None] = ()) -> Mapping[str, KeyValue]:
        """What a key with these columns adds to each measure."""
        found = zip(self.shape.scales.items(), self.pipeline.layout.values_of_key(numbers, texts), strict=True)
        return {name: to_decimal(value, scale) if isinstance(value, int) else value for (name, scale), value in found}

    def amounts_of(self, count: int, sums: Sequence[int]) -> Amounts:
        """The totals of a node."""
        return Amounts(count, self.amounts(sums))

    def total(self, total: Total) -> Amounts:
        """The same from a value of the core."""
        return self.amounts_of(total.count, total.sums)

    def version(self, version: int | None) -> int | None:
        """The version where it is a number of 64 bits or a time, else None."""
        return None if self._has_text_versions else version

    def version_text(self, version: int | None) -> str:
        """The version as its events write it: a number, an RFC 3339 time, an identifier, or nothing."""
        if version is None or self.pipeline.version is None:
            return ""
        return write_version(self.pipeline.version, version)

    @property
    def _has_text_versions(self) -> bool:
        version = self.pipeline.version
        return version is None or version.is_wide or version.type == "lsn"

    def node_total(
        self, labels: tuple[str, ...], count: int, sums: Sequence[int], children: int | None = None
    ) -> NodeTotal:
        """A node's totals."""
        label = labels[-1] if labels else ""
        return NodeTotal(path_of(labels), labels, len(labels), label, count, self.amounts(sums), children)

    def row_total(self, row: stored.TotalRow, children: int | None) -> NodeTotal:
        """The same of a store's row."""
        sums = self.amounts(row.sums)
        return NodeTotal(row.path, labels_of(row.path), row.depth, row.label, row.count, sums, children)

    def counted_key(
        self,
        rollup: int,
        key: str,
        version: int,
        labels: tuple[str, ...],
        numbers: Sequence[int],
        texts: Sequence[str | None] = (),
    ) -> CountedKey:
        """A key behind a total of this rollup; labels are one per level of the pipeline."""
        arrays = self.pipeline.arrays
        leaves = self._leaves(labels, rollup)
        values = self.key_values(numbers, texts)
        by_level = leafset.by_level(arrays, labels)
        return CountedKey(key, self.version(version), self.version_text(version), by_level, leaves, values)

    def _leaves(self, labels: tuple[str, ...], rollup: int) -> tuple[str, ...]:
        """The paths of a key's leaves in a rollup."""
        return tuple(map(path_of, leafset.paths(self.pipeline.arrays, labels, self.pipeline.rollup_levels[rollup])))

    def leaf(self, labels: tuple[str, ...] | None) -> tuple[tuple[str | tuple[str, ...], ...] | None, str | None]:
        """The labels of a content by level, and its leaf as people read it; None of a delete."""
        if labels is None:
            return None, None
        return leafset.by_level(self.pipeline.arrays, labels), leafset.shown(self.pipeline.arrays, labels)

    def _leaves_by_rollup(self, labels: tuple[str, ...] | None) -> Mapping[str, tuple[str, ...]]:
        if labels is None or not self.pipeline.arrays:
            return {}
        return {rollup.name: self._leaves(labels, index) for index, rollup in enumerate(self.pipeline.rollups)}

    def wrong_node(self, difference: stored.WrongTotal) -> WrongNode:
        """A node whose stored totals are wrong."""
        was = difference.stored
        return WrongNode(
            rollup=difference.rollup,
            path=difference.path,
            stored=self.total(was) if isinstance(was, Total) else None,
            fault=was if isinstance(was, str) else "",
            recomputed=self.total(difference.recomputed),
        )

    def current_version(self, state: stored.KeyState) -> CurrentVersion:
        """The state of a key."""
        live = state.labels is not None
        labels, leaf = self.leaf(state.labels)
        return CurrentVersion(
            version=self.version(state.version),
            version_text=self.version_text(state.version),
            labels=labels,
            leaf=leaf,
            leaves=self._leaves_by_rollup(state.labels),
            values=self.key_values(state.measures, state.texts) if live else {},
        )

    def arrival(self, arrival: stored.StoredArrival) -> Arrival:
        """An event of a key."""
        live = arrival.labels is not None
        labels, leaf = self.leaf(arrival.labels)
        return Arrival(
            commit=commit_of(arrival.commit.seq, arrival.commit.at),
            outcome=arrival.outcome.name.lower(),
            known=arrival.version is not None,
            version=self.version(arrival.version),
            version_text=self.version_text(arrival.version),
            labels=labels,
            leaf=leaf,
            values=self.key_values(arrival.measures, arrival.texts) if live else {},
        )

    def contradiction(self, item: stored.ListedConflict) -> Contradiction:
        """A conflict of a store."""
        conflict = item.conflict
        return Contradiction(
            id=item.id,
            commit=commit_of(item.commit.seq, item.commit.at),
            key=conflict.key,
            version=self.version(conflict.version),
            version_text=self.version_text(conflict.version),
            kept=self.side(conflict.kept),
            dropped=self.side(conflict.dropped),
        )

    def side(self, text: str) -> Side:
        """One content of a conflict, from the JSON text that the store keeps."""
        content = json.loads(text)
        if content is None:
            return Side(None, None, {})
        labels, leaf = self.leaf(tuple(content["labels"]))
        pairs = zip(content["measures"], self.pipeline.columns, strict=False)
        numbers = [NO_VALUE if value is None else parse_decimal(value, column.scale, _LIMIT) for value, column in pairs]
        values = self.key_values(numbers, content.get("texts", ()))
        return Side(labels, leaf, values)


def rejected(item: stored.ListedReject) -> RejectedEvent:
    """An event on the reject list of a store."""
    reject, commit = item.reject, commit_of(item.commit.seq, item.commit.at)
    return RejectedEvent(
        id=item.id,
        commit=commit,
        time_text=commit.time_text,
        source=reject.source,
        position=reject.position,
        unit=_UNITS.get(reject.format, "byte"),
        reason=reject.reason,
        raw=reject.raw,
        size=reject.size,
        format=reject.format,
        context=reject.context,
    )


@dataclass(frozen=True, slots=True)
class Freshness:
    """A commit as an answer names it."""

    commit: int
    at: int = 0
    """Nanoseconds since the epoch; 0 where it has no time."""
    newest_time: int | None = None
    """Greatest event time up to it."""

    def lag(self, now: int) -> float | None:
        """Seconds from the newest event time to now; None without event times."""
        return None if self.newest_time is None else round((now - self.newest_time) / _NANOS, 3)

    def headers(self, now: int) -> list[tuple[bytes, bytes]]:
        """The headers of every answer to a query."""
        headers, _ = _lasting(self)
        lag = self.lag(now)
        return [*headers] if lag is None else [*headers, (b"oncefold-lag-seconds", b"%.3f" % lag)]

    def members(self, now: int) -> bytes:
        """The same as the first members of a JSON object, without its closing brace."""
        _, members = _lasting(self)
        lag = self.lag(now)
        return members + (b"null" if lag is None else repr(lag).encode())


@lru_cache(64)
def _lasting(fresh: Freshness) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
    """Headers and members without the lag, which alone goes on with the clock."""
    at = format_timestamp(fresh.at) if fresh.at else None
    newest = None if fresh.newest_time is None else format_timestamp(fresh.newest_time)
    headers = [(b"oncefold-commit", str(fresh.commit).encode())]
    headers += [(b"oncefold-commit-time", at.encode())] if at else []
    headers += [(b"oncefold-newest-event", newest.encode())] if newest else []
    document = {"commit": fresh.commit, "commit_time": at, "newest_event": newest}
    return tuple(headers), json.dumps(document, separators=(",", ":")).encode()[:-1] + b',"lag_seconds":'


def freshness_of(as_of: AsOfCommit) -> Freshness:
    """How fresh an answer is that is as of a commit."""
    time, newest = as_of.commit.time_text, as_of.newest_event_text
    return Freshness(
        as_of.commit.number,
        0 if time is None else parse_timestamp(time),
        None if newest is None else parse_timestamp(newest),
    )
