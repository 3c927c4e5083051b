"""What changed after a commit, read in one snapshot for all subscribers that wait, and as server-sent events."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from oncefold.commit import Int32s
from oncefold.core.decimals import format_decimal, parse_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Outcome
from oncefold.queries.changes.wanted import Wanted, WatchedNodes, grown, watch
from oncefold.queries.converters import Freshness
from oncefold.store import commits, rows
from oncefold.store.amounts import DIGITS
from oncefold.store.changes import ChangedNodes, NodeValues, changed_since, events_after, values_of
from oncefold.store.connection import Connection
from oncefold.store.reader import StoreFile

MOST_ROWS = 10_000
"""Nodes of one message."""
MOST_DELTAS = 2_000_000
"""Rows of deltas that are read for one message."""
MOST_COMMITS = 1_000_000
"""Commits that one may be behind."""

TOO_MUCH = "more changed than a message holds; request the totals again"
TOO_OLD = "that commit is older than the changes that can be read; request the totals again"
UNKNOWN = "there is no such commit yet; request the totals again"

OUTCOMES = tuple(outcome.name.lower() for outcome in Outcome)
Counts = tuple[int, ...]
"""Events ever, in the order of OUTCOMES."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Where a subscription begins."""

    fresh: Freshness
    watched: WatchedNodes
    since: int
    """The subscriber knows everything up to this commit."""
    counts: Counts
    """Events up to there."""
    reset: str = ""
    """Why what the subscriber knows is of no use; empty if it is."""


@dataclass(frozen=True, slots=True)
class WaitingSubscribers:
    """Subscribers who want the same, and the commits that they know everything up to."""

    want: Wanted
    watched: WatchedNodes
    since: Sequence[int]
    """Rising, each once."""


@dataclass(frozen=True, slots=True)
class SubscriberChanges:
    """What changed for such subscribers."""

    watched: WatchedNodes
    rows: Mapping[int, bytes | str]
    """By `since`: the nodes that changed as a JSON array, or why they cannot be sent."""


@dataclass(frozen=True, slots=True)
class CommitChanges:
    """What changed up to one commit, for all subscribers that wait."""

    fresh: Freshness
    counts: Counts
    changes: Sequence[SubscriberChanges]


def begin(file: StoreFile, want: Wanted, known: int | None) -> Begin:
    """Begin after the commit that the subscriber knows, or now. Raises TooManyError."""
    with file.at_one_commit() as connection:
        fresh, counts, watched = _fresh(file), _counts(connection), watch(connection, want)
        if known is None:
            return Begin(fresh, watched, fresh.commit, counts)
        if known > fresh.commit:
            return Begin(fresh, watched, fresh.commit, counts, UNKNOWN)
        if known < max(commits.oldest(connection).seq, fresh.commit - MOST_COMMITS):
            return Begin(fresh, watched, fresh.commit, counts, TOO_OLD)
        later = events_after(connection, OUTCOMES, known)
        before = tuple(count - after for count, after in zip(counts, later, strict=True))
        return Begin(fresh, watched, known, before)


def read_changes(file: StoreFile, waiting: Sequence[WaitingSubscribers]) -> CommitChanges:
    """What changed for all subscribers that wait, with the values as of the snapshot's commit."""
    with file.at_one_commit() as connection:
        reader = _ChangesReader(file.pipeline, connection, waiting)
        return CommitChanges(_fresh(file), _counts(connection), reader.read())


def _fresh(file: StoreFile) -> Freshness:
    head = file.head()
    return Freshness(head.seq, head.at, head.newest_time)


def _counts(connection: Connection) -> Counts:
    found = rows.read_counts(connection)
    return tuple(found.get(outcome, 0) for outcome in Outcome)


