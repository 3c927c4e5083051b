"""The contents of a commit: what the sources, the columnar code, the engine and the store exchange.

The engine builds a `CommitContent` from folded batches; the store makes it durable in one transaction, whole or not
at all.

Sums wider than 64 bits are kept as two int64 columns, `high` and `low`: sum = high x 2**32 + low, 0 <= low < 2**32.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oncefold.arrow import strings_of
from oncefold.core.fold import Outcome
from oncefold.core.versions import join_words

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
UInt32s = npt.NDArray[np.uint32]
UInt8s = npt.NDArray[np.uint8]
Versions = Int64s | npt.NDArray[np.object_]
"""Wide ones are integers of Python."""

NO_LEAF = -1
"""The leaf of a key whose last event is a delete."""

PAGE_ROWS = 2**18
"""Rows of the keyed state in one snapshot page."""


class NewNode(NamedTuple):
    """A new node of a tree; ids count up from 0, a parent's before its children's."""

    id: int
    rollup: int
    parent: int
    """-1 for a root."""
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class States:
    """Key states in columns of n rows: version, leaf and mantissas."""

    version: Int64s
    leaf: Int32s
    """Id of the leaf's labels, or NO_LEAF."""
    measures: Int64s
    """Shape (value columns, n): the measures, and after them the low word of a wide version."""


def whole_version(version: int, values: Sequence[int], measures: int) -> int:
    """The version of a state with so many measures: its word, or both words of a wide one."""
    return version if len(values) == measures else join_words(version, int(values[measures]))


def whole_versions(version: Int64s, values: Int64s, measures: int) -> Versions:
    """The same of n states, whose `values` have the shape (value columns, n)."""
    if len(values) == measures:
        return version
    words = zip(version.tolist(), values[measures].tolist(), strict=True)
    return np.array([join_words(high, low) for high, low in words], object)


@dataclass(frozen=True, slots=True)
class Changes:
    """Every event folded in this batch, in order of arrival.

    A row is the key's ordinal of first appearance. A duplicate changes nothing: its other columns are 0.
    """

    row: UInt32s
    outcome: UInt8s
    """Values of core.fold.Outcome."""
    states: States

    def __len__(self) -> int:
        return len(self.row)


def taken(outcome: UInt8s) -> npt.NDArray[np.bool_]:
    """Which of these outcomes became their key's state: `Outcome.taken` by the column."""
    found: npt.NDArray[np.bool_] = (outcome <= Outcome.CONFLICT_WON) | (outcome == Outcome.FILTERED)
    return found


@dataclass(frozen=True, slots=True)
class NodeColumns:
    """Amounts of nodes in columns: a delta, or totals."""

    node: Int32s
    count: Int64s
    high: Int64s
    """Shape (measures, nodes)."""
    low: Int64s


