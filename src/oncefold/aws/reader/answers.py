"""Answers about a stack. Where a store names a commit, they name the moment before which all they read had happened."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from oncefold.queries.answers import Amounts, NodeTotal, Rows, Tree
from oncefold.queries.columns import Column, amount_columns
from oncefold.queries.events import CountedKeys, Side, version_column


@dataclass(frozen=True, slots=True)
class Reading:
    """Where and when an answer was read: all that was applied before that time is in it."""

    stack: str
    time: datetime
    """UTC, to the microsecond, by the clock of the machine that asked."""
    time_text: str
    """RFC 3339."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """For Arrow tables."""
        return {"stack": self.stack, "time": self.time_text}


@dataclass(frozen=True, slots=True)
class Outbox:
    """Deltas that are not in the totals yet."""

    deltas: int
    oldest: timedelta | None
    """Age of the oldest of them."""
    complete: bool = True
    """Whether these are all; there may be more if not."""


@dataclass(frozen=True)
class StackTree(Tree):
    """The totals of a node and of what lies below it, as AggregateTable has them."""

    read: Reading
    outbox: Outbox
    exact: bool
    """Whether what waits in the outbox is added."""

    def _metadata(self) -> Mapping[str, str]:
        return self.read.metadata


@dataclass(frozen=True, slots=True)
class WrongTotal:
    """A node whose totals, with what the outbox will add to them, are not those of the keys below it."""

    rollup: str
    path: str
    stored: Amounts | None
    """None where the node has no totals, or none that are numbers."""
    fault: str
    """What is wrong with a stored total that is no number; else empty."""
    pending: Amounts
    """What the outbox will add."""
    recomputed: Amounts


@dataclass(frozen=True)
class StackVerification(Rows[WrongTotal]):
    """Every total recomputed from the state of every key, and compared; the rows are the wrong nodes, in tree order."""

    read: Reading
    nodes: int
    """Nodes compared, of all rollups."""
    keys: int
    """Keys that were recomputed from, deleted ones too."""
    deltas: int
    """Deltas that were pending."""
    undecided: Sequence[str]
    """Nodes of which it is not known, since they moved while they were read, as `rollup: path`, in tree order."""
    tries: int
    """How often the tables were read."""
    moved: bool
    """Whether the pipeline moved during the last of them."""
    scales: Mapping[str, int] = field(repr=False)

    @property
    def exact(self) -> bool:
        """Whether every total is right."""
        return not self.rows and not self.undecided

    def _metadata(self) -> Mapping[str, str]:
        return self.read.metadata

    def _columns(self) -> Iterator[Column]:
        stored = [row.stored for row in self.rows]
        fixed = [
            Column("rollup", "text", [row.rollup for row in self.rows]),
            Column("path", "text", [row.path for row in self.rows]),
            Column("fault", "text", [row.fault for row in self.rows]),
            Column("stored_count", "int", [None if item is None else item.count for item in stored]),
            Column("pending_count", "int", [row.pending.count for row in self.rows]),
            Column("recomputed_count", "int", [row.recomputed.count for row in self.rows]),
        ]
        yield from fixed
        names = [column.name for column in fixed]
        yield from amount_columns(names, self.scales, [{} if i is None else i.sums for i in stored], "stored_")
        yield from amount_columns(names, self.scales, [row.pending.sums for row in self.rows], "pending_")
        yield from amount_columns(names, self.scales, [row.recomputed.sums for row in self.rows], "recomputed_")


@dataclass(frozen=True)
class StackExplanation(CountedKeys):
    """What is behind a total; the keys are in the order of their texts. Sums and count are those of the keys."""

    read: Reading
    node: NodeTotal
    """The totals of the node, with what the outbox will add to them."""
    deltas: int
    """How many deltas of the outbox that takes into account."""
    moved: bool
    """Whether the node moved while it was read."""

    @property
    def adds_up(self) -> bool:
        """Whether all the keys, listed or not, make up the node's totals exactly."""
        return self.count == self.node.count and dict(self.sums) == dict(self.node.sums)

    def _metadata(self) -> Mapping[str, str]:
        return self.read.metadata


@dataclass(frozen=True, slots=True)
class StreamReject:
    """A line of a record of the stream that could not be read."""

    id: str
    shard: str
    sequence: str
    """Of its record."""
    line: int
    """Within its record, from 1."""
    arrived: int
    """When Kinesis took it, in nanoseconds since 1970."""
    arrived_text: str
    """RFC 3339."""
    reason: str
    raw: bytes
    """Its bytes; only the first of them if it was too long to be kept."""
    cut: bool
    """Whether there was more."""


@dataclass(frozen=True)
class StackRejects(Rows[StreamReject]):
    """Events that could not be read, in order of their arrival."""

    read: Reading
    total: int
    """Events on the list in all."""

    def _metadata(self) -> Mapping[str, str]:
        return self.read.metadata

    def _columns(self) -> Iterator[Column]:
        yield Column("id", "text", [row.id for row in self.rows])
        yield Column("time", "time", [row.arrived_text for row in self.rows])
        yield Column("shard", "text", [row.shard for row in self.rows])
        yield Column("sequence", "text", [row.sequence for row in self.rows])
        yield Column("line", "int", [row.line for row in self.rows])
        yield Column("reason", "text", [row.reason for row in self.rows])
        yield Column("raw", "bytes", [row.raw for row in self.rows])
        yield Column("cut", "int", [int(row.cut) for row in self.rows])


@dataclass(frozen=True, slots=True)
class StreamConflict:
    """Two events of one key and version with different content: the one that counts, and the other."""

    key: str
    version: int | None
    version_text: str
    kept: Side
    dropped: Side


@dataclass(frozen=True)
class StackConflicts(Rows[StreamConflict]):
    """Contradictions, by key and version."""

    read: Reading
    total: int
    """Contradictions in all."""
    scales: Mapping[str, int] = field(repr=False)
    version_is_time: bool = field(repr=False)

    def _metadata(self) -> Mapping[str, str]:
        return self.read.metadata

    def _columns(self) -> Iterator[Column]:
        fixed = [
            Column("key", "text", [row.key for row in self.rows]),
            version_column(self.rows, is_time=self.version_is_time),
            Column("kept_leaf", "text", [row.kept.leaf for row in self.rows]),
            Column("dropped_leaf", "text", [row.dropped.leaf for row in self.rows]),
        ]
        yield from fixed
        names = [column.name for column in fixed]
        yield from amount_columns(names, self.scales, [row.kept.values for row in self.rows], "kept_")
        yield from amount_columns(names, self.scales, [row.dropped.values for row in self.rows], "dropped_")
