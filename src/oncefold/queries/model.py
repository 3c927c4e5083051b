"""The answers to every query, of a store, a server or a stack: plain frozen values with exact decimals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from oncefold.core.nodepath import join

if TYPE_CHECKING:
    import pyarrow as pa

    from oncefold.core.definition import Pipeline

Row = TypeVar("Row")
Cell = str | int | bytes | Decimal | None
"""A value of a row as `to_dicts` gives it; times are exact RFC 3339 texts."""


@dataclass(frozen=True, slots=True)
class RollupShape:
    """A tree and the names of its levels, from the top."""

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the answers of one pipeline look like: its trees, its measures, its versions."""

    pipeline: str
    """The pipeline's name."""
    rollups: tuple[RollupShape, ...]
    scales: Mapping[str, int]
    """Decimal places by measure, in the order of the definition."""
    version_type: Literal["integer", "timestamp"] | None
    """How versions are written; None for a pipeline without versions."""

    @classmethod
    def of(cls, pipeline: Pipeline) -> Shape:
        """The shape of a definition."""
        return cls(
            pipeline.name,
            tuple(RollupShape(one.name, tuple(level.name for level in one.levels)) for one in pipeline.rollups),
            {measure.name: measure.scale for measure in pipeline.measures},
            None if pipeline.version is None else pipeline.version.type,
        )

    def levels_of(self, rollup: str) -> tuple[str, ...]:
        """The names of a rollup's levels. Raises KeyError for one that does not exist."""
        return {one.name: one.levels for one in self.rollups}[rollup]


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a store: its number, and its time in UTC; 0 is the empty store, which has no time."""

    number: int
    time: datetime | None = None
    """To the microsecond; None too where the store no longer knows it."""
    time_text: str | None = None
    """RFC 3339, exact to the nanosecond."""


@dataclass(frozen=True, slots=True)
class AsOfCommit:
    """An answer of a store or a server is as of one commit."""

    commit: Commit
    newest_event: datetime | None = None
    """The greatest event time among all events up to this commit, to the microsecond."""
    newest_event_text: str | None = None
    """The same, exact."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Deltas in the outbox of a stack: folded, and not in the stored totals yet."""

    deltas: int
    oldest: timedelta | None
    """Age of the oldest of them."""
    complete: bool = True
    """Whether these are all; counting stops at some point."""
    added: bool = False
    """Whether the answer has added them to the stored totals."""


@dataclass(frozen=True, slots=True)
class AsOfTime:
    """An answer of a stack has everything that was applied before this time, and may have some of what came later."""

    stack: str
    time: datetime
    """UTC, to the microsecond, by the clock of the machine that queried."""
    time_text: str
    """RFC 3339."""
    pending: Pending | None = None
    """None where the query does not look at the outbox."""


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[Row]):
    """What every answer has: its rows, which can be iterated and counted, and what it is as of."""

    as_of: AsOfCommit | AsOfTime
    shape: Shape = field(repr=False)
    rows: tuple[Row, ...]

    @property
    def commit(self) -> Commit:
        """The commit that the answer is as of. Raises LookupError for the answer of a stack, which has no commits."""
        if isinstance(self.as_of, AsOfCommit):
            return self.as_of.commit
        raise LookupError("a stack has no commits; see as_of.time")

    @property
    def newest_event(self) -> datetime | None:
        """The greatest event time up to the commit, to the microsecond; None where it is not known."""
        return self.as_of.newest_event if isinstance(self.as_of, AsOfCommit) else None

    @property
    def newest_event_text(self) -> str | None:
        """The same, exact."""
        return self.as_of.newest_event_text if isinstance(self.as_of, AsOfCommit) else None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_dicts(self) -> list[dict[str, Cell]]:
        """The rows as flat dictionaries by column: sums as `Decimal`, times as exact RFC 3339 texts."""
        from oncefold.queries.render.rows import columns_of, to_dicts

        return to_dicts(columns_of(self))

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table: sums are decimal128 (decimal256 beyond 38 digits), times nanoseconds in UTC."""
        from oncefold.queries.render.arrow import to_arrow

        return to_arrow(self)


@dataclass(frozen=True, slots=True)
class Amounts:
    """The totals of a node."""

    count: int
    sums: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class NodeTotal:
    """A node and its totals; the root has the empty path and label."""

    path: str
    """Its labels joined by `/`, with escapes."""
    labels: tuple[str, ...]
    depth: int
    label: str
    count: int
    """Live keys below it."""
    sums: Mapping[str, Decimal]
    """Exact, by measure."""
    children: int | None = None
    """How many live children it has; None where they were not read, which only a stack leaves out."""


@dataclass(frozen=True, kw_only=True)
class Totals(Answer[NodeTotal]):
    """A node and what lies below it, in tree order: a node, then its children by label, each followed by its own."""

    rollup: str
    more: bool = False
    """Whether the node has children beyond those that a limit allowed."""

    @property
    def node(self) -> NodeTotal:
        """The node that was queried."""
        return self.rows[0]

    @property
    def scales(self) -> Mapping[str, int]:
        """Decimal places by measure."""
        return self.shape.scales

    def __getitem__(self, node: str | Sequence[str]) -> NodeTotal:
        """One of the nodes, by its path or labels. Raises KeyError for one that is not among them."""
        path = node if isinstance(node, str) else join(node)
        for row in self.rows:
            if row.path == path:
                return row
        raise KeyError(path)


@dataclass(frozen=True, slots=True)
class Point:
    """A node's totals as of a commit."""

    commit: Commit
    amounts: Amounts


