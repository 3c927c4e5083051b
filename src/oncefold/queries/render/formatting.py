"""Numbers, times and texts as a person reads them on a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncefold.core.nodepath import escape

if TYPE_CHECKING:
    from datetime import timedelta
    from decimal import Decimal

    from oncefold.queries.model import Commit, KeyValue

_BYTES_STEP = 1024
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def number(value: Decimal | int) -> str:
    """Every digit, with thousands separators."""
    whole, point, fraction = f"{value:f}".partition(".") if not isinstance(value, int) else (str(value), "", "")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.removeprefix('-')):,}{point}{fraction}"


def amount(value: KeyValue) -> str:
    """What a node or key has of a measure; a dash for NULL."""
    if value is None:
        return "-"
    return printable(value) if isinstance(value, str) else number(value)


def many(count: int, noun: str) -> str:
    """A number of things: `1 key`, `2,000 keys`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(count: int) -> str:
    """Bytes in the unit that suits them."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < _BYTES_STEP:
            break
        amount, unit = amount / _BYTES_STEP, larger
    return f"{count:,} B" if unit == "B" else f"{amount:,.1f} {unit}"


def span(length: timedelta) -> str:
    """A length of time in its two largest units."""
    seconds = abs(length).total_seconds()
    if seconds < _SPANS[-1][0]:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + " s"
    left = int(seconds)
    parts: list[str] = []
    for step, unit in (*_SPANS, (1, "s")):
        if left >= step and len(parts) < 2:
            parts.append(f"{left // step:,} {unit}")
            left %= step
        elif parts:
            break
    return " ".join(parts)


def commit(at: Commit) -> str:
    """A commit's number and time."""
    if not at.number:
        return "the empty store, before the first commit"
    return f"commit {at.number:,}" + (f", {at.time_text}" if at.time_text else "")


def node(path: str) -> str:
    """A node's path; the root has a name here."""
    return printable(path) if path else "(root)"


def label(text: str) -> str:
    """A label as it is written in a path."""
    return printable(escape(text))


def printable(text: str) -> str:
    """Nothing in the data may steer the terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def piece(raw: bytes, longest: int) -> str:
    """Bytes as one printable line; longer ones are cut."""
    text = printable(raw[: 4 * longest].decode("utf-8", "backslashreplace"))
    return text if len(text) <= longest and len(raw) <= 4 * longest else text[: longest - 1] + "…"
