"""Cuts a stream of bytes into pieces of whole records, however the bytes arrive.

The same bytes give the same records at the same offsets for every way of feeding them. Memory is bounded by
RECORD_BYTES plus two blocks: a record that does not end within RECORD_BYTES is not held, but passed on as `Oversize`.
For CSV, reading then goes on at the next line after that record's start, so that a quote that never closes costs one
line and not the rest of the stream.
"""

import codecs
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from oncefold.core.limits import RECORD_BYTES
from oncefold.sources.blocks import BLOCK_BYTES, Oversize
from oncefold.sources.csv_quotes import scan

HEAD_BYTES: Final = 64 * 2**10
"""Bytes kept of a record that is too long."""

_SMALL: Final = 64 * 2**10
"""Pieces up to this size are copied out, so that they do not keep a whole buffer alive."""

_STRIDE: Final = 64 * 2**10
_BOM: Final = codecs.BOM_UTF8
_QUOTE: Final = 0x22
_LINE_FEED: Final = 0x0A
_OUTSIDE: Final = 0
_INSIDE: Final = 1
_CLOSING: Final = 2

assert BLOCK_BYTES <= RECORD_BYTES
assert HEAD_BYTES <= RECORD_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Whole records, `data` from `offset` on, after the oversize records before them."""

    data: memoryview
    offset: int
    oversize: tuple[Oversize, ...]
    resume: int
    """Offset from which reading must go on if all before is done with."""


@dataclass(slots=True)
class _Skip:
    """A record being passed over, up to the next newline."""

    offset: int
    head: bytes
    reason: str


class RecordCutter:
    """Bytes go in through `space` and `advance`, pieces come out of `take` and at the end `finish`."""

    def __init__(
        self,
        delimiter: str | None = None,
        *,
        offset: int = 0,
        block_bytes: int = BLOCK_BYTES,
        record_bytes: int = RECORD_BYTES,
    ) -> None:
        """`delimiter` None cuts lines, else CSV records; `offset` is that of the first byte to come.

        `take` must be called whenever `full`, until it says None. A byte order mark at offset 0 is passed over.
        """
        assert 0 < block_bytes <= record_bytes
        self._delimiter = None if delimiter is None else ord(delimiter)
        self._block_bytes, self._record_bytes = block_bytes, record_bytes
        self._buffer: npt.NDArray[np.uint8] = np.empty(0, np.uint8)
        self._base = offset
        """Stream offset of the buffer's first byte."""
        self._start = self._cut = self._end = self._scanned = 0
        """[start, cut) are whole records, [cut, end) is the beginning of one; all before `scanned` was looked at."""
        self._taken_end = 0
        self._state = _OUTSIDE
        self._skip: _Skip | None = None
        self._oversize: list[Oversize] = []
        self._bom = offset == 0

    @property
    def offset(self) -> int:
        """Stream offset of the next byte to come."""
        return self._base + self._end

    @property
    def resume(self) -> int:
        """Offset from which reading must go on once all whole records so far are done with."""
        return self._base + self._cut if self._skip is None else self._skip.offset

    @property
    def full(self) -> bool:
        """Whether a block's worth of bytes arrived since the last `take`; none may be put until the next."""
        return self._end - self._taken_end >= self._block_bytes

    def space(self) -> memoryview:
        """Where to put the next bytes; never empty unless `full`."""
        room = self._block_bytes - (self._end - self._taken_end)
        if room > 0 and self._end + room > len(self._buffer):
            held = self._end - self._start
            self._move(max(2 * held, held + room), reuse=True)
        return memoryview(self._buffer.data)[self._end : self._end + room]

    def advance(self, count: int) -> None:
        """`count` bytes were put at the beginning of `space`."""
        self._end += count
        if self._bom and not self._pass_bom():
            return
        self._settle()

    def take(self) -> Piece | None:
        """Whole records that are here and were not taken; call again until it says None."""
        self._taken_end = self._end
        if self._cut == self._start and not self._oversize:
            return None
        piece = self._piece(self._cut, self.resume)
        self._settle()
        return piece

    @property
    def held(self) -> memoryview:
        """All bytes that are here and were not taken, after a byte order mark; they may be changed before `rescan`."""
        return memoryview(self._buffer.data)[self._start : self._start if self._bom else self._end]

    def hold(self) -> None:
        """Let another block's worth of bytes come before anything is taken."""
        self._taken_end = self._end

    def rescan(self, delimiter: str | None, size: int | None = None) -> None:
        """Look at the bytes held again, of which the first `size` stay: they were changed, or this delimits them."""
        self._delimiter = None if delimiter is None else ord(delimiter)
        if size is not None:
            self._end = self._start + size
            self._taken_end = min(self._taken_end, self._end)
        if self._skip is None:
            self._cut = self._scanned = self._start
            self._state = _OUTSIDE
        self._settle()

    def first(self) -> bytes | None:
        """The first record alone, such as a CSV header, with its newline; None if it is not whole yet."""
        if self._cut == self._start or self._oversize:
            return None
        end = self._newline(self._start) + 1
        if self._delimiter is not None and _QUOTE in self._buffer[self._start : end]:
            end = self._scan_quoted(self._start, self._cut, first=True)
        return self._buffer[self._start : end].tobytes()

    def take_first(self) -> bytes | None:
        """The same, and it is taken."""
        record = self.first()
        if record is not None:
            self._start += len(record)
        return record

    def take_rest(self) -> bytes:
        """All that is left of a finished stream, whole records or not."""
        rest = self._buffer[self._start : self._end].tobytes()
        self._start = self._cut = self._scanned = self._end
        return rest

    def end(self) -> None:
        """No more bytes will come."""
        if self._bom:
            self._bom = False
            self._settle()

    def finish(self) -> list[Piece]:
        """The rest of a finished stream, a last record without newline included.

        Every piece that holds a part of that record, or comes after it, says in `resume` where it begins.
        """
        self.end()
        pieces = list(iter(self.take, None))
        resume = self.resume
        while self._start < self._end and self._skip is None and self._state == _INSIDE:
            self._refuse_front("a quote in it does not close before the end")
            self._settle()
            pieces.extend(replace(piece, resume=resume) for piece in iter(self.take, None))
        if self._skip is not None:
            self._end_skip(self._end)
            self._start = self._end
        self._cut = self._end
        last = self._piece(self._end, resume)
        return [*pieces, last] if last.data or last.oversize else pieces

    def _piece(self, end: int, resume: int) -> Piece:
        """[start, end) with the oversize records before it; what is left moves to the front if need be."""
        data = memoryview(self._buffer.data)[self._start : end]
        shared = len(data) > _SMALL
        piece = Piece(
            data if shared else memoryview(data.tobytes()), self._base + self._start, tuple(self._oversize), resume
        )
        self._start = end
        self._oversize = []
        rest = self._end - end
        if shared or self._start >= _SMALL or rest == 0:
            self._move(rest + self._block_bytes if rest else 0, reuse=bool(rest) and not shared)
        return piece

    def _move(self, size: int, *, reuse: bool) -> None:
        """Bring [start, end) to the front of a buffer of at least `size` bytes."""
        start, end = self._start, self._end
        target = self._buffer if reuse and len(self._buffer) >= size else np.empty(size, np.uint8)
        target[: end - start] = self._buffer[start:end]
        self._buffer = target
        self._shift(start)

    def _shift(self, count: int) -> None:
        """The buffer begins `count` bytes later in the stream than it did."""
        self._base += count
        self._start -= count
        self._cut -= count
        self._scanned -= count
        self._end -= count
        self._taken_end -= count

    def _pass_bom(self) -> bool:
        seen = self._buffer[: min(self._end, len(_BOM))].tobytes()
        if seen != _BOM and _BOM.startswith(seen):
            return False
        self._bom = False
        if seen == _BOM:
            self._start = self._cut = self._scanned = len(_BOM)
        return True

    def _settle(self) -> None:
        """Look at the bytes not looked at, as far as a record at `start` may reach."""
        while self._skip is None or self._skip_to_newline():
            self._scan()
            if self._cut > self._start or self._scanned - self._start <= self._record_bytes:
                return
            if self._pass_nuls():
                continue
            line = self._newline(self._start)
            if 0 <= line <= self._start + self._record_bytes:
                self._refuse_front(f"a quote in it does not close within {self._record_bytes:,} bytes")
            else:
                self._refuse_front(f"longer than {self._record_bytes:,} bytes")

    def _scan(self) -> None:
        low, high = self._scanned, min(self._end, self._start + self._record_bytes + 1)
        if low >= high:
            return
        self._scanned = high
        if self._delimiter is None or (self._state == _OUTSIDE and not self._any_quote(low)):
            last = self._last_newline(low)
        else:
            last = self._scan_quoted(low, high, first=False)
        if last >= 0:
            self._cut = last

    def _any_quote(self, low: int) -> bool:
        return bool((self._buffer[low : self._scanned] == _QUOTE).any())

    def _scan_quoted(self, low: int, high: int, *, first: bool) -> int:
        state = _OUTSIDE if first else self._state
        assert self._delimiter is not None
        if high - low <= _SMALL:
            data, before = self._buffer[max(0, low - 1) : high].tobytes(), max(0, low - 1)
            end, state = _scan_few(data, self._start - before, low - before, state, self._delimiter, first=first)
            if not first:
                self._state = state
            return end if end < 0 else end + before
        end, state = scan(self._buffer, self._start, low, high, state, self._delimiter, int(first))
        if not first:
            self._state = int(state)
        return int(end)

    def _newline(self, low: int) -> int:
        """Index of the first newline from `low` on, or -1."""
        for at in range(low, self._end, _STRIDE):
            found = self._buffer[at : min(at + _STRIDE, self._end)].tobytes().find(b"\n")
            if found >= 0:
                return at + found
        return -1

    def _last_newline(self, low: int) -> int:
        """Index after the last newline looked at, from `low` on, or -1."""
        for high in range(self._scanned, low, -_STRIDE):
            at = max(low, high - _STRIDE)
            found = self._buffer[at:high].tobytes().rfind(b"\n")
            if found >= 0:
                return at + found + 1
        return -1

    def _pass_nuls(self) -> bool:
        """Pass over NUL bytes in front of a record too long to be held; whether there were any."""
        held = self._buffer[self._start : self._scanned]
        count = int(np.argmax(held != 0)) if held.any() else len(held)
        if count:
            reason = "NUL bytes, as a crash or a rotation of a log leaves them"
            self._oversize.append(Oversize(self._base + self._start, count, b"", reason))
            self._start += count
            self._cut = self._start
        return count > 0

    def _refuse_front(self, reason: str) -> None:
        """Pass over the line that begins at `start`, where nothing whole begins."""
        kept = min(self._end, self._start + HEAD_BYTES, self._start + self._record_bytes)
        head = self._buffer[self._start : kept].tobytes()
        self._skip = _Skip(self._base + self._start, head.split(b"\n", 1)[0], reason)
        self._cut = self._scanned = self._start
        self._state = _OUTSIDE

    def _skip_to_newline(self) -> bool:
        """Whether the record passed over ended; if not, its bytes are dropped."""
        newline = self._newline(self._scanned)
        if newline < 0:
            self._start = self._cut = self._scanned = self._end
            self._shift(self._end)
            return False
        self._end_skip(newline)
        self._start = self._cut = self._scanned = newline + 1
        return True

    def _end_skip(self, end: int) -> None:
        assert self._skip is not None
        skip, self._skip = self._skip, None
        self._oversize.append(Oversize(skip.offset, self._base + end - skip.offset, skip.head, skip.reason))


def _scan_few(data: bytes, record: int, low: int, state: int, delimiter: int, *, first: bool) -> tuple[int, int]:
    """What `csv_quotes.scan` does, for so few bytes that its kernel need not be loaded."""
    end, at = -1, low
    while at < len(data):
        if state == _INSIDE:
            quote = data.find(b'"', at)
            if quote < 0:
                return end, _INSIDE
            state, at = _CLOSING, quote + 1
            continue
        if state == _CLOSING:
            state = _INSIDE if data[at] == _QUOTE else _OUTSIDE
            at += state == _INSIDE
            continue
        quote = data.find(b'"', at)
        newline = (data.find if first else data.rfind)(b"\n", at, len(data) if quote < 0 else quote)
        end = newline + 1 if newline >= 0 else end
        if quote < 0 or (first and newline >= 0):
            return end, _OUTSIDE
        at = quote + 1
        if quote == record or data[quote - 1] in {_LINE_FEED, delimiter}:
            state = _INSIDE
    return end, state
