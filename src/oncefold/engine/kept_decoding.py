"""Kept events, read again: batches by the ordinary decoders, and which record each row of a batch came from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import pyarrow as pa

from oncefold.columnar.batch import Batch
from oncefold.columnar.primitives import Seed
from oncefold.columnar.table import TableDecoder
from oncefold.columnar.text import RecordDecoder, TextDecoder, csv_layout
from oncefold.commit import EventForm, Int64s, Reject
from oncefold.core.definition import Pipeline


@dataclass(frozen=True, slots=True)
class KeptBatch:
    """Some records of a segment as a batch without rejects."""

    batch: Batch
    record: Int64s
    """Of each row of the batch, the record it came from."""
    rejects: dict[int, Reject]
    """The records that cannot be read, by their numbers; their sources and positions are no others'."""


class KeptDecoder:
    """Decodes kept events for one pipeline."""

    def __init__(self, pipeline: Pipeline, seed: Seed) -> None:
        """Batches are to be folded with the same seed."""
        keeping = replace(pipeline, keep_events=True)  # so that a rejected row of a table has all its columns
        self._text = TextDecoder(pipeline, seed)
        self._table = TableDecoder(keeping, seed)
        self._records = RecordDecoder(pipeline, seed)

    def decode(self, form: EventForm, records: pa.RecordBatch) -> Iterator[KeptBatch]:
        """The batches of these records, which are of one form."""
        if form.format == "arrow":
            batch = self._table.decode(records, "", 0)
            yield _split(batch, np.asarray(batch.where, np.int64), np.arange(records.num_rows))
        elif form.format == "table":
            for index, raw in enumerate(records.column(0).to_pylist()):
                yield self._alone(form, index, raw)
        else:
            yield from self._lines(form, records.column(0).to_pylist())

    def _lines(self, form: EventForm, raws: list[bytes]) -> Iterator[KeptBatch]:
        starts = np.fromiter(accumulate((len(raw) + 1 for raw in raws), initial=0), np.int64, len(raws) + 1)[:-1]
        data = b"\n".join(raws) + b"\n"
        if form.format == "csv":
            delimiter, header = csv_layout(form.context)
            batch = self._text.csv(data, "", 0, header, delimiter)
        else:
            batch = self._text.json(data, "", 0)
        found = _split(batch, np.asarray(batch.where, np.int64), starts)
        if form.format != "item":
            yield found
            return
        # An item may hold what JSON has not, such as NaN, in a field that no definition reads.
        yield replace(found, rejects={})
        for index in found.rejects:
            yield self._alone(form, index, raws[index])

    def _alone(self, form: EventForm, index: int, raw: bytes) -> KeptBatch:
        batch = self._records.again(Reject("", index, "", raw, form.format, form.context, len(raw)))
        return _split(batch, np.full(len(batch), index), np.array([index]), first=index)


def _split(batch: Batch, where: Int64s, starts: Int64s, first: int = 0) -> KeptBatch:
    """The batch apart from its rejects; record `first` begins at the first of `starts`."""
    rejects = {first + int(np.searchsorted(starts, reject.position)): reject for reject in batch.rejects}
    record = first + np.searchsorted(starts, where)
    return KeptBatch(replace(batch, rejects=(), whole=None), record, rejects)
