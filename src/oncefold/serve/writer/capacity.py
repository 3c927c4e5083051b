"""Whether a store may still grow: limits on keys, nodes and bytes, off by default.

They are looked at after every fold and every commit, so that what is under way may exceed them by what it brings.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from oncefold.serve.settings import Settings

_FILES: Final = ("", "-wal")


class Size(Protocol):
    """How much is in memory of a store."""

    @property
    def keys(self) -> int:
        """Keys that ever arrived."""
        ...

    @property
    def nodes(self) -> int:
        """Nodes of all rollups."""
        ...


@dataclass(frozen=True, slots=True)
class CapacityLimits:
    """The most of each; None is no limit."""

    keys: int | None = None
    nodes: int | None = None
    store_bytes: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> "CapacityLimits":
        """Those of a server."""
        return cls(settings.max_keys, settings.max_nodes, settings.max_store_bytes)


class Capacity:
    """The ingest thread looks, any thread reads."""

    def __init__(self, limits: CapacityLimits, store: Path, report: Callable[[str], object] = lambda _: None) -> None:
        """`report` is called with the reason when the store has become full, and with nothing when it is so no more."""
        self._limits, self._store, self._report = limits, store, report
        self.is_limited = limits != CapacityLimits()
        """Whether there is anything to look at."""
        self.full = ""
        """Why no more events are taken; empty while they are."""

    def look(self, size: Size) -> None:
        """Compare what is in memory, and the files, with the limits."""
        full = self._found(size)
        if full != self.full:
            self.full = full
            self._report(full)

    def _found(self, size: Size) -> str:
        limits = self._limits
        if limits.keys is not None and size.keys >= limits.keys:
            return f"the store has --max-keys {limits.keys:,} keys"
        if limits.nodes is not None and size.nodes >= limits.nodes:
            return f"the store has --max-nodes {limits.nodes:,} nodes"
        if limits.store_bytes is not None and self._bytes() >= limits.store_bytes:
            return f"the store has --max-store-bytes {limits.store_bytes:,} bytes"
        return ""

    def _bytes(self) -> int:
        found = 0
        for end in _FILES:
            with suppress(OSError):
                found += self._store.with_name(self._store.name + end).stat().st_size
        return found
