"""What every answer of a store, a server or a stack has, and the answers about nodes: frozen values, exact decimals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from oncefold.core.nodepath import join

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from oncefold.core.definition import Pipeline, Rollup
    from oncefold.core.measures import MeasureKind

Row = TypeVar("Row")
Cell = str | int | bytes | Decimal | tuple[str, ...] | None
"""A value of a row as `to_dicts` gives it; times are exact RFC 3339 texts."""
KeyValue = Decimal | str | None
"""What a key adds to a measure: a number (of a count 1 or 0), a text of which different ones are counted, or NULL."""


@dataclass(frozen=True, slots=True)
class RollupShape:
    """A tree and the names of its levels, from the top."""

    name: str
    levels: tuple[str, ...]
    each: tuple[str, ...] = ()
    """The levels among them that are filled for each element of an array: the nodes there do not add up to the one
    above them."""
    windows: tuple[str | None, ...] = ()
    """Of each level the length of its time windows, as `1mo`, or None; nothing where no level has windows."""

    @classmethod
    def of(cls, rollup: Rollup) -> RollupShape:
        """The shape of a rollup of a definition."""
        levels = rollup.levels
        windows = tuple(None if level.window is None else str(level.window) for level in levels)
        return cls(
            rollup.name,
            tuple(level.name for level in levels),
            tuple(level.name for level in levels if level.each),
            windows if any(windows) else (),
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """What the answers of one pipeline look like: its trees, its measures, its versions."""

    pipeline: str
    """The pipeline's name."""
    rollups: tuple[RollupShape, ...]
    scales: Mapping[str, int]
    """Decimal places by measure, in the order of the definition."""
    version_type: Literal["integer", "timestamp", "text"] | None
    """How versions are written: `text` for what is neither a number of 64 bits nor a time; None without versions."""
    kinds: Mapping[str, MeasureKind] = field(default_factory=dict)
    """What each measure is, by its name; one that is not named is a sum."""

    @classmethod
    def of(cls, pipeline: Pipeline) -> Shape:
        """The shape of a definition."""
        return cls(
            pipeline.name,
            tuple(map(RollupShape.of, pipeline.rollups)),
            {measure.name: measure.scale for measure in pipeline.measures},
            _version_type(pipeline),
            {measure.name: measure.kind for measure in pipeline.measures},
        )

    @property
    def has_several_leaves(self) -> bool:
        """Whether a key may count in several leaves of a rollup."""
        return any(rollup.each for rollup in self.rollups)

    @property
    def text_measures(self) -> frozenset[str]:
        """The measures whose values at keys are texts; at nodes all are numbers."""
        return frozenset(name for name, kind in self.kinds.items() if kind == "distinct")

    def levels_of(self, rollup: str) -> tuple[str, ...]:
        """The names of a rollup's levels. Raises KeyError for one that does not exist."""
        return {one.name: one.levels for one in self.rollups}[rollup]


def _version_type(pipeline: Pipeline) -> Literal["integer", "timestamp", "text"] | None:
    version = pipeline.version
    if version is None:
        return None
    if version.is_wide or version.type == "lsn":
        return "text"
    return "timestamp" if version.type == "timestamp" else "integer"


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


@dataclass(frozen=True, kw_only=True, repr=False)
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

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a frame of pandas with Arrow's types: sums stay exact decimals, whole numbers whole, NULL is NA.

        Raises:
            ImportError: pandas is not installed; it comes with the extra `oncefold[pandas]`.

        Example:
            >>> import oncefold
            >>> order = {"order": "A-1", "version": 1, "country": "DE", "channel": "web", "amount": "19.90"}
            >>> with oncefold.open("orders.db", "orders.toml") as store:
            ...     done = store.ingest(order)
            ...     frame = store.query(depth=2).to_pandas()
            >>> frame.loc[frame["depth"] == 2, "measure_amount"].sum()
            Decimal('19.90')
        """
        from oncefold.queries.render.frames import to_pandas

        return to_pandas(self)

    def to_polars(self) -> pl.DataFrame:
        """The rows as a frame of polars: sums are `Decimal(38, scale)`, exact.

        Raises:
            ImportError: polars is not installed; it comes with the extra `oncefold[polars]`.
            InvalidQueryError: A number has more digits than polars holds.
        """
        from oncefold.queries.render.frames import to_polars

        return to_polars(self)

    def __repr__(self) -> str:
        from oncefold.queries.render.notebook import line

        return line(self)

    def _repr_html_(self) -> str:
        """The first rows as a table, for notebooks."""
        from oncefold.queries.render.notebook import html

        return html(self)


@dataclass(frozen=True, slots=True)
class Amounts:
    """The totals of a node."""

    count: int
    sums: Mapping[str, Decimal | None]
    """Exact, by measure; None for an average, extreme, first or last value of nothing."""


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
    sums: Mapping[str, Decimal | None]
    """Exact, by measure; None for an average, extreme, first or last value of nothing."""
    children: int | None = None
    """How many live children it has; None where they were not read, which only a stack leaves out."""


@dataclass(frozen=True, kw_only=True, repr=False)
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


@dataclass(frozen=True, kw_only=True, repr=False)
class Series(Answer[Point]):
    """A node's totals as of some commits, oldest first; the last is the commit of this answer."""

    rollup: str
    path: str


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


@dataclass(frozen=True, kw_only=True, repr=False)
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
    sums: Mapping[str, Decimal | None] = field(default_factory=dict)
    """Exact, by measure; None for an average, extreme, first or last value of nothing."""


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key that is or begins with the text, whether it counts, and with what."""

    key: str
    live: bool
    version_text: str | None = None
    leaf: str | None = None
    """Its labels joined as a path; None if it is deleted."""
    values: Mapping[str, KeyValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, repr=False)
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

    def __repr__(self) -> str:
        from oncefold.queries.render.notebook import line

        return line(self)
