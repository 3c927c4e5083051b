"""Versions as integers that compare as the versions do: of 64 bits, or of 128 for the wide types.

| type | text | integer |
|---|---|---|
| integer | `42` | itself, within 64 bits |
| timestamp | `2021-03-22T11:00:58Z` | nanoseconds since the epoch, within 64 bits |
| lsn | `0/16B3748` (PostgreSQL) | both halves together, within 64 bits |
| decimal | `1629813621680097993.0000000001` | its digits at its scale, up to 38 |
| ulid | `01ARZ3NDEKTSV4RRFFQ69G5FAV` | its 128 bits, less 2**127 |
| uuidv7 | `018f3c2e-7b00-7000-8000-000000000001` | its 128 bits, less 2**127 |
| binlog | `mysql-bin.000003:154` | the file's number x 2**64 + the position |
| text | up to 16 bytes | the bytes and zeros after them, less 2**127 |
| a list | one of integer, decimal, timestamp, lsn each | the parts side by side, less 2**127 |
"""

import re
from collections.abc import Callable

from oncefold.core.decimals import format_decimal, parse_decimal, shown
from oncefold.core.definition import Version, share_bits
from oncefold.core.limits import DECIMAL_VERSION_DIGITS, VERSION_MAX, VERSION_TEXT_BYTES
from oncefold.core.timestamps import format_timestamp, parse_timestamp
from oncefold.core.zones import zone_of

HALF = 2**127
"""What an unsigned integer of 128 bits is less, so that signed ones compare as it does."""
_WORD = 2**64
_SIGN = 2**63

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(rf"[0-7][{_CROCKFORD}]{{25}}", re.ASCII | re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_LSN = re.compile(r"([0-9A-F]{1,8})/([0-9A-F]{1,8})", re.ASCII | re.IGNORECASE)
_BINLOG = re.compile(r"(?:[^:\0]*\.)?([0-9]{1,18}):([0-9]{1,19})", re.ASCII)
_TIME_VARIANT_7 = "7"
NUMBER_TYPES = frozenset({"integer", "timestamp", "decimal"})
"""Types whose versions may be numbers; the others are text alone."""


def read_version(version: Version, text: str) -> int:
    """The integer of one version, not a list, from its text. Raises ValueError with the reason."""
    if version.type == "timestamp":
        zone = None if version.timezone is None else zone_of(version.timezone)
        return parse_timestamp(text, version.unit, zone) if version.format is None else version.format.read(text, zone)
    if version.type == "decimal":
        return parse_decimal(text, version.scale, 10**DECIMAL_VERSION_DIGITS)
    if version.type != "integer":
        return _READERS[version.type](text)
    try:
        return parse_decimal(text, 0, VERSION_MAX)
    except ValueError as error:
        raise ValueError(f"{error}; a version is a whole number{_hint(text, str(error))}") from None


def join_parts(version: Version, parts: list[int]) -> int:
    """The integer of a list of versions. Raises ValueError for a part that its bits cannot hold."""
    joined = 0
    for part, bits, value in zip(version.parts, share_bits(version), parts, strict=True):
        number = value + (_SIGN if part.type == "timestamp" else 0)
        if not 0 <= number < 2**bits:
            hint = "a part of a list is not negative" if number < 0 else f"give it more bits than {bits}"
            raise ValueError(f"field {part.field}: {value} is out of range; {hint}")
        joined = (joined << bits) | number
    return joined - HALF


def write_version(version: Version, value: int) -> str:
    """The text of a version."""
    if not version.then:
        return _write_one(version, value)
    value += HALF
    texts: list[str] = []
    for part, bits in zip(reversed(version.parts), reversed(share_bits(version)), strict=True):
        part_value = value % 2**bits - (_SIGN if part.type == "timestamp" else 0)
        texts.insert(0, _write_one(part, part_value))
        value >>= bits
    return ",".join(texts)


def split_words(value: int) -> tuple[int, int]:
    """A version of 128 bits as two signed integers of 64 bits, compared one after the other."""
    return value >> 64, value % _WORD - _SIGN


def join_words(high: int, low: int) -> int:
    """The inverse of `split_words`."""
    return high * _WORD + low + _SIGN


_SORTABLE_DIGITS = 32


def sortable(version: int) -> str:
    """A version of 128 bits as text that sorts as it does: 32 hexadecimal digits."""
    return f"{version + HALF:032x}"


def from_sortable(text: str) -> int:
    """The inverse of `sortable`. Raises ValueError."""
    if len(text) != _SORTABLE_DIGITS:
        raise ValueError(f"{text!r} is not a version of {_SORTABLE_DIGITS} hexadecimal digits")
    return int(text, 16) - HALF


def _write_one(version: Version, value: int) -> str:
    if version.type == "decimal":
        return format_decimal(value, version.scale)
    return _WRITERS[version.type](value)


def _write_ulid(value: int) -> str:
    return "".join(_CROCKFORD[(value + HALF) >> shift & 31] for shift in range(125, -1, -5))


def _write_uuid(value: int) -> str:
    digits = f"{value + HALF:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _write_text(value: int) -> str:
    return (value + HALF).to_bytes(VERSION_TEXT_BYTES, "big").rstrip(b"\0").decode()


def _hint(text: str, reason: str) -> str:
    if "out of range" in reason:
        return f'; type = "decimal" holds {DECIMAL_VERSION_DIGITS} digits'
    if "not a number" not in reason:
        return '; type = "decimal" has decimal places' if "decimal places" in reason else ""
    likely = next((name for name, reader in _READERS.items() if name != "text" and _reads(reader, text)), None)
    return f'; for times write type = "timestamp"{f", for this text {chr(34)}{likely}{chr(34)}" if likely else ""}'


def _reads(reader: Callable[[str], int], text: str) -> bool:
    try:
        reader(text)
    except ValueError:
        return False
    return True


def _ulid(text: str) -> int:
    if _ULID.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} is not a ULID, which is 26 letters and digits")
    value = 0
    for letter in text.upper():
        value = value << 5 | _CROCKFORD.index(letter)
    return value - HALF