@dataclass(slots=True)
class _ChangesReader:
    pipeline: Pipeline
    connection: Connection
    waiting: Sequence[WaitingSubscribers]
    _values: dict[int, tuple[str, bytes]] = field(default_factory=dict)

    def read(self) -> list[SubscriberChanges]:
        watched = grown(self.connection, [(one.want, one.watched) for one in self.waiting])
        changed, least = self._changed()
        found = [
            {since: self._ids(one.want, seen, changed, since) if since >= least else TOO_OLD for since in one.since}
            for one, seen in zip(self.waiting, watched, strict=True)
        ]
        self._read_values([ids for by_since in found for ids in by_since.values() if not isinstance(ids, str)])
        return [
            SubscriberChanges(seen, {since: self._text(one.want, ids) for since, ids in by_since.items()})
            for one, seen, by_since in zip(self.waiting, watched, found, strict=True)
        ]

    def _changed(self) -> tuple[ChangedNodes, int]:
        """The nodes that changed, and since when: subscribers so late that too much would be read are left out."""
        measures, oldest = len(self.pipeline.amounts), commits.oldest(self.connection).seq
        known = sorted({since for one in self.waiting for since in one.since if since >= oldest})
        for since in (known[0], known[-1]) if known else ():
            found = changed_since(self.connection, measures, since, MOST_DELTAS)
            if found is not None:
                return found, since
        return ChangedNodes(np.zeros(0, np.int32), np.zeros(0, np.int64)), 2**63 - 1

    def _ids(self, want: Wanted, watched: WatchedNodes, changed: ChangedNodes, since: int) -> Int32s | str:
        later = changed.node[changed.commit > since]
        if watched.known < 0:
            return TOO_MUCH
        if want.tops:
            later = _common(later, watched.ids)
        return TOO_MUCH if len(later) > MOST_ROWS else later

    def _read_values(self, wanted: Sequence[Int32s]) -> None:
        if not wanted:
            return
        for values in values_of(self.connection, self.pipeline, np.unique(np.concatenate(wanted)).tolist()):
            self._values[values.id] = (values.rollup, _row(values, self.pipeline))

    def _text(self, want: Wanted, ids: Int32s | str) -> bytes | str:
        if isinstance(ids, str):
            return ids
        rows = (self._values[node] for node in ids.tolist() if node in self._values)
        return b"[" + b",".join(text for rollup, text in rows if rollup in want.rollups) + b"]"


def _common(some: Int32s, others: Int32s) -> Int32s:
    """What is in both; each is rising. It takes as long as the shorter is."""
    short, long = (some, others) if len(some) <= len(others) else (others, some)
    if not len(short):
        return short
    at = np.minimum(np.searchsorted(long, short), len(long) - 1)
    found: Int32s = short[long[at] == short]
    return found


def _row(values: NodeValues, pipeline: Pipeline) -> bytes:
    measures = _measures(values.sums, pipeline)
    row = {"rollup": values.rollup, "path": values.path, "count": values.keys, "measures": measures}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _measures(texts: Sequence[str], pipeline: Pipeline) -> dict[str, str | None]:
    """What a node shows, by measure, from the texts of its amounts."""
    names = [measure.name for measure in pipeline.measures]
    if pipeline.layout.direct:
        return dict(zip(names, texts, strict=True))
    pairs = zip(texts, pipeline.amounts, strict=True)
    values = pipeline.layout.values([parse_decimal(text, amount.scale, 10**DIGITS) for text, amount in pairs])
    shown = zip(pipeline.measures, values, strict=True)
    return {one.name: None if value is None else format_decimal(value, one.scale) for one, value in shown}


Message = tuple[bytes, ...]
"""Pieces that are sent one after the other."""

KEEP_ALIVE: Message = (b": keep-alive\n\n",)
_END = b"}\n\n"


class Messages:
    """The messages about one commit."""

    def __init__(self, changes: CommitChanges, now: int) -> None:
        self.commit, self.counts = changes.fresh.commit, changes.counts
        self._members = changes.fresh.members(now)
        self._heads: dict[tuple[int, bool], bytes] = {}

    def of(self, rows: bytes | str, since: int, counts: Counts) -> Message:
        """The message with these rows, or with the reason of a reset, for one who knows everything up to `since`."""
        event = "reset" if isinstance(rows, str) else "commit"
        head = self._heads.get((since, event == "reset"))
        if head is None:
            pairs = zip(OUTCOMES, self.counts, counts, strict=True)
            news = {outcome: now - before for outcome, now, before in pairs if now != before}
            head = _head(event, self.commit, self._members) + b',"counts":' + _json(news)
            self._heads[since, event == "reset"] = head
        if isinstance(rows, str):
            return (head, b',"reason":' + _json(rows) + _END)
        return (head, b',"rows":', rows, _END)


def first(begin: Begin, now: int) -> Message:
    """The first message to a subscriber: none, if the next one has what it missed."""
    members = begin.fresh.members(now)
    if begin.reset:
        return (_head("reset", begin.fresh.commit, members), b',"reason":' + _json(begin.reset) + _END)
    if begin.since < begin.fresh.commit:
        return ()
    return (_head("hello", begin.fresh.commit, members), _END)


def _head(event: str, commit: int, members: bytes) -> bytes:
    return f"event: {event}\nid: {commit}\ndata: ".encode() + members


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
