"""Answers about keys and single events: what is behind a total, what arrived, and what could not be counted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from typing import Literal, Protocol

from oncefold.queries.answers import Commit, Rows, RowsOfCommit
from oncefold.queries.columns import Column, amount_columns

_WIDE = Context(prec=200, traps=[Inexact])
"""Additions here are exact: sums have far fewer digits."""


@dataclass(frozen=True, slots=True)
class CountedKey:
    """A key that counts in a node, with the event that stands for it."""

    key: str
    version: int | None
    """As versions are compared (a timestamp: nanoseconds since the epoch); None for a pipeline without versions."""
    version_text: str
    """As a person writes it: digits, an RFC 3339 time, or nothing."""
    labels: tuple[str, ...]
    """One per level of the pipeline, `Pipeline.levels`."""
    leaf: str
    """The path of its leaf in the rollup that was asked."""
    values: Mapping[str, Decimal]


@dataclass(frozen=True)
class CountedKeys(Rows[CountedKey]):
    """What is behind a total: how many keys, their sums, and the keys themselves."""

    rollup: str
    path: str
    count: int
    """Keys that count in the node."""
    sums: Mapping[str, Decimal]
    """The node's stored totals."""
    scales: Mapping[str, int] = field(repr=False)
    version_is_time: bool = field(repr=False)

    @property
    def complete(self) -> bool:
        """Whether every key is listed."""
        return len(self.rows) == self.count

    @property
    def adds_up(self) -> bool:
        """Whether the listed values add up, exactly, to the stored sums; false unless every key is listed."""
        return self.complete and all(
            _sum(row.values[measure] for row in self.rows) == total for measure, total in self.sums.items()
        )

    def _columns(self) -> Iterator[Column]:
        fixed = [
            *self._origin(),
            Column("key", "text", [row.key for row in self.rows]),
            version_column(self.rows, is_time=self.version_is_time),
            Column("leaf", "text", [row.leaf for row in self.rows]),
        ]
        yield from fixed
        yield from amount_columns([c.name for c in fixed], self.scales, [row.values for row in self.rows])


@dataclass(frozen=True)
class Explanation(RowsOfCommit[CountedKey], CountedKeys):
    """What is behind a total as of one commit; the keys are in order of first appearance."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event of a key, and what became of it."""

    commit: Commit
    outcome: str
    """`inserted`, `corrected`, `deleted`, `conflict_won`, `duplicate`, `stale` or `conflict_lost`."""
    known: bool
    """Whether what follows is known: it is not where a duplicate repeated an event that the retention has let go."""
    version: int | None
    version_text: str
    labels: tuple[str, ...] | None
    """One per level of the pipeline; None for a delete."""
    leaf: str | None
    """These labels joined as a path."""
    values: Mapping[str, Decimal]
    """Empty for a delete."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The event that stands for a key now."""

    version: int | None
    version_text: str
    labels: tuple[str, ...] | None
    """None if the key is deleted."""
    leaf: str | None
    values: Mapping[str, Decimal]

    @property
    def deleted(self) -> bool:
        """Whether the key counts nowhere."""
        return self.labels is None


@dataclass(frozen=True)
class History(RowsOfCommit[Arrival]):
    """What arrived for a key, oldest first."""

    key: str
    stands: Standing
    forgotten_to: Commit | None
    """Arrivals up to this commit are beyond the retention; None if the rows are all that ever arrived."""
    scales: Mapping[str, int] = field(repr=False)
    version_is_time: bool = field(repr=False)

    def _columns(self) -> Iterator[Column]:
        fixed = [
            Column("key", "text", self._repeated(self.key)),
            Column("commit", "int", [row.commit.number for row in self.rows]),
            Column("time", "time", [row.commit.time_text for row in self.rows]),
            Column("outcome", "text", [row.outcome for row in self.rows]),
            version_column(self.rows, is_time=self.version_is_time),
            Column("leaf", "text", [row.leaf for row in self.rows]),
        ]
        yield from fixed
        yield from amount_columns([c.name for c in fixed], self.scales, [row.values for row in self.rows])


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """An event that could not be read."""

    id: int
    commit: Commit
    """The commit that put it on the list."""
    source: str
    position: int
    """Where it stands in its source: a byte offset in text, a row number in a table."""
    unit: Literal["byte", "row"]
    reason: str
    raw: bytes
    """Its bytes; only the first of them if it was too long to be kept."""
    size: int
    """Bytes of the whole record."""
    format: str
    context: str
    """What `raw` needs to be read again: of a CSV row, the header."""


@dataclass(frozen=True)
class Rejects(RowsOfCommit[RejectedEvent]):
    """Events on the reject list, in order of their ids, rising or falling."""

    total: int
    """Events on the list in all."""

    def _columns(self) -> Iterator[Column]:
        yield Column("id", "int", [row.id for row in self.rows])
        yield Column("commit", "int", [row.commit.number for row in self.rows])
        yield Column("time", "time", [row.commit.time_text for row in self.rows])
        yield Column("source", "text", [row.source for row in self.rows])
        yield Column("position", "int", [row.position for row in self.rows])
        yield Column("reason", "text", [row.reason for row in self.rows])
        yield Column("raw", "bytes", [row.raw for row in self.rows])
        yield Column("size", "int", [row.size for row in self.rows])
        yield Column("format", "text", [row.format for row in self.rows])
        yield Column("context", "text", [row.context for row in self.rows])


@dataclass(frozen=True, slots=True)
class Side:
    """One of two contents that contradict each other."""

    labels: tuple[str, ...] | None
    """One per level of the pipeline; None for a delete."""
    leaf: str | None
    values: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two events of one key and version with different content: the one that counts, and the other."""

    commit: Commit
    """The commit that met the second of them."""
    key: str
    version: int | None
    version_text: str
    kept: Side
    dropped: Side


@dataclass(frozen=True)
class Conflicts(RowsOfCommit[Contradiction]):
    """Contradictions, the newest first."""

    total: int
    """Contradictions in all."""
    scales: Mapping[str, int] = field(repr=False)
    version_is_time: bool = field(repr=False)

    def _columns(self) -> Iterator[Column]:
        fixed = [
            Column("commit", "int", [row.commit.number for row in self.rows]),
            Column("time", "time", [row.commit.time_text for row in self.rows]),
            Column("key", "text", [row.key for row in self.rows]),
            version_column(self.rows, is_time=self.version_is_time),
            Column("kept_leaf", "text", [row.kept.leaf for row in self.rows]),
            Column("dropped_leaf", "text", [row.dropped.leaf for row in self.rows]),
        ]
        yield from fixed
        names = [column.name for column in fixed]
        yield from amount_columns(names, self.scales, [row.kept.values for row in self.rows], "kept_")
        yield from amount_columns(names, self.scales, [row.dropped.values for row in self.rows], "dropped_")


class Versioned(Protocol):
    """A row of one version of a key."""

    @property
    def version(self) -> int | None:
        """As versions are compared."""
        ...

    @property
    def version_text(self) -> str:
        """As a person writes it."""
        ...


def version_column(rows: Sequence[Versioned], *, is_time: bool) -> Column:
    """The versions: whole numbers, or times where the pipeline's versions are timestamps."""
    if is_time:
        return Column("version", "time", [row.version_text or None for row in rows])
    return Column("version", "int", [row.version for row in rows])


def _sum(values: Iterator[Decimal]) -> Decimal:
    total = Decimal(0)
    for value in values:
        total = _WIDE.add(total, value)
    return total
