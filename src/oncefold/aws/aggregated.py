"""Records that the Kinesis Producer Library put together from several, and the user records in them. Pure.

Format: "KPL Aggregated Record Format" (`aggregation-format.md` of awslabs/amazon-kinesis-producer): four bytes that no
UTF-8 text begins with, a protobuf message, and its MD5. Of the message only the records' data is used:

    message AggregatedRecord { repeated string partition_key_table = 1; repeated string explicit_hash_key_table = 2;
                               repeated Record records = 3; }
    message Record { required uint64 partition_key_index = 1; optional uint64 explicit_hash_key_index = 2;
                     required bytes data = 3; repeated Tag tags = 4; }

To which shard a user record belongs after a split does not matter here: an event counts once wherever it comes.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from oncefold.core.errors import InvalidEvent

MAGIC: Final = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES: Final = 16

_RECORDS: Final = 3
"""Field of AggregatedRecord."""
_DATA: Final = 3
"""Field of Record."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types ("Encoding", protobuf.dev); groups, which only proto2's first years had, are not read."""
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_VARINT_BITS: Final = 64

Field = tuple[int, int, int, int]
"""A field's number and wire type, and where its bytes begin and end."""


def is_aggregated(data: bytes) -> bool:
    """Whether a record says that it was put together from several."""
    return data.startswith(MAGIC)


def user_records(data: bytes) -> list[bytes]:
    """The data of each user record, in their order; a record that is not aggregated is its own only one.

    Raises InvalidEvent, with the reason in words, for one whose checksum or message is wrong: nothing of it is used.
    """
    if not is_aggregated(data):
        return [data]
    end = len(data) - _DIGEST_BYTES
    if end < len(MAGIC) or hashlib.md5(data[len(MAGIC) : end], usedforsecurity=False).digest() != data[end:]:
        raise InvalidEvent(f"{_WHAT}, and its checksum is wrong: it was changed on its way")
    try:
        return [_data(data, first, last) for first, last in _messages(data, len(MAGIC), end)]
    except ValueError as error:
        raise InvalidEvent(f"{_WHAT}, and its message cannot be read: {error}") from None


_WHAT = "the record begins as one that the Kinesis Producer Library put together from several"


def _messages(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the messages of the user records begin and end."""
    for number, wire, first, last in _fields(data, start, end):
        if number == _RECORDS:
            if wire != _BYTES:
                raise ValueError("its records are no messages")
            yield first, last


def _data(data: bytes, start: int, end: int) -> bytes:
    """The data of one user record."""
    found: bytes | None = None
    for number, wire, first, last in _fields(data, start, end):
        if number == _DATA:
            if wire != _BYTES:
                raise ValueError("a record's data are no bytes")
            found = data[first:last]  # of a field that comes twice the last counts
    if found is None:
        raise ValueError("a record has no data")
    return found


def _fields(data: bytes, at: int, end: int) -> Iterator[Field]:
    """The fields of a message. Raises ValueError where its bytes are none."""
    while at < end:
        tag, at = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("a field has the number 0")
        if wire == _BYTES:
            size, at = _varint(data, at, end)
        elif wire == _VARINT:
            _, after = _varint(data, at, end)
            size = after - at
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise ValueError(f"a field has the wire type {wire}")
        if size > end - at:
            raise ValueError("a field goes on beyond its message")
        yield number, wire, at, at + size
        at += size


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A whole number of 64 bits, seven bits a byte, the lowest first; and where it ends."""
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**_VARINT_BITS - 1), at
        shift += 7
        if shift >= _VARINT_BITS:
            raise ValueError("a number has more than ten bytes")
    raise ValueError("a number goes on beyond its message")