@dataclass(frozen=True, slots=True)
class Page:
    """The states of rows [number x PAGE_ROWS, ...) as they are after this commit."""

    number: int
    states: States


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two contents under one key and version; texts are JSON of labels and decimals, or null for a delete."""

    key: str
    version: int
    kept: str
    dropped: str


@dataclass(frozen=True, slots=True, eq=False)
class ConflictColumns(Sequence[Conflict]):
    """Conflicts by the column; each is made when it is asked for."""

    key: pa.Array
    """large_string, as the contents are."""
    version: Versions
    kept: pa.Array
    dropped: pa.Array

    @classmethod
    def of(cls, conflicts: Sequence[Conflict]) -> "ConflictColumns":
        """These conflicts by the column."""
        if isinstance(conflicts, cls):
            return conflicts
        texts = ([one.key for one in conflicts], [one.kept for one in conflicts], [one.dropped for one in conflicts])
        key, kept, dropped = map(strings_of, texts)
        versions = [one.version for one in conflicts]
        is_wide = any(not -(2**63) <= version < 2**63 for version in versions)
        return cls(key, np.array(versions, object if is_wide else np.int64), kept, dropped)

    @classmethod
    def joined(cls, parts: Sequence["ConflictColumns"]) -> "ConflictColumns":
        """All of them, in order."""
        if not parts:
            return cls.of(())
        key, kept, dropped = (
            pa.concat_arrays(columns)
            for columns in ([p.key for p in parts], [p.kept for p in parts], [p.dropped for p in parts])
        )
        return cls(key, np.concatenate([part.version for part in parts]), kept, dropped)

    @property
    def text_bytes(self) -> int:
        """Bytes of all texts."""
        return int(self.key.nbytes + self.kept.nbytes + self.dropped.nbytes)

    def __len__(self) -> int:
        return len(self.version)

    @overload
    def __getitem__(self, index: int) -> Conflict: ...
    @overload
    def __getitem__(self, index: slice) -> "ConflictColumns": ...
    def __getitem__(self, index: int | slice) -> "Conflict | ConflictColumns":
        if isinstance(index, slice):
            rows = np.arange(len(self))[index]
            key, kept, dropped = (column.take(pa.array(rows)) for column in (self.key, self.kept, self.dropped))
            return ConflictColumns(key, self.version[index], kept, dropped)
        at = range(len(self))[index]
        texts = (column[at].as_py() for column in (self.key, self.kept, self.dropped))
        key, kept, dropped = texts
        return Conflict(key, int(self.version[at]), kept, dropped)


@dataclass(frozen=True, slots=True)
class Reject:
    """An event that could not be read: where it came from, why, and its bytes."""

    source: str
    position: int
    """Byte offset in a text source, row number in a table, index among the items that a Python program passed."""
    reason: str
    raw: bytes
    format: str
    """How to read `raw` again: `json`, `csv` (then `context` is a JSON list of delimiter and header), `table`
    (a row of a typed table as JSON) or `item` (a mapping of a Python program as JSON)."""
    context: str = ""
    size: int = 0
    """Bytes of the whole record; more than len(raw) if it was too long to keep."""


@dataclass(frozen=True, slots=True, eq=False)
class RejectColumns(Sequence[Reject]):
    """Rejects of one source and format by the column, each kept whole; each is made when it is asked for."""

    source: str
    format: str
    context: str
    position: Int64s
    reason: Int64s
    """Of each, an index into `reasons`."""
    reasons: Sequence[str]
    raw: pa.Array
    """large_binary."""

    def __iter__(self) -> Iterator[Reject]:
        for position, reason, raw in zip(self.position.tolist(), self.reason.tolist(), self.raw, strict=True):
            text = raw.as_py()
            yield Reject(self.source, position, self.reasons[reason], text, self.format, self.context, len(text))

    @property
    def raw_bytes(self) -> int:
        """Bytes of all records."""
        return int(self.raw.nbytes)

    def __len__(self) -> int:
        return len(self.position)

    @overload
    def __getitem__(self, index: int) -> Reject: ...
    @overload
    def __getitem__(self, index: slice) -> list[Reject]: ...
    def __getitem__(self, index: int | slice) -> Reject | list[Reject]:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        at = range(len(self))[index]
        reason, raw = self.reasons[int(self.reason[at])], self.raw[at].as_py()
        return Reject(self.source, int(self.position[at]), reason, raw, self.format, self.context, len(raw))


class EventForm(NamedTuple):
    """How whole events are read again."""

    format: Literal["json", "csv", "item", "table", "arrow"]
    """As of a `Reject`; `arrow` is a row of a typed table as Arrow has it."""
    context: str = ""
    """Of `csv` as of a `Reject`, of `arrow` a digest of the columns."""


@dataclass(frozen=True, slots=True)
class WholeEvents:
    """Whole events that became their keys' states, in order of arrival, of one form."""

    row: UInt32s
    form: EventForm
    records: pa.RecordBatch
    """One per row: the columns of a table, or a column `record` of texts."""


def whole_texts(texts: pa.Array) -> pa.RecordBatch:
    """The records of `WholeEvents` whose form is no table's; of large_binary."""
    return pa.RecordBatch.from_arrays([texts], names=["record"])


class Rejects(Sequence[Reject]):
    """Rejects in parts, some of them by the column."""

    def __init__(self, parts: Iterable[Sequence[Reject]] = ()) -> None:
        self.parts = [part for part in parts if len(part)]

    def extend(self, part: Sequence[Reject]) -> None:
        """Append a part, which does not change any more."""
        if len(part):
            self.parts.append(part)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[Reject]:
        return chain.from_iterable(self.parts)

    @overload
    def __getitem__(self, index: int) -> Reject: ...
    @overload
    def __getitem__(self, index: slice) -> list[Reject]: ...
    def __getitem__(self, index: int | slice) -> Reject | list[Reject]:
        return list(self)[index]


@dataclass(frozen=True, slots=True)
class SourcePosition:
    """How far a source was folded; `state` is a JSON object that only the source interprets."""

    source: str
    state: str


@dataclass(frozen=True, slots=True)
class CommitContent:
    """One micro-batch: everything that one transaction makes durable."""

    at: int
    """Wall clock, nanoseconds since the epoch."""
    changes: Changes
    new_keys: pa.Array
    """large_binary: the UTF-8 texts of the new rows, in row order."""
    new_leaves: Sequence[tuple[str, ...]]
    """Labels of the new leaves, in order of their ids."""
    new_nodes: Sequence[NewNode]
    deltas: NodeColumns
    """Net change of every node that changed."""
    totals: NodeColumns
    """The totals after this commit of the same nodes, and of the new ones."""
    counts: Mapping[Outcome, int]
    """Events of this batch by outcome, rejects included; absent is 0."""
    newest_time: int | None = None
    """Greatest event time in the batch, nanoseconds since the epoch."""
    positions: Sequence[SourcePosition] = ()
    rejects: Sequence[Reject] = ()
    conflicts: Sequence[Conflict] = ()
    redriven: Sequence[int] = ()
    """Ids of rejects that were read again in this batch and leave the list."""
    discarded: Sequence[int] = ()
    """Ids of rejects that leave the list for good."""
    pages: Sequence[Page] = field(default=())
    new_texts: pa.Array | None = None
    """large_binary: the UTF-8 texts that keys keep, whose codes go on from the store's; None where they keep none."""
    events: Sequence[WholeEvents] = ()
    """The whole events behind the changes that became a key's state, where the definition keeps them."""
