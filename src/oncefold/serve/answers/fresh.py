"""How fresh an answer is: its commit, that commit's time, and the greatest event time until then."""

import json
from dataclasses import dataclass

from oncefold.core.timestamps import format_timestamp
from oncefold.questions.snapshot import Snapshot
from oncefold.store.answers import Moment

_NANOS = 10**9


@dataclass(frozen=True, slots=True)
class Freshness:
    """A commit as an answer names it."""

    commit: int
    at: int = 0
    """Nanoseconds since the epoch; 0 where it has no time."""
    newest_time: int | None = None
    """Greatest event time up to it."""

    def lag(self, now: int) -> float | None:
        """Seconds from the newest event time to now; None without event times."""
        return None if self.newest_time is None else round((now - self.newest_time) / _NANOS, 3)

    def headers(self, now: int) -> list[tuple[bytes, bytes]]:
        """What every answer to a question says."""
        found = [(b"oncefold-commit", str(self.commit).encode())]
        if self.at:
            found.append((b"oncefold-commit-time", format_timestamp(self.at).encode()))
        if self.newest_time is not None:
            found.append((b"oncefold-newest-event", format_timestamp(self.newest_time).encode()))
            found.append((b"oncefold-lag-seconds", f"{self.lag(now):.3f}".encode()))
        return found

    def members(self, now: int) -> bytes:
        """The same as the first members of a JSON object, without its closing brace."""
        newest = None if self.newest_time is None else format_timestamp(self.newest_time)
        document = {
            "commit": self.commit,
            "commit_time": format_timestamp(self.at) if self.at else None,
            "newest_event": newest,
            "lag_seconds": self.lag(now),
        }
        return json.dumps(document, separators=(",", ":")).encode()[:-1]


def freshness_of(snapshot: Snapshot, moment: Moment | None = None) -> Freshness:
    """How fresh answers are as of a moment; without one, as of the snapshot's own commit."""
    head = snapshot.head()
    if moment is None or moment.seq == head.seq:
        return Freshness(head.seq, head.at, head.newest_time)
    return Freshness(moment.seq, moment.at, snapshot.newest_event(moment.seq))
