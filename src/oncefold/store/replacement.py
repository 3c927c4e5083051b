"""What replaces a definition and all that was made under it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from oncefold.commit import CommitContent, UInt32s
from oncefold.core.definition import Pipeline
from oncefold.core.errors import StoreError
from oncefold.store import blobs, rows
from oncefold.store.compaction import FULL_ROWS
from oncefold.store.connection import Connection
from oncefold.store.events import NOBODY, EventTables
from oncefold.store.load import new_states, read_states
from oncefold.store.schema import read_meta
from oncefold.store.segments import changes_table
from oncefold.store.snapshots import SnapshotSchedule
from oncefold.store.verify import differences


@dataclass(frozen=True, slots=True)
class Replacement:
    """A definition, and a store's content under it."""

    pipeline: Pipeline
    content: CommitContent
    """All keys, leaves, nodes and totals, and the states of all rows as pages; no changes and no deltas. Its rejects
    and counts are those of making it."""
    segment: UInt32s
    """Of each row of the store so far, the segment of kept events whose entry is its state now; 0 for none."""
    row: UInt32s
    """The row of its key from now on."""

    def event_rows(self, tables: EventTables) -> Iterator[tuple[int, UInt32s]]:
        """Each segment of kept events with the rows of its entries from now on."""
        for number, *_ in tables.segments():
            before = tables.rows(number)
            known = np.minimum(before, len(self.row) - 1)
            lives = (before != NOBODY) & (self.segment[known] == number)
            yield number, np.where(lives, self.row[known], np.uint32(NOBODY)).astype(np.uint32)


def encode_keys(keys: pa.Array) -> list[tuple[int, pa.RecordBatch, tuple[int, pa.Buffer]]]:
    """The first row, the rows and the blob of each segment of keys."""
    found = []
    for first in range(0, len(keys), FULL_ROWS):
        batch = blobs.keys_batch(keys[first : first + FULL_ROWS])
        found.append((first, batch, blobs.encode(batch)))
    return found


def require_verified(connection: Connection, pipeline: Pipeline) -> None:
    """Recompute every total from the states, inside the caller's transaction. Raises StoreError for a difference."""
    values = pipeline.value_columns
    states = new_states(rows.read_ends(connection).rows, values)
    state_from = int(read_meta(connection)["state_from"])
    read_states(connection, changes_table(connection, values), states, state_from, SnapshotSchedule())
    _, wrong = differences(connection, pipeline, states)
    if wrong:
        first = wrong[0]
        raise StoreError(
            f"the new totals are not those of the new states ({len(wrong)} nodes, first {first.rollup} "
            f"{first.path or '(root)'}): a fault of Oncefold, report it; nothing has changed"
        )
