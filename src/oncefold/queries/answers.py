"""Answers about totals, and what every answer has in common. Frozen values, made for people to read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa

from oncefold.core.nodepath import join
from oncefold.queries import columns
from oncefold.queries.columns import Column, amount_columns

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a store: its number, and its time in UTC; 0 is the empty store, which has no time."""

    number: int
    time: datetime | None = None
    """To the microsecond; None too where the store has forgotten it."""
    time_text: str | None = None
    """RFC 3339, exact to the nanosecond."""


class Answer(Protocol):
    """What can be shown in rows and columns."""

    def columns(self) -> list[Column]:
        """The columns."""
        ...

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries of Python values, sums as `Decimal`, times as exact RFC 3339 texts."""
        ...

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table, sums as decimals, times as nanoseconds in UTC."""
        ...


@dataclass(frozen=True)
class Rows(Generic[Row]):
    """An answer of many rows, to be iterated and counted like a sequence."""

    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries of Python values, sums as `Decimal`, times as exact RFC 3339 texts."""
        return columns.to_dicts(self.columns())

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table: sums are decimal128 (decimal256 beyond 38 digits), times nanoseconds in UTC."""
        return columns.to_arrow(self.columns(), self._metadata())

    def columns(self) -> list[Column]:
        """The columns that both are made of."""
        return list(self._columns())

    def _columns(self) -> Iterator[Column]:
        raise NotImplementedError

    def _origin(self) -> list[Column]:
        """Columns that say what the rows are of, before the others."""
        return []

    def _metadata(self) -> Mapping[str, str]:
        """The same for the Arrow table as a whole."""
        return {}

    def _repeated(self, value: Any) -> Sequence[Any]:
        return [value] * len(self.rows)


@dataclass(frozen=True)
class RowsOfCommit(Rows[Row]):
    """An answer as of one commit of a store."""

    commit: Commit

    def _origin(self) -> list[Column]:
        return [Column("commit", "int", self._repeated(self.commit.number))]

    def _metadata(self) -> Mapping[str, str]:
        return {"commit": str(self.commit.number), "commit_time": self.commit.time_text or ""}


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


@dataclass(frozen=True)
class Tree(Rows[NodeTotal]):
    """A node and what lies below it, in tree order: a node, then its children by label, each followed by its own."""

    rollup: str
    scales: Mapping[str, int] = field(repr=False)
    """Decimal places by measure."""

    @property
    def node(self) -> NodeTotal:
        """The node that was asked for."""
        return self.rows[0]

    def __getitem__(self, node: str | Sequence[str]) -> NodeTotal:
        """One of the nodes, by its path or labels. Raises KeyError for one that is not among them."""
        path = node if isinstance(node, str) else join(node)
        for row in self.rows:
            if row.path == path:
                return row
        raise KeyError(path)

    def _columns(self) -> Iterator[Column]:
        fixed = [
            *self._origin(),
            Column("rollup", "text", self._repeated(self.rollup)),
            Column("path", "text", [row.path for row in self.rows]),
            Column("depth", "int", [row.depth for row in self.rows]),
            Column("label", "text", [row.label for row in self.rows]),
            Column("count", "int", [row.count for row in self.rows]),
        ]
        yield from fixed
        yield from amount_columns([c.name for c in fixed], self.scales, [row.sums for row in self.rows])


@dataclass(frozen=True)
class Totals(RowsOfCommit[NodeTotal], Tree):
    """The totals of a node and of what lies below it, as of one commit."""

    newest_event: datetime | None
    """The greatest event time among all events up to this commit, to the microsecond."""
    newest_event_text: str | None
    """The same, exact."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """The totals of a node."""

    count: int
    sums: Mapping[str, Decimal]


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


@dataclass(frozen=True)
class Verification(RowsOfCommit[WrongNode]):
    """Every total recomputed from the state of every key, and compared; the rows are the wrong nodes, in tree order."""

    nodes: int
    """Nodes compared, of all rollups."""
    keys: int
    """Keys that were recomputed from, deleted ones too."""
    scales: Mapping[str, int] = field(repr=False)

    @property
    def exact(self) -> bool:
        """Whether every stored total is right."""
        return not self.rows

    def _columns(self) -> Iterator[Column]:
        stored, recomputed = [row.stored for row in self.rows], [row.recomputed for row in self.rows]
        fixed = [
            *self._origin(),
            Column("rollup", "text", [row.rollup for row in self.rows]),
            Column("path", "text", [row.path for row in self.rows]),
            Column("fault", "text", [row.fault for row in self.rows]),
            Column("stored_count", "int", [None if item is None else item.count for item in stored]),
            Column("recomputed_count", "int", [item.count for item in recomputed]),
        ]
        yield from fixed
        names = [column.name for column in fixed]
        yield from amount_columns(names, self.scales, [{} if i is None else i.sums for i in stored], "stored_")
        yield from amount_columns(names, self.scales, [item.sums for item in recomputed], "recomputed_")


@dataclass(frozen=True, slots=True)
class CheckedStore:
    """What an examination of the store file found."""

    commit: Commit | None
    """The last commit when the examination began; None for a file in which none can be read."""
    findings: tuple[str, ...]
    """What is wrong, in words, one line each."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def __iter__(self) -> Iterator[str]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)
