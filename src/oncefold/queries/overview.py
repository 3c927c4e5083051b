"""The answer to `status`: a store as a whole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from oncefold.queries.answers import Commit, RowsOfCommit
from oncefold.queries.columns import Column
from oncefold.queries.progress import SourceProgress


@dataclass(frozen=True)
class Overview(RowsOfCommit[SourceProgress]):
    """A store as a whole; the rows are its sources."""

    path: str
    pipeline: str
    """The pipeline's name."""
    fingerprint: str
    format: int
    """Version of the file's format."""
    created: datetime
    keys: int
    """Keys ever met."""
    live: int
    """Keys that count: those met, without the deleted."""
    nodes: int
    counts: Mapping[str, int]
    """Events ever, by outcome."""
    rejects: int
    """Events on the reject list now."""
    discarded: int
    """Events ever taken off it for good."""
    conflicts: int
    newest_event: datetime | None
    """The greatest event time ever met, to the microsecond."""
    newest_event_text: str | None
    """The same, exact."""
    asked: datetime
    """When this was asked."""
    behind: timedelta | None
    """From the newest event time to then; None without event times."""
    oldest: Commit
    """The oldest commit whose totals can be asked."""
    retention: timedelta | None
    """How far back the past can be asked at least; None is for ever."""
    file_bytes: int
    """The file with its write-ahead log."""

    @property
    def events(self) -> int:
        """Events ever met, rejected ones too."""
        return sum(self.counts.values())

    def _columns(self) -> Iterator[Column]:
        yield Column("source", "text", [row.source for row in self.rows])
        yield Column("kind", "text", [row.kind for row in self.rows])
        yield Column("commit", "int", [row.commit for row in self.rows])
        yield Column("offset", "int", [row.offset for row in self.rows])
        yield Column("file_bytes", "int", [row.file_bytes for row in self.rows])
        yield Column("read_bytes", "int", [row.read_bytes for row in self.rows])
        yield Column("lag_bytes", "int", [row.lag_bytes for row in self.rows])
