"""Values that a store's queries return; sums are whole numbers of each measure's smallest unit."""

from collections.abc import Mapping
from dataclasses import dataclass

from oncefold.commit import Conflict, Reject
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Outcome, Total
from oncefold.store.retention import Retention


@dataclass(frozen=True, slots=True)
class CommitTime:
    """A commit: its number and its wall clock time in nanoseconds since the epoch (0 before the first)."""

    seq: int
    at: int


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a source, and the commit that wrote it."""

    source: str
    state: str
    commit: int


@dataclass(frozen=True, slots=True)
class StoredStatus:
    """The store as a whole."""

    pipeline: Pipeline
    format: int
    created: int
    last: CommitTime
    newest_time: int | None
    """Greatest event time of all events."""
    keys: int
    """Keys that ever arrived."""
    live: int
    """Live keys: those that are not deleted."""
    nodes: int
    counts: Mapping[Outcome, int]
    """Events ever, by outcome."""
    positions: tuple[Position, ...]
    rejects: int
    """Events on the reject list now."""
    discarded: int
    """Events ever discarded."""
    conflicts: int
    retention: Retention
    oldest: CommitTime
    """The oldest commit whose totals can be queried."""
    file_bytes: int
    """The file with its write-ahead log."""


@dataclass(frozen=True, slots=True)
class TotalRow:
    """A node and its totals; the root has the empty path and label."""

    path: str
    depth: int
    label: str
    count: int
    sums: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredTotals:
    """Rows in tree order: a node, then its children by label, each followed by its own."""

    as_of: CommitTime
    rollup: str
    rows: list[TotalRow]


@dataclass(frozen=True, slots=True)
class KeyState:
    """The current event of a key; `labels` is None after a delete."""

    key: str
    version: int
    labels: tuple[str, ...] | None
    measures: tuple[int, ...]
    """The numbers among the columns of the key."""
    texts: tuple[str | None, ...] = ()
    """And the texts."""


@dataclass(frozen=True, slots=True)
class Explained:
    """The keys that count in a node, in order of first appearance, and their number."""

    as_of: CommitTime
    rollup: str
    path: str
    total: int
    sums: tuple[int, ...]
    """Of all keys that count in the node."""
    states: list[KeyState]


@dataclass(frozen=True, slots=True)
class StoredArrival:
    """One event of a key. A duplicate shows what it repeated; `version` is None where it was dropped."""

    commit: CommitTime
    outcome: Outcome
    version: int | None
    labels: tuple[str, ...] | None
    measures: tuple[int, ...]
    """The numbers among the columns of the key."""
    texts: tuple[str | None, ...] = ()
    """And the texts."""


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """What arrived for a key, oldest first, and its current state."""

    key: str
    state: KeyState
    arrivals: list[StoredArrival]
    since: CommitTime | None
    """None if this is all that ever arrived; otherwise arrivals up to this commit were dropped."""


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """A reason on the reject list, word for word."""

    reason: str
    events: int
    newest: int
    """The greatest id with it."""
    newest_commit: int


@dataclass(frozen=True, slots=True)
class ListedReject:
    """An event on the reject list."""

    id: int
    commit: CommitTime
    reject: Reject


@dataclass(frozen=True, slots=True)
class ListedConflict:
    """A conflict, with the commit that found it."""

    id: int
    commit: CommitTime
    conflict: Conflict


@dataclass(frozen=True, slots=True)
class WrongTotal:
    """A node whose stored totals differ from those of the keys below it."""

    rollup: str
    path: str
    stored: Total | str | None
    """A text where a stored sum is no decimal; None where the node has no totals."""
    recomputed: Total


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of recomputing every total from the key states; without differences all totals are right."""

    as_of: CommitTime
    nodes: int
    keys: int
    differences: list[WrongTotal]
    """In tree order, the first wrong node first."""
