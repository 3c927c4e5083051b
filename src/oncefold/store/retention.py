"""The retention: how far back `history` and past totals reach."""

from datetime import timedelta
from typing import Literal

from oncefold.core.errors import StoreError
from oncefold.store.connection import Connection, transaction
from oncefold.store.schema import read_meta, write_meta

Retention = timedelta | Literal["forever"]
DEFAULT_RETENTION = timedelta(days=30)

_SECOND = timedelta(seconds=1)


def to_text(retention: Retention) -> str:
    """The form in the store's table `meta`: seconds, or `forever`. Raises StoreError for a negative time."""
    if isinstance(retention, str):
        return "forever"
    if retention < timedelta():
        raise StoreError(f"a retention of {retention} is negative; give a positive time, or forever")
    return str(retention // _SECOND)


def from_text(text: str) -> Retention:
    """The inverse of `to_text`."""
    return "forever" if text == "forever" else timedelta(seconds=int(text))


def horizon(retention: Retention, now: int) -> int | None:
    """The time in nanoseconds before which commits may be dropped, or None if all are kept."""
    return None if isinstance(retention, str) else now - (retention // _SECOND) * 10**9


def apply_retention(connection: Connection, wanted: Retention | None) -> Retention:
    """The retention in force: `wanted`, which is then stored, or without one the stored one."""
    kept = from_text(read_meta(connection)["retention"])
    if wanted is None or to_text(wanted) == to_text(kept):
        return kept
    with transaction(connection):
        write_meta(connection, retention=to_text(wanted))
    return wanted