def _uuidv7(text: str) -> int:
    match = _UUID.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a UUID")
    if match[1] != _TIME_VARIANT_7:
        raise ValueError(f"{shown(text)} is a UUID of version {match[1]}, not 7: it does not sort by time")
    return int(text.replace("-", ""), 16) - HALF


def _lsn(text: str) -> int:
    match = _LSN.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a log sequence number such as 0/16B3748")
    value = int(match[1], 16) << 32 | int(match[2], 16)
    if value >= VERSION_MAX:
        raise ValueError(f"{shown(text)} is out of range: it must lie below 7FFFFFFF/FFFFFFFF")
    return value


def _binlog(text: str) -> int:
    match = _BINLOG.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a binlog position such as mysql-bin.000003:154")
    return int(match[1]) * _WORD + int(match[2])


def _text(text: str) -> int:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise ValueError("the text holds half of a surrogate pair, which no UTF-8 text can") from None
    if len(raw) > VERSION_TEXT_BYTES:
        raise ValueError(f"{shown(text)} is longer than the {VERSION_TEXT_BYTES} bytes of a version")
    if b"\0" in raw:
        raise ValueError(f"{shown(text)} holds a NUL, which no version may")
    return int.from_bytes(raw.ljust(VERSION_TEXT_BYTES, b"\0"), "big") - HALF


_READERS = {"ulid": _ulid, "uuidv7": _uuidv7, "lsn": _lsn, "binlog": _binlog, "text": _text}
_WRITERS: dict[str, Callable[[int], str]] = {
    "integer": str,
    "timestamp": format_timestamp,
    "lsn": lambda value: f"{value >> 32:X}/{value & 0xFFFFFFFF:X}",
    "binlog": lambda value: f"{value >> 64:06d}:{value % _WORD}",
    "ulid": _write_ulid,
    "uuidv7": _write_uuid,
    "text": _write_text,
}
