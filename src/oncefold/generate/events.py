"""Events as columns, and the latest state of every key as two flat arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oncefold.generate.mixing import Ints

Bools = NDArray[np.bool_]
Codes = NDArray[np.int8]


class Kind(IntEnum):
    """Why an event was planned. Up to `DELETE`, it carries the greatest version of its key so far."""

    KEY = 0
    MODIFICATION = 1
    DELETE = 2
    OUT_OF_ORDER = 3
    DUPLICATE = 4


class Outcome(IntEnum):
    """How a reader that takes the events in order must see an event."""

    ACCEPTED = 0
    DUPLICATE = 1
    STALE = 2


@dataclass(frozen=True, slots=True)
class Events:
    """Consecutive events of one stream, a column for each property."""

    key: Ints
    """Ordinal of the key, from 0 in order of first arrival."""
    version: Ints
    leaf: Ints
    cents: Ints
    ticks: Ints
    """Event time in ten-thousandths of a second since 1970."""
    deleted: Bools
    moved: Bools
    """Whether a modification also goes to another leaf."""
    kind: Codes
    outcome: Codes

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.key)

    def part(self, first: int, last: int) -> Events:
        """Return the events from `first` up to but not including `last`, without copying."""
        return Events(*(getattr(self, f.name)[first:last] for f in fields(self)))

    def parts(self, size: int) -> Iterator[Events]:
        """Yield all events in order, at most `size` at a time."""
        for first in range(0, len(self), size):
            yield self.part(first, first + size)


class Latest:
    """The greatest version and the leaf of every key so far: 8 bytes for each key."""

    def __init__(self) -> None:
        self.keys = 0
        self.version: NDArray[np.int32] = np.zeros(1024, dtype=np.int32)
        self.leaf: NDArray[np.int32] = np.zeros(1024, dtype=np.int32)

    def extend(self, keys: int) -> None:
        """Make room for the keys 0 to `keys` - 1; a new key has version 0 and leaf 0."""
        self.keys = max(self.keys, keys)
        if self.keys > len(self.version):
            more = max(self.keys, 2 * len(self.version)) - len(self.version)
            self.version = np.concatenate((self.version, np.zeros(more, dtype=np.int32)))
            self.leaf = np.concatenate((self.leaf, np.zeros(more, dtype=np.int32)))

    def put(self, key: Ints, version: Ints, leaf: Ints) -> None:
        """Set keys, in order: of two entries with one key, the later one stays."""
        self.version[key] = version
        self.leaf[key] = leaf
