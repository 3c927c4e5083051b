"""The answer to `status`: what all backends have, and what only a store, a server or a stack has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from oncefold.queries.model import Answer, Commit, Pending

SourceKind = Literal["text", "table", "pipe", "stream", "other"]


@dataclass(frozen=True, slots=True)
class SourceProgress:
    """How far one source is folded."""

    source: str
    kind: SourceKind
    commit: int
    """The last commit that moved it on."""
    offset: int | None
    """What comes next: a byte of the (decompressed) text, or a row of the table; None where the source does not say."""
    file_bytes: int | None
    """Size of the file now; None if it is no file, or is not there."""
    read_bytes: int | None
    """How many of its bytes are folded; None where that is not known."""
    state: str
    """The position as the source keeps it."""
    sequence: str | None = None
    """Of a stream's shard: the sequence number of the last record that is folded, empty before the first."""
    lag_seconds: float | None = None
    """Of a stream's shard: from there to its newest record, as it was when the position was noted."""
    closed: bool = False
    """Of a stream's shard: it is closed and read to its end."""

    @property
    def lag_bytes(self) -> int | None:
        """Bytes of the file that are not folded yet; None where that is not known."""
        if self.file_bytes is None or self.read_bytes is None:
            return None
        return max(0, self.file_bytes - self.read_bytes)

    @property
    def shrunk(self) -> bool:
        """Whether the file is shorter now than what was read of it."""
        return self.lag_bytes is not None and (self.file_bytes or 0) < (self.read_bytes or 0)


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are of something."""

    number: int
    exact: bool = True
    """Whether they were counted; DynamoDB's own figure is up to six hours old."""
    complete: bool = True
    """Whether these are all; counting may have been stopped."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Status(Answer[SourceProgress]):
    """A pipeline's totals as a whole; the rows are the sources of a store. It is a `StoreStatus` or a `StackStatus`."""

    fingerprint: str
    """Of the definition."""

    @property
    def pipeline(self) -> str:
        """The pipeline's name."""
        return self.shape.pipeline


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """What a server is doing now."""

    events_per_second: float
    waiting_requests: int
    """Requests that wait for their commit."""


@dataclass(frozen=True, kw_only=True, repr=False)
class StoreStatus(Status):
    """A store as a whole, read from its file or reported by its server."""

    path: str
    format: int
    """Version of the file's format."""
    created: datetime
    keys: int
    """Keys ever seen."""
    live: int
    """Keys that count: those seen, without the deleted."""
    nodes: int
    counts: Mapping[str, int]
    """Events ever, by outcome."""
    rejects: int
    """Events on the reject list now."""
    discarded: int
    """Events ever taken off it for good."""
    conflicts: int
    queried: datetime
    """When this was queried."""
    behind: timedelta | None
    """From the newest event time to then; None without event times."""
    oldest: Commit
    """The oldest commit whose totals can be queried."""
    retention: timedelta | None
    """How far back the past can be queried at least; None is for ever."""
    file_bytes: int
    """The file with its write-ahead log."""
    load: ServerLoad | None = None
    """Of a server."""

    @property
    def events(self) -> int:
        """Events ever seen, rejected ones too."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class StreamState:
    """The Kinesis stream of a stack."""

    name: str
    status: str
    mode: str
    """`PROVISIONED` or `ON_DEMAND`."""
    open_shards: int
    closed_shards: int
    """Shards that were split or merged; what is in them is read first."""
    retention: timedelta


@dataclass(frozen=True, slots=True)
class MappingState:
    """What feeds a stream to a function."""

    state: str
    """Such as `Enabled`."""
    result: str
    """What Lambda says of the last batch, such as `OK`."""


@dataclass(frozen=True, slots=True)
class FunctionState:
    """A function, what feeds it, and how it fared lately."""

    name: str
    mappings: tuple[MappingState, ...] | None
    age: timedelta | None
    """The greatest age of a record when it was read, lately; None if there were none."""
    errors: int | None
    """Failed invocations lately."""


@dataclass(frozen=True, kw_only=True, repr=False)
class StackStatus(Status):
    """A stack as a whole. What could not be learned is None, and `unknown` says why."""

    region: str
    accepted: int
    """How many definitions the functions may run with; several after the definition was widened."""
    stream: StreamState | None
    functions: tuple[FunctionState, ...]
    lately: timedelta
    """What "lately" is in the states of functions."""
    keys: Count
    """Keys ever seen, deleted ones too."""
    live: Count | None
    """Keys that count; None if they were not counted."""
    nodes: Count
    outbox: Pending
    rejects: Count
    conflicts: Count
    failures: int | None
    """Messages in the failure queue, as SQS approximates them."""
    unknown: Mapping[str, str]
    """What could not be queried, and why."""
    rebuild: str | None = None
    """The phase of the rebuild that is under way: `first`, `final`, `drain` or `delete`; None if none is."""
    lost: bool = False
    """Whether the totals may lack changes that were dropped unread, which happens in economy mode alone."""


@dataclass(frozen=True, slots=True)
class CheckedStore:
    """What an examination of a store file found."""

    commit: Commit | None
    """The last commit when the examination began; None for a file in which none can be read."""
    findings: tuple[str, ...]
    """What is wrong, one line each."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def __iter__(self) -> Iterator[str]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)
