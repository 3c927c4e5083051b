"""Which neighbouring segments to merge, so that many small commits leave few segments.

A segment is full at `full_bytes` or FULL_ROWS and is never touched again. The others form runs between full ones.
Their class is log(rows) to the base `fan_out`. Of the segments at the end of a run of which none is above class c
there are fewer than (c + 1) times `fan_out`, or they are merged. So n commits leave O(log n) segments beside the full
ones, whatever their sizes, and of commits that are alike every row is rewritten O(log n) times; no merge reads
much more than `full_bytes` times two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FULL_ROWS = 2**20


@dataclass(frozen=True, slots=True)
class Segment:
    """A blob of consecutive rows or commits: their first and last number, its rows and its size in bytes."""

    first: int
    last: int
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Tiers:
    """The limits of merging; commits of 100,000 events and more make segments that are full from the start."""

    fan_out: int = 32
    full_bytes: int = 2**20

    def due(self, segments: Sequence[Segment]) -> slice | None:
        """The next neighbours to merge, given that the last segment is the only new one; None if all is well."""
        end = len(segments)
        if end and self._full(segments[-1]):
            end -= 1
            start = self._run_start(segments, end)
            return slice(start, end) if end - start > 1 else None
        start = self._run_start(segments, end)
        if end - start < 2:
            return None
        if sum(s.size for s in segments[start:end]) >= self.full_bytes:
            return slice(start, end)
        return self._too_many(segments, start, end)

    def _too_many(self, segments: Sequence[Segment], start: int, end: int) -> slice | None:
        """The segments at the end that are of some class at most, if they are too many for it."""
        first, above = end, 0
        while first > start:
            above = max(above, self._class(segments[first - 1]))
            while first > start and self._class(segments[first - 1]) <= above:
                first -= 1
            if end - first >= (above + 1) * self.fan_out:
                return slice(first, end)
        return None

    def _run_start(self, segments: Sequence[Segment], end: int) -> int:
        while end > 0 and not self._full(segments[end - 1]):
            end -= 1
        return end

    def _full(self, segment: Segment) -> bool:
        return segment.size >= self.full_bytes or segment.rows >= FULL_ROWS

    def _class(self, segment: Segment) -> int:
        level, rows = 0, segment.rows
        while rows >= self.fan_out:
            rows //= self.fan_out
            level += 1
        return level


DEFAULT_TIERS = Tiers()
