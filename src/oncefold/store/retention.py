"""How far back `history` and totals as of a past commit can be asked."""

from datetime import timedelta
from typing import Literal

from oncefold.core.errors import StoreError

Retention = timedelta | Literal["forever"]
DEFAULT_RETENTION = timedelta(days=30)

_SECOND = timedelta(seconds=1)


def to_text(retention: Retention) -> str:
    """The form in the store's table `meta`: seconds, or `forever`. Raises StoreError for a negative time."""
    if isinstance(retention, str):
        return "forever"
    if retention < timedelta():
        raise StoreError(f"a retention of {retention} lies in the past; give a positive time, or forever")
    return str(retention // _SECOND)


def from_text(text: str) -> Retention:
    """The inverse of `to_text`."""
    return "forever" if text == "forever" else timedelta(seconds=int(text))


def horizon(retention: Retention, now: int) -> int | None:
    """The time in nanoseconds before which nothing need be kept, or None if all must be."""
    return None if isinstance(retention, str) else now - (retention // _SECOND) * 10**9
