"""A decoded micro-batch in columns: what every decoder gives and the fold takes."""

from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from oncefold.commit import Reject

_Array = TypeVar("_Array", bound=npt.NDArray[Any])
UInt8s = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]
UInt32s = npt.NDArray[np.uint32]
Int64s = npt.NDArray[np.int64]

DELETE = -1
"""The place code of a delete."""

NOT_AN_EVENT = -2
"""The place code of a record that is blank or rejected; the fold passes over it."""

UNDECODED = -3
"""The place code of a record that only the scalar decoder can judge."""

NO_TIME = -(2**63)
"""The event time of an event without one."""


@dataclass(frozen=True, slots=True)
class Places:
    """Distinct leaves of one batch: entry i is data[offsets[i] : offsets[i + 1]].

    A leaf is written as its labels in the order of the pipeline's levels, each as its length in two bytes,
    little-endian, and its UTF-8 bytes.
    """

    data: UInt8s
    offsets: Int64s

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, slots=True)
class Batch:
    """n records in order of arrival. Key i is data[key_start[i] : key_start[i] + key_length[i]]."""

    data: UInt8s
    key_start: Int64s
    key_length: Int32s
    key_hash: UInt32s
    version: Int64s
    place: Int32s
    """Index into `places`, DELETE or NOT_AN_EVENT."""
    measures: Int64s
    """Shape (measures, n)."""
    where: Int64s | range
    """Byte offset or row number of each record in its source."""
    places: Places
    newest_time: int = NO_TIME
    rejects: list[Reject] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.version)


def read_only(array: _Array) -> _Array:
    """A view that cannot be written; numba compiles once for such arrays, whatever they were made of."""
    view: _Array = array.view()
    view.flags.writeable = False
    return view


def encode_leaf(labels: tuple[str, ...]) -> bytes:
    """A leaf as `Places` holds it."""
    parts = [label.encode() for label in labels]
    return b"".join(len(part).to_bytes(2, "little") + part for part in parts)


def places_of(leaves: list[bytes]) -> Places:
    """Encoded leaves as a column."""
    offsets = np.cumsum([0, *map(len, leaves)]).astype(np.int64)
    return Places(np.frombuffer(b"".join(leaves) + b"\0", np.uint8), offsets)


def decode_leaf(data: bytes) -> tuple[str, ...]:
    """The labels of an encoded leaf."""
    labels: list[str] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "little")
        labels.append(data[at + 2 : end].decode())
        at = end
    return tuple(labels)
