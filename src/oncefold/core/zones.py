"""IANA time zones as tables of transitions, so that scalar and columnar code shift times by the same numbers.

The rules are those of the tz database that `zoneinfo` finds. Lambda packages carry the files of the zones that their
definition names.
"""

import struct
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_SECOND, LAST_SECOND = -9_223_372_800, 9_223_372_800
"""Seconds since 1970 around everything that 64 bits of nanoseconds hold: 1677 to 2262."""
_RULE_STEP = 28 * 86_400
"""Beyond the listed transitions a rule repeats each year (RFC 9636, section 3.3), and none changes twice in 4 weeks."""
_HEADER = struct.Struct(">4s c 15x 6l")


@dataclass(frozen=True)
class Zone:
    """A zone: from switches[i] on, seconds since 1970, its offset is offsets[i], seconds east of UTC."""

    name: str
    switches: tuple[int, ...]
    """Ascending; the first is before every time that can be read."""
    offsets: tuple[int, ...]

    @property
    def local_switches(self) -> tuple[int, ...]:
        """The local second from which offsets[i] holds.

        A time that the clock shows twice is the first of the two; one that it skips has the offset from before.
        """
        earlier = (self.offsets[0], *self.offsets)
        return tuple(
            at + max(before, after) for at, before, after in zip(self.switches, earlier, self.offsets, strict=False)
        )

    def index(self, second: int) -> int:
        """Which of the offsets holds at a second since 1970."""
        return bisect_right(self.switches, second) - 1

    def offset(self, second: int) -> int:
        """The offset at a second since 1970."""
        return self.offsets[self.index(second)]

    def offset_of_local(self, second: int) -> int:
        """The offset of a local time, in seconds of the local clock since 1970."""
        return self.offsets[max(0, bisect_right(_local_switches(self), second) - 1)]


@cache
def _local_switches(zone: Zone) -> tuple[int, ...]:
    return zone.local_switches


@cache
def zone_of(name: str) -> Zone:
    """The zone of an IANA name. Raises ValueError if there is none."""
    import zoneinfo  # noqa: PLC0415 - few definitions name a zone

    try:
        rules = zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone of the IANA database") from None
    switches = [FIRST_SECOND]
    offsets = [_offset(rules, FIRST_SECOND)]
    listed = sorted({at for at in _listed(zone_file(name)) if FIRST_SECOND < at < LAST_SECOND})
    last = listed[-1] if listed else FIRST_SECOND
    ruled = range(last, LAST_SECOND, _RULE_STEP)
    for at in listed:
        _note(switches, offsets, at, _offset(rules, at))
    for before, after in pairwise(ruled):
        if _offset(rules, after) != offsets[-1]:
            at = _change(rules, before, after)
            _note(switches, offsets, at, _offset(rules, at))
    return Zone(name, tuple(switches), tuple(offsets))


def zone_file(name: str) -> bytes:
    """The file of a zone in the tz database (TZif, RFC 9636). Raises ValueError if there is none."""
    import zoneinfo  # noqa: PLC0415
    from importlib import resources  # noqa: PLC0415

    for root in zoneinfo.TZPATH:
        path = Path(root, name)
        if path.is_file():
            return path.read_bytes()
    try:
        return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    except (OSError, ImportError):
        raise ValueError(f"the file of the time zone {name!r} is not found") from None


def _listed(file: bytes) -> tuple[int, ...]:
    """The transitions that a TZif file lists, in its block of 64-bit times where it has one."""
    at, size = 0, 4
    magic, version, *counts = _HEADER.unpack_from(file, at)
    if magic != b"TZif":
        raise ValueError("not a file of the tz database")
    at += _HEADER.size
    if version != b"\0":
        utc, standard, leaps, times, types, letters = counts
        at += times * 5 + types * 6 + letters + leaps * 8 + standard + utc
        _, _, *counts = _HEADER.unpack_from(file, at)
        at, size = at + _HEADER.size, 8
    times = counts[3]
    return struct.unpack_from(f">{times}{'q' if size == 8 else 'l'}", file, at)


def _note(switches: list[int], offsets: list[int], at: int, offset: int) -> None:
    if offset != offsets[-1]:
        switches.append(at)
        offsets.append(offset)


def _change(rules: "ZoneInfo", before: int, after: int) -> int:
    """The second at which the offset changes; it does so once between the two."""
    old = _offset(rules, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(rules, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(rules: "ZoneInfo", second: int) -> int:
    offset = (_EPOCH + timedelta(seconds=second)).astimezone(rules).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)
