"""What all operations of a simulated DynamoDB share: tables, remembered expressions and tokens, and committing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from oncefold_lab.simulator.calling import Caller
from oncefold_lab.simulator.errors import Refusal
from oncefold_lab.simulator.expressions import Expressions
from oncefold_lab.simulator.streams import Stream
from oncefold_lab.simulator.tables import Key, Table, point_of
from oncefold_lab.simulator.values import Row

Target = tuple[str, Key]
"""An item by its table and key."""


@dataclass(frozen=True, slots=True)
class Change:
    """A row to be put in place of another."""

    table: Table
    key: Key
    row: Row | None


@dataclass
class Database:
    """The state of a simulated DynamoDB."""

    caller: Caller
    random: Random | None
    stream_shards: int
    stream_lag: float
    tables: dict[str, Table] = field(default_factory=dict)
    expressions: Expressions = field(default_factory=Expressions)
    locks: set[Target] = field(default_factory=set)
    """Items that a transaction which is under way is going to write."""
    _published: dict[Target, float] = field(default_factory=dict)
    """When the last change of an item comes out in its stream."""

    def table(self, request: Mapping[str, Any]) -> Table:
        """The table a request names. Raises Refusal."""
        table = self.tables.get(request["TableName"])
        if table is None:
            raise Refusal.not_found()
        return table

    def streams(self) -> dict[str, Stream]:
        """All streams by their ARN."""
        streams = (table.stream for table in self.tables.values())
        return {stream.arn: stream for stream in streams if stream is not None}

    def commit(self, changes: Iterable[Change]) -> None:
        """Make changes at once, and let them come out in the streams.

        The records of one commit come in any order, and later than it; those of one item come in the item's order.
        Source: "Amazon DynamoDB Transactions: How it works" (propagation to streams).
        """
        records = []
        for change in changes:
            old = change.table.put(change.key, change.row)
            if change.table.stream is not None and _differ(old, change.row):
                records.append((change.table, change.table.stream, change.key, old, change.row))
        if self.random is not None and len(records) > 1:
            self.random.shuffle(records)
        for record in records:
            self._publish(*record)

    def _publish(self, table: Table, stream: Stream, key: Key, before: Row | None, after: Row | None) -> None:
        now = self.caller.now()
        point = point_of(table.hash_of(key))
        keys = table.key_attributes((after or before or ({}, 0))[0])
        if not self.stream_lag or self.random is None:
            stream.record(point, now, now, keys, before, after)
            return
        target = (table.name, key)
        due = max(now + self.random.uniform(0.0, self.stream_lag), self._published.get(target, 0.0))
        self._published[target] = due

        def come_out() -> None:
            stream.record(point, due, now, keys, before, after)
            if self._published.get(target) == due:
                del self._published[target]

        self.caller.agenda.plan(due, come_out)


def _differ(old: Row | None, new: Row | None) -> bool:
    """Whether there is a change to tell: a write that changes nothing leaves no record."""
    if old is None or new is None:
        return old is not new
    return old[0] != new[0]
