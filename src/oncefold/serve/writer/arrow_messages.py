"""The messages of an Arrow IPC stream, measured before pyarrow reads them: what they say they expand to is bounded.

A compressed buffer begins with its length as it is expanded, and pyarrow allocates what that says. The layout is that
of Message.fbs and RecordBatch in Arrow's columnar format, of which only lengths are read here.
"""

import struct
from collections.abc import Callable
from typing import Final

from oncefold.sources.compression import RawStream

MESSAGE_BYTES: Final = 24 * 2**20
"""Bytes of one record batch, or of one dictionary, as sent and also as expanded."""

MESSAGE_ROWS: Final = 2**21
"""Rows of one record batch: a column of nulls has no bytes at all."""

_CONTINUATION: Final = b"\xff\xff\xff\xff"
_DICTIONARY, _RECORDS = 2, 3
_OLD_COMPRESSION: Final = b"ARROW:experimental_compression"
_NOT_COMPRESSED: Final = -1
_LENGTH_BYTES: Final = 8


class Malformed(Exception):  # noqa: N818 - a state of the body, turned into a response further up
    """The body as a whole is not what it should be; the message says how."""


class ArrowMessages:
    """The little of a file that pyarrow wants of a stream. Raises Malformed for a message that is too large."""

    closed = False

    def __init__(self, raw: RawStream, hold: Callable[[int], None]) -> None:
        """`hold` is called with how many bytes a message takes before they are read, or expanded."""
        self._raw, self._hold = raw, hold
        self._message = memoryview(b"")

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        parts: list[memoryview] = []
        missing = size
        while missing > 0:
            if not self._message:
                self._message = memoryview(self._next())
                if not self._message:
                    break
            part, self._message = self._message[:missing], self._message[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is not."""
        return False

    def seekable(self) -> bool:
        """It is not."""
        return False

    def close(self) -> None:
        """Without effect: the body belongs to the request."""

    def _next(self) -> bytes:
        """The next message; what there is of it where the body breaks off, of which pyarrow says what is missing."""
        prefix = self._exactly(4)
        if prefix == _CONTINUATION:
            prefix += self._exactly(4)
        if len(prefix) not in {4, 8}:
            return prefix
        size = int.from_bytes(prefix[-4:], "little", signed=True)
        if not size:
            return prefix
        metadata = self._sized(size)
        if len(metadata) < size:
            return prefix + metadata
        try:
            length = _body_bytes(metadata)
            body = self._sized(length)
            if len(body) == length:
                self._require_fit(metadata, body)
        except struct.error:
            raise Malformed("the body is not an Arrow stream: the head of a message points outside of it") from None
        return b"".join((prefix, metadata, body))

    def _require_fit(self, metadata: bytes, body: bytes) -> None:
        rows, expanded = _declared(metadata, body)
        if not 0 <= rows <= MESSAGE_ROWS:
            raise Malformed(
                f"a record batch of the body says that it has {rows:,} rows, and {MESSAGE_ROWS:,} are taken at a time; "
                "write the table in smaller batches"
            )
        if expanded > MESSAGE_BYTES:
            raise _too_large(expanded, ", expanded,")
        self._hold(expanded)

    def _sized(self, size: int) -> bytes:
        if not 0 <= size <= MESSAGE_BYTES:
            raise _too_large(size, "")
        self._hold(size)
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        """So many bytes, fewer at the end of the body."""
        data = memoryview(bytearray(size))
        done = 0
        while done < size and (count := self._raw.readinto(data[done:])):
            done += count
        return bytes(data[:done])


def _too_large(size: int, how: str) -> Malformed:
    return Malformed(
        f"the body is not an Arrow stream, or one of its record batches has{how} {size:,} bytes, which is more than "
        f"{MESSAGE_BYTES:,}; write the table in smaller batches"
    )


class _FlatbufferTable:
    """A flatbuffer table. Raises struct.error where it points outside of its bytes."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._names = at - _number("<i", data, at)
        self._end = _number("<H", data, self._names)

    def field(self, number: int) -> int:
        """Where a field is; 0 if it is not there."""
        entry = 4 + 2 * number
        offset = _number("<H", self._data, self._names + entry) if entry + 2 <= self._end else 0
        return self._at + offset if offset else 0

    def integer(self, number: int, form: str) -> int:
        """The value of a field, 0 if it is not there."""
        at = self.field(number)
        return _number(form, self._data, at) if at else 0

    def target(self, number: int) -> int:
        """Where that is what a field points to. Raises struct.error if the field is not there."""
        at = self.field(number)
        if not at:
            raise struct.error(f"no field {number}")
        return at + _number("<I", self._data, at)

    def table(self, number: int) -> "_FlatbufferTable":
        """The table that a field points to."""
        return _FlatbufferTable(self._data, self.target(number))


def _number(form: str, data: bytes, at: int) -> int:
    if at < 0:
        raise struct.error("before the beginning")
    value: int = struct.unpack_from(form, data, at)[0]
    return value


def _message(metadata: bytes) -> _FlatbufferTable:
    return _FlatbufferTable(metadata, _number("<I", metadata, 0))


def _body_bytes(metadata: bytes) -> int:
    return _message(metadata).integer(3, "<q")


def _declared(metadata: bytes, body: bytes) -> tuple[int, int]:
    """Rows of a record batch or dictionary, and the bytes that its buffers say they have once they are expanded."""
    message = _message(metadata)
    kind = message.integer(1, "<B")
    if kind not in {_DICTIONARY, _RECORDS}:
        return 0, 0
    if _OLD_COMPRESSION in metadata:
        raise Malformed("the body is an Arrow stream compressed as Arrow 0.17 did it; write it with a newer version")
    batch = message.table(2) if kind == _RECORDS else message.table(2).table(1)
    rows = batch.integer(0, "<q")
    if not batch.field(3):
        return rows, len(body)
    vector = batch.target(2)
    count = _number("<I", metadata, vector)
    return rows, sum(_expanded(metadata, vector + 4 + 16 * index, body) for index in range(count))


def _expanded(metadata: bytes, at: int, body: bytes) -> int:
    offset, length = _number("<q", metadata, at), _number("<q", metadata, at + 8)
    if length < _LENGTH_BYTES:
        return 0
    declared = _number("<q", body, offset)
    if declared < _NOT_COMPRESSED:
        raise struct.error("less than nothing")
    return length - _LENGTH_BYTES if declared == _NOT_COMPRESSED else declared
