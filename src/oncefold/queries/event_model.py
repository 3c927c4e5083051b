"""Answers about keys and events: what is behind a total, what arrived for a key, rejects and conflicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from oncefold.queries.model import Amounts, Answer, Commit, KeyValue

Labels = tuple[str | tuple[str, ...], ...]
"""One label per level of the pipeline; of a level for each element of an array all labels, by position."""


@dataclass(frozen=True, slots=True)
class CountedKey:
    """A key that counts in a node, with its current version."""

    key: str
    version: int | None
    """As versions are compared (a timestamp: nanoseconds since the epoch); None for a pipeline without versions."""
    version_text: str
    """As a person writes it: digits, an RFC 3339 time, or nothing."""
    labels: Labels
    """One per level of the pipeline, `Pipeline.levels`; empty where only the leaf is known."""
    leaves: tuple[str, ...]
    """The path of its leaf in the rollup that was queried, or of each leaf."""
    values: Mapping[str, KeyValue]

    @property
    def leaf(self) -> str:
        """The path of its leaf; of several leaves their paths with a comma between."""
        return ", ".join(self.leaves)


@dataclass(frozen=True, kw_only=True, repr=False)
class Explanation(Answer[CountedKey]):
    """The keys behind a total: how many there are, what they add up to, and the first of them."""

    rollup: str
    path: str
    count: int
    """Keys that count in the node, listed or not; of one measure those that make it."""
    sums: Mapping[str, Decimal | None]
    """What all these keys make of each measure, listed or not."""
    total: Amounts
    """The node's stored total, with the deltas that are pending."""
    after: int = 0
    """How many keys were left out before the first row."""
    moved: bool = False
    """Whether the node changed while its keys were read, which only a stack allows."""
    measure: str | None = None
    """The measure whose keys were asked for; None for all keys of the node."""
    value: str | None = None
    """The value whose keys were asked for."""

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
        """Whether all keys, listed or not, make the node's total exactly."""
        same_count = self.measure is not None or self.count == self.total.count
        return same_count and dict(self.sums) == dict(self.total.sums)


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event of a key, and what became of it."""

    commit: Commit
    outcome: str
    """`inserted`, `corrected`, `deleted`, `conflict_won`, `duplicate`, `stale`, `conflict_lost` or `filtered`."""
    known: bool
    """Whether what follows is known: it is not where a duplicate repeated an event beyond the retention."""
    version: int | None
    version_text: str
    labels: Labels | None
    """One per level of the pipeline; None for a delete."""
    leaf: str | None
    """These labels joined as a path; several of one level are in parentheses."""
    values: Mapping[str, KeyValue]
    """Empty for a delete."""


@dataclass(frozen=True, slots=True)
class CurrentVersion:
    """The event that is the state of a key now."""

    version: int | None
    version_text: str
    labels: Labels | None
    """None if the key is deleted."""
    leaf: str | None
    """These labels joined as a path; several of one level are in parentheses."""
    values: Mapping[str, KeyValue]
    leaves: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The paths of its leaves by rollup, where the definition may give it several."""

    @property
    def deleted(self) -> bool:
        """Whether the key counts nowhere."""
        return self.leaf is None


@dataclass(frozen=True, kw_only=True, repr=False)
class History(Answer[Arrival]):
    """What arrived for a key, oldest first."""

    key: str
    current: CurrentVersion
    forgotten_to: Commit | None
    """Arrivals up to this commit are beyond the retention; None if the rows are all that ever arrived."""
    more: bool = False
    """Whether more arrived than a limit allowed."""


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
    unit: Literal["byte", "row", "line", "item"]
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


@dataclass(frozen=True, kw_only=True, repr=False)
class Rejects(Answer[RejectedEvent]):
    """Events on the reject list: of a store by their ids, rising or falling, of a stack in order of arrival."""

    total: int
    """Events on the list in all."""


@dataclass(frozen=True, slots=True)
class RejectReason:
    """Why events are on the reject list: a reason, with `...` for what is each event's own."""

    reason: str
    events: int
    newest: int
    """The id of the newest of them."""
    newest_commit: int


@dataclass(frozen=True, kw_only=True)
class RejectReasons(Answer[RejectReason]):
    """The reasons on a store's reject list, the most frequent first."""

    total: int
    """Events on the list in all."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two contents that contradict each other."""

    labels: Labels | None
    """One per level of the pipeline; None for a delete, or where only the leaf is known."""
    leaf: str | None
    """None for a delete."""
    values: Mapping[str, KeyValue]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two events of one key and version with different content: the one that counts, and the other."""

    id: int | None
    """Its number on the list; None in a stack."""
    commit: Commit | None
    """The commit that has the second of them; None in a stack."""
    key: str
    version: int | None
    version_text: str
    kept: Side
    dropped: Side


@dataclass(frozen=True, kw_only=True, repr=False)
class Conflicts(Answer[Contradiction]):
    """Contradictions: of a store the newest first, of a stack by key and version."""

    total: int
    """Contradictions in all."""
