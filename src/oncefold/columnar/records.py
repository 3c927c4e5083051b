"""Single records to batches: Python mappings, and rejects that are read again. The scalar decoder does it all."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from oncefold.columnar.batch import Batch
from oncefold.columnar.building import Columns
from oncefold.commit import Reject
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import Event


class RecordDecoder:
    """Decodes records one by one."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._scalar = Decoder(pipeline)
        self._measures = len(pipeline.measures)

    def mappings(self, records: Sequence[Mapping[str, Any]], source: str) -> Batch:
        """Python mappings, nested as the paths are; whatever else stands among them is rejected."""

        def event(row: int) -> Event:
            if not isinstance(records[row], Mapping):
                raise InvalidEvent(f"{type(records[row]).__name__} is not a mapping of names to values")
            return self._scalar.record(records[row])

        def refusal(row: int, reason: str) -> Reject:
            raw = json.dumps(records[row], default=str, ensure_ascii=False).encode("utf-8", "surrogatepass")
            return Reject(source, row, reason, raw, "json", size=len(raw))

        return self._batch(len(records), 0, event, refusal)

    def row(self, raw: bytes, source: str, position: int) -> Batch:
        """A rejected row of a table, kept as JSON with its columns' names."""

        def refusal(_: int, reason: str) -> Reject:
            return Reject(source, position, reason, raw, "table", size=len(raw))

        return self._batch(1, position, lambda _: self._scalar.flat(json.loads(raw)), refusal)

    def _batch(
        self, rows: int, first: int, event: Callable[[int], Event], refusal: Callable[[int, str], Reject]
    ) -> Batch:
        columns = Columns(rows, self._measures, np.zeros(8, np.uint8))
        columns.where = range(first, first + rows)
        return columns.finish(event, refusal)