@dataclass(frozen=True, kw_only=True)
class Series(Answer[Point]):
    """A node's totals as of some commits, oldest first; the last is the commit of this answer."""

    rollup: str
    path: str


@dataclass(frozen=True, slots=True)
class CountedKey:
    """A key that counts in a node, with its current version."""

    key: str
    version: int | None
    """As versions are compared (a timestamp: nanoseconds since the epoch); None for a pipeline without versions."""
    version_text: str
    """As a person writes it: digits, an RFC 3339 time, or nothing."""
    labels: tuple[str, ...]
    """One per level of the pipeline, `Pipeline.levels`; empty where only the leaf is known."""
    leaf: str
    """The path of its leaf in the rollup that was queried."""
    values: Mapping[str, Decimal]


@dataclass(frozen=True, kw_only=True)
class Explanation(Answer[CountedKey]):
    """The keys behind a total: how many there are, what they add up to, and the first of them."""

    rollup: str
    path: str
    count: int
    """Keys that count in the node, listed or not."""
    sums: Mapping[str, Decimal]
    """What all these keys add up to, listed or not."""
    total: Amounts
    """The node's stored total, with the deltas that are pending."""
    after: int = 0
    """How many keys were left out before the first row."""
    moved: bool = False
    """Whether the node changed while its keys were read, which only a stack allows."""

    @property
    def complete(self) -> bool:
        """Whether every key is listed."""
        return len(self.rows) == self.count

    @property
    def more(self) -> bool:
        """Whether there are keys after those listed."""
        return self.after + len(self.rows) < self.count

    @property
    def adds_up(self) -> bool:
        """Whether all keys, listed or not, add up to the node's total exactly."""
        return self.count == self.total.count and dict(self.sums) == dict(self.total.sums)


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event of a key, and what became of it."""

    commit: Commit
    outcome: str
    """`inserted`, `corrected`, `deleted`, `conflict_won`, `duplicate`, `stale` or `conflict_lost`."""
    known: bool
    """Whether what follows is known: it is not where a duplicate repeated an event beyond the retention."""
    version: int | None
    version_text: str
    labels: tuple[str, ...] | None
    """One per level of the pipeline; None for a delete."""
    leaf: str | None
    """These labels joined as a path."""
    values: Mapping[str, Decimal]
    """Empty for a delete."""


@dataclass(frozen=True, slots=True)
class CurrentVersion:
    """The event that is the state of a key now."""

    version: int | None
    version_text: str
    labels: tuple[str, ...] | None
    """None if the key is deleted."""
    leaf: str | None
    values: Mapping[str, Decimal]

    @property
    def deleted(self) -> bool:
        """Whether the key counts nowhere."""
        return self.leaf is None


@dataclass(frozen=True, kw_only=True)
class History(Answer[Arrival]):
    """What arrived for a key, oldest first."""

    key: str
    current: CurrentVersion
    forgotten_to: Commit | None
    """Arrivals up to this commit are beyond the retention; None if the rows are all that ever arrived."""


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """An event that could not be read."""

    id: int | str
    """A number in a store, a text in a stack."""
    commit: Commit | None
    """The commit that put it on the list; None in a stack."""
    time_text: str | None
    """When that was, or when Kinesis took it: RFC 3339."""
    source: str
    """The source as the store names it; in a stack the shard."""
    position: int
    """Its place in the source: a byte offset in text, a row number in a table, a line in a record of a stream."""
    unit: Literal["byte", "row", "line"]
    reason: str
    raw: bytes
    """Its bytes; only the first of them if it was too long to be kept, or was not wanted whole."""
    size: int | None
    """Bytes of the whole event; None where that is not known, and `raw` is only its beginning."""
    format: str = "json"
    context: str = ""
    """What `raw` needs to be read again: of a CSV row, the header."""
    sequence: str | None = None
    """In a stack: the sequence number of its record."""

    @property
    def cut(self) -> bool:
        """Whether `raw` is only the beginning."""
        return self.size is None or self.size > len(self.raw)


@dataclass(frozen=True, kw_only=True)
class Rejects(Answer[RejectedEvent]):
    """Events on the reject list: of a store by their ids, rising or falling, of a stack in order of arrival."""

    total: int
    """Events on the list in all."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two contents that contradict each other."""

    labels: tuple[str, ...] | None
    """One per level of the pipeline; None for a delete, or where only the leaf is known."""
    leaf: str | None
    """None for a delete."""
    values: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two events of one key and version with different content: the one that counts, and the other."""

    commit: Commit | None
    """The commit that has the second of them; None in a stack."""
    key: str
    version: int | None
    version_text: str
    kept: Side
    dropped: Side


@dataclass(frozen=True, kw_only=True)
class Conflicts(Answer[Contradiction]):
    """Contradictions: of a store the newest first, of a stack by key and version."""

    total: int
    """Contradictions in all."""


@dataclass(frozen=True, slots=True)
class WrongNode:
    """A node whose stored totals are not those of the keys below it."""

    rollup: str
    path: str
    stored: Amounts | None
    """None where the node has no totals, or none that are numbers."""
    fault: str
    """What is wrong with a stored total that is no number; else empty."""
    recomputed: Amounts
    pending: Amounts | None = None
    """In a stack: what the outbox will add."""


@dataclass(frozen=True, kw_only=True)
class Verification(Answer[WrongNode]):
    """Every total recomputed from the state of every key, and compared; the rows are the wrong nodes, in tree order."""

    nodes: int
    """Nodes compared, of all rollups."""
    keys: int
    """Keys that were recomputed from, deleted ones too."""
    undecided: tuple[str, ...] = ()
    """In a stack: nodes that changed in every reading, as `rollup: path`, in tree order."""
    tries: int = 1
    """How often everything was read."""
    moved: bool = False
    """Whether the totals changed during the last reading."""

    @property
    def exact(self) -> bool:
        """Whether every stored total is right."""
        return not self.rows and not self.undecided


@dataclass(frozen=True, slots=True)
class FoundNode:
    """A live node whose label holds the text."""

    rollup: str
    path: str
    count: int


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key that is or begins with the text, and whether it counts."""

    key: str
    live: bool


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a text finds."""

    as_of: AsOfCommit
    nodes: tuple[FoundNode, ...]
    """Those first whose label begins with the text, then by depth and path."""
    keys: tuple[FoundKey, ...]
    """The key that is the text, then newer ones first."""

    @property
    def commit(self) -> Commit:
        """The commit that the answer is as of."""
        return self.as_of.commit
