"""When to snapshot which page of the keyed state, so that reopening stays fast and writing stays cheap.

A page holds the states of PAGE_ROWS consecutive rows. Its present state is its snapshot with the later changes
applied. The window is the log since the oldest change that is still needed; when it grows beyond
max(MIN_WINDOW_ROWS, rows of the state), the pages that hold its start are due, oldest first. A page that was
snapshotted cannot be due again before the log has grown by the window, so that in the long run at most one row of
snapshots is written per row of changes.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from oncefold.commit import PAGE_ROWS, Changes, Int64s, taken

MIN_WINDOW_ROWS = 2**20
"""A log of this many rows is read in well under a second, whatever the size of the state."""

PAGES_PER_COMMIT = 4
"""Pages that are snapshotted in one commit, at most, so that no commit takes long."""


_AT_ONCE = 2**16
"""Changes that are counted at once, so that they stay in the processor's cache."""


class SnapshotSchedule:
    """Which changes each page still needs: by it the engine chooses pages, and the store drops changes."""

    def __init__(self, *, log: int = 0, min_window: int = MIN_WINDOW_ROWS) -> None:
        self.log = log
        """Rows of changes so far, counted from any fixed point."""
        self.dirty: Int64s = np.zeros(0, np.int64)
        """Per page, the rows of changes that became a key's state since its snapshot."""
        self._since_commit: Int64s = np.zeros(0, np.int64)
        self._since_log: Int64s = np.zeros(0, np.int64)
        self._last = 0
        self._min_window = min_window

    def copy(self) -> "SnapshotSchedule":
        """An independent copy."""
        other = SnapshotSchedule(log=self.log, min_window=self._min_window)
        other.dirty, other._last = self.dirty.copy(), self._last
        other._since_commit, other._since_log = self._since_commit.copy(), self._since_log.copy()
        return other

    def add(self, commit: int, changes: Changes) -> None:
        """Count the changes of one commit."""
        counts = _taken_by_page(changes)
        self.count(counts, np.full(len(counts), commit))
        self._last = len(changes)
        self.log += len(changes)

    def count(self, counts: Int64s, commits: Int64s) -> None:
        """Count change rows per page; `commits` holds the commit of each page's first one."""
        self._grow(len(counts))
        first = np.flatnonzero((self.dirty[: len(counts)] == 0) & (counts > 0))
        self._since_commit[first] = commits[first]
        self._since_log[first] = self.log
        self.dirty[: len(counts)] += counts

    def _grow(self, pages: int) -> None:
        if pages <= len(self.dirty):
            return
        more = (0, pages - len(self.dirty))
        self.dirty = np.pad(self.dirty, more)
        self._since_commit = np.pad(self._since_commit, more)
        self._since_log = np.pad(self._since_log, more)

    def due(self, rows: int) -> list[int]:
        """The pages to snapshot in the commit that was added last, for a state of so many rows."""
        window = max(self._min_window, rows)
        most = min(PAGES_PER_COMMIT, 1 + self._last // PAGE_ROWS)
        dirty = np.flatnonzero(self.dirty)
        late = dirty[self.log - self._since_log[dirty] > window]
        return [int(page) for page in late[np.argsort(self._since_log[late], kind="stable")][:most]]

    def snapshotted(self, pages: Iterable[int]) -> None:
        """These pages were snapshotted in the commit that was added last."""
        numbers: Sequence[int] = list(pages)
        if numbers:
            self._grow(max(numbers) + 1)
            self.dirty[numbers] = 0

    def needed_from(self, following: int) -> int:
        """The first commit whose changes are needed for the state; `following` (the next commit) if none is."""
        dirty = np.flatnonzero(self.dirty)
        return int(self._since_commit[dirty].min()) if len(dirty) else following


def _taken_by_page(changes: Changes) -> Int64s:
    """The rows of changes that became a key's state, per page."""
    counts = np.zeros(1 + int(changes.row.max(initial=0)) // PAGE_ROWS, np.int64)
    for start in range(0, len(changes), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        rows = changes.row[part][taken(changes.outcome[part])]
        counts += np.bincount(rows // PAGE_ROWS, minlength=len(counts))
    return counts
