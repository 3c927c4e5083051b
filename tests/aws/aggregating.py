"""Aggregated records, written as the documentation of the Kinesis Producer Library says."""

import hashlib

from oncefold.aws.aggregated import MAGIC


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(field_number: int, value: int) -> bytes:
    """A field of a whole number."""
    return varint(field_number << 3) + varint(value)


def sealed(message: bytes) -> bytes:
    """A message between its magic number and its checksum."""
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


def aggregated(*data: bytes) -> bytes:
    """A record of these user records, all under one partition key."""
    records = (field(3, number(1, 0) + field(3, each)) for each in data)
    return sealed(field(1, b"key") + b"".join(records))
