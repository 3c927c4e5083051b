"""The kept events: of each key the newest whole one, in compressed segments of which only the newest rows survive.

A segment is a row of `events` with the records, and one of `event_rows` with the row of the key of each; its number
says its age. Of the entries of a row that of the greatest number counts, and the others are dead. A segment without
live entries is dropped. Segments that are small, or half dead, are merged: their live entries go into a new segment.
So the file holds at most about twice the newest events, and in the long run each of them is rewritten once for every
one that is added.

The numbers of the rows are apart from the records, so that a store is opened, and its rows are renumbered, without
reading a record.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oncefold.commit import EventForm, Int64s, UInt32s, WholeEvents
from oncefold.store import blobs
from oncefold.store.connection import Connection, insert, scalar, transaction
from oncefold.store.errors import DamagedError

NOBODY = 2**32 - 1
"""The row of an entry that counts for no key: its event was rejected by a later definition."""

SEGMENT_ROWS = 2**16
RECORD_BYTES = 2**24
"""A segment is cut at so many rows, or so many bytes of records."""

SEGMENT_BYTES = 2**22
"""It is full with so many rows, or as a blob of so many bytes."""

FAN_OUT = 32
"""So many segments of one size are merged, though they are not full together."""

REWRITTEN_PER_ROW = 2
"""Rows that are rewritten for each that was added, at most, or one merge: no commit waits long for the one before."""

ROWS = pa.schema([pa.field("row", pa.uint32(), nullable=False)])
_ZSTD = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1))
_TEXTS = ("binary", "large_binary")

TABLES = """
CREATE TABLE forms(id INTEGER PRIMARY KEY, format TEXT NOT NULL, context TEXT NOT NULL) STRICT;
CREATE TABLE events(
    segment INTEGER PRIMARY KEY, form INTEGER NOT NULL REFERENCES forms, n INTEGER NOT NULL,
    crc32 INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
CREATE TABLE event_rows(
    segment INTEGER PRIMARY KEY, n INTEGER NOT NULL, crc32 INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
"""

Compress = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""Applies a function to each, perhaps side by side."""


@dataclass(frozen=True, slots=True)
class EncodedEvents:
    """A segment that is not written yet."""

    form: EventForm
    row: UInt32s
    rows_blob: tuple[int, pa.Buffer]
    blob: tuple[int, pa.Buffer]


@dataclass(slots=True)
class EventSegment:
    """A segment: its form, how many entries it has, how many of them live, and its size."""

    number: int
    form: int
    rows: int
    live: int
    size: int
    """Bytes of its blob."""

    @property
    def weight(self) -> float:
        """How much of a full segment its live entries are."""
        return self.live * max(1 / SEGMENT_ROWS, self.size / (SEGMENT_BYTES * self.rows))

    @property
    def is_half_dead(self) -> bool:
        """Whether at most half of its entries live."""
        return 2 * self.live <= self.rows

    @property
    def is_candidate(self) -> bool:
        """Whether it is worth merging, or dropping."""
        return self.is_half_dead or 2 * self.weight <= 1


def _encoded_records(records: pa.RecordBatch) -> tuple[int, pa.Buffer]:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, records.schema, options=_ZSTD) as writer:
        writer.write_batch(records)
    blob = sink.getvalue()
    return zlib.crc32(blob), blob


def _encoded(part: WholeEvents) -> EncodedEvents:
    rows = pa.record_batch([blobs.array(part.row)], schema=ROWS)
    return EncodedEvents(part.form, part.row, blobs.encode(rows), _encoded_records(part.records))


def newest_of_each(parts: Sequence[WholeEvents], rows: int) -> list[WholeEvents]:
    """The same without those that a later one of the same row replaces; `rows` are all there are."""
    if not parts:
        return []
    row = np.concatenate([part.row for part in parts])
    order = np.arange(len(row), dtype=np.int64)
    last = np.full(rows, -1, np.int64)
    np.maximum.at(last, row, order)
    newest = last[row] == order
    found, start = [], 0
    for part in parts:
        mask = newest[start : start + len(part.row)]
        start += len(mask)
        found.append(part if mask.all() else _masked(part, mask))
    return [part for part in found if len(part.row)]


def _masked(part: WholeEvents, mask: npt.NDArray[np.bool_]) -> WholeEvents:
    kept = np.flatnonzero(mask)
    return WholeEvents(part.row[kept], part.form, part.records.take(pa.array(kept)))


def _chunks(parts: Iterable[WholeEvents]) -> Iterator[WholeEvents]:
    """Neighbours of one form together, in segments that are full at most."""
    waiting: list[WholeEvents] = []
    for part in parts:
        if waiting and (waiting[0].form != part.form or sum(len(w.row) for w in waiting) >= SEGMENT_ROWS):
            yield from _cut(_joined(waiting))
            waiting = []
        waiting.append(part)
    if waiting:
        yield from _cut(_joined(waiting))


def _cut(part: WholeEvents) -> Iterator[WholeEvents]:
    size = max(1, part.records.nbytes)
    step = max(1, min(SEGMENT_ROWS, len(part.row) * RECORD_BYTES // size))
    for start in range(0, len(part.row), step):
        yield WholeEvents(part.row[start : start + step], part.form, part.records.slice(start, step))


def _joined(parts: Sequence[WholeEvents]) -> WholeEvents:
    if len(parts) == 1:
        return parts[0]
    table = pa.Table.from_batches([part.records for part in parts]).combine_chunks()
    (records,) = table.to_batches()
    return WholeEvents(np.concatenate([part.row for part in parts]), parts[0].form, records)


def encode_events(parts: Sequence[WholeEvents], rows: int, side_by_side: Compress = map) -> list[EncodedEvents]:
    """The segments of a commit, after which there are so many rows."""
    return list(side_by_side(_encoded, list(_chunks(newest_of_each(parts, rows)))))


class EventTables:
    """The tables of kept events, read and written segment by segment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        found = connection.execute("SELECT id, format, context FROM forms").fetchall()
        self._forms: dict[int, EventForm] = {id_: EventForm(format_, context) for id_, format_, context in found}

    def form(self, id_: int) -> EventForm:
        """A form. Raises DamagedError if there is none of this id."""
        if id_ not in self._forms:
            found = self._connection.execute("SELECT format, context FROM forms WHERE id = ?", (id_,)).fetchone()
            if found is None:
                raise DamagedError(f"forms: row {id_} is missing")
            self._forms[id_] = EventForm(*found)
        return self._forms[id_]

    def form_id(self, form: EventForm) -> int:
        """The id of a form, which is added if it is new, inside the caller's transaction."""
        for id_, known in self._forms.items():
            if known == form:
                return id_
        id_ = int(scalar(self._connection, "SELECT ifnull(max(id), 0) + 1 FROM forms"))
        insert(self._connection, "forms", ([id_], [form.format], [form.context]))
        self._forms[id_] = form
        return id_

    def segments(self, after: int = 0) -> list[tuple[int, int, int, int]]:
        """(number, form, rows, bytes) of every segment after this number, in order."""
        sql = "SELECT segment, form, n, length(blob) FROM events WHERE segment > ? ORDER BY segment"
        return list(self._connection.execute(sql, (after,)).fetchall())

    def rows(self, number: int) -> UInt32s:
        """The row of each entry of a segment. Raises DamagedError."""
        sql = "SELECT n, crc32, blob FROM event_rows WHERE segment = ?"
        found = self._connection.execute(sql, (number,)).fetchone()
        if found is None:
            raise DamagedError(f"event_rows: those of segment {number} are missing")
        n, crc32, blob = found
        (row,) = blobs.columns(blobs.decode(ROWS, n, crc32, blob, f"event_rows {number}"))
        return row

    def records(self, number: int) -> pa.RecordBatch:
        """The records of a segment. Raises DamagedError."""
        sql = "SELECT n, crc32, blob FROM events WHERE segment = ?"
        found = self._connection.execute(sql, (number,)).fetchone()
        if found is None:
            raise DamagedError(f"events: segment {number} is missing")
        rows, crc32, blob = found
        if zlib.crc32(blob) != crc32:
            raise DamagedError(f"events {number} is damaged: its checksum differs")
        try:
            with pa.ipc.open_stream(pa.py_buffer(blob)) as reader:
                records = reader.read_next_batch()
        except (pa.ArrowException, OSError, StopIteration) as error:
            raise DamagedError(f"events {number} cannot be decoded: {error}") from None
        if records.num_rows != rows:
            raise DamagedError(f"events {number} has another length than it should")
        return records

    def write(self, number: int, encoded: EncodedEvents) -> int:
        """Add a segment, inside the caller's transaction; the id of its form."""
        form, rows = self.form_id(encoded.form), len(encoded.row)
        execute = self._connection.execute
        execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", (number, form, rows, *encoded.blob))
        execute("INSERT INTO event_rows VALUES (?, ?, ?, ?)", (number, rows, *encoded.rows_blob))
        return form

    def renumber(self, number: int, row: UInt32s) -> None:
        """Give the entries of a segment other rows, inside the caller's transaction."""
        crc32, blob = blobs.encode(pa.record_batch([blobs.array(row)], schema=ROWS))
        sql = "UPDATE event_rows SET crc32 = ?, blob = ? WHERE segment = ?"
        self._connection.execute(sql, (crc32, blob, number))

    def delete(self, numbers: Iterable[int]) -> None:
        """Remove segments, inside the caller's transaction."""
        for number in numbers:
            self._connection.execute("DELETE FROM events WHERE segment = ?", (number,))
            self._connection.execute("DELETE FROM event_rows WHERE segment = ?", (number,))


class EventIndex:
    """Which segment holds the newest event of each row; 0 where none is kept."""

    def __init__(self, rows: int) -> None:
        self._newest: UInt32s = np.zeros(rows, np.uint32)
        self.segments: dict[int, EventSegment] = {}
        self.rows = rows

    @classmethod
    def read(cls, tables: EventTables, rows: int) -> "EventIndex":
        """That of a store with so many rows. Raises DamagedError."""
        index = cls(rows)
        for number, form, count, size in tables.segments():
            row = tables.rows(number)
            living = row[row != NOBODY]
            if len(row) != count or (len(living) and int(living.max()) >= rows):
                raise DamagedError(f"event_rows {number} has rows beyond the last key, or too few")
            index.add(number, form, row, size)
        return index

    @property
    def newest(self) -> UInt32s:
        """The segment of each row."""
        return self._newest[: self.rows]

    @property
    def missing(self) -> int:
        """Rows without a kept event."""
        return int((self.newest == 0).sum())

    def grow(self, rows: int) -> None:
        """There are so many rows now."""
        if rows > len(self._newest):
            longer = np.zeros(max(rows, len(self._newest) * 5 // 4), np.uint32)
            longer[: self.rows] = self.newest
            self._newest = longer
        self.rows = rows

    def add(self, number: int, form: int, row: UInt32s, size: int) -> list[int]:
        """A segment whose entries are the newest of their rows; the older segments that lost some."""
        living = row if not len(row) or int(row.max()) != NOBODY else row[row != NOBODY]
        before = self._newest[living]
        self._newest[living] = number
        self.segments[number] = EventSegment(number, form, len(row), len(living), size)
        touched = []
        for old, lost in zip(*map(np.ndarray.tolist, _counted(before)), strict=True):
            if old:
                self.segments[old].live -= lost
                touched.append(old)
        return touched

    def living(self, number: int, row: UInt32s) -> Int64s:
        """The entries of a segment that live; `row` are the rows of all."""
        places = np.flatnonzero(row != NOBODY)
        living: Int64s = places[self._newest[row[places]] == number]
        return living

    def live_events(self, tables: EventTables, number: int) -> WholeEvents:
        """The live entries of a segment, in their order. Raises DamagedError."""
        row, records = tables.rows(number), tables.records(number)
        living = self.living(number, row)
        if len(living) < len(row):
            records = records.take(pa.array(living))
        return WholeEvents(row[living], tables.form(self.segments[number].form), records)


def _counted(numbers: UInt32s) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The distinct numbers, and how often each occurs."""
    if not len(numbers):
        return numbers, numbers
    low, high = int(numbers.min()), int(numbers.max())
    if high - low > 4 * len(numbers):
        return np.unique(numbers, return_counts=True)
    counts = np.bincount(numbers - np.uint32(low))
    found = np.flatnonzero(counts)
    return found + low, counts[found]


class KeptEvents:
    """The kept events in the writer; belongs to its transactions."""

    def __init__(self, connection: Connection, rows: int) -> None:
        """Raises DamagedError for damaged rows."""
        self._connection = connection
        self.tables = EventTables(connection)
        self.index = EventIndex.read(self.tables, rows)
        self._next = max(self.index.segments, default=0) + 1
        self._candidates = {number for number, segment in self.index.segments.items() if segment.is_candidate}
        self._added = 0
        self.paused = False
        """While it is set nothing is dropped or merged, so that what was read once is still there."""

    def write(self, encoded: Sequence[EncodedEvents], rows: int) -> None:
        """Add the segments of a commit, inside its transaction; there are so many rows after it."""
        self.index.grow(rows)
        for part in encoded:
            self._add(part)
            self._added += len(part.row)

    def _add(self, part: EncodedEvents) -> None:
        number, self._next = self._next, self._next + 1
        form = self.tables.write(number, part)
        touched = self.index.add(number, form, part.row, part.blob[1].size)
        self._candidates.update(old for old in (*touched, number) if self.index.segments[old].is_candidate)

    def compact(self) -> None:
        """Drop what is dead and merge what is due, about as much as was added since the last call."""
        added, self._added = self._added, 0
        if self.paused:
            return
        dead = [number for number in self._candidates if not self.index.segments[number].live]
        if dead:
            with transaction(self._connection):
                self.tables.delete(dead)
            self._forget(dead)
        rewritten = 0
        while rewritten <= REWRITTEN_PER_ROW * added and (due := self._due()):
            rewritten += self._merge(due)

    def _forget(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            del self.index.segments[number]
            self._candidates.discard(number)

    def _due(self) -> list[EventSegment]:
        """Segments of one form to merge; empty if none are due."""
        by_form: dict[int, list[EventSegment]] = {}
        for number in self._candidates:
            segment = self.index.segments[number]
            by_form.setdefault(segment.form, []).append(segment)
        for segments in by_form.values():
            segments.sort(key=lambda segment: (segment.weight, segment.number))
            chosen, weight = _first_until_full(segments)
            if weight >= 1 and (len(chosen) > 1 or chosen[0].is_half_dead):
                return chosen
            if len(group := _crowd(segments)) > 1:
                return group
        return []

    def _merge(self, parts: Sequence[EventSegment]) -> int:
        """Put the live entries of segments into one, in one transaction; how many there are."""
        gone = sorted(part.number for part in parts)
        merged = _encoded(_joined([self.index.live_events(self.tables, number) for number in gone]))
        with transaction(self._connection):
            self.tables.delete(gone)
            self._add(merged)
        self._forget(gone)
        return len(merged.row)

    def clear(self) -> None:
        """Drop all of them, inside the caller's transaction."""
        clear_events(self._connection)
        self.index, self._next, self._candidates = EventIndex(self.index.rows), 1, set()


def clear_events(connection: Connection) -> None:
    """Drop all kept events, inside the caller's transaction."""
    for table in ("events", "event_rows", "forms"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names only


def _first_until_full(segments: Sequence[EventSegment]) -> tuple[list[EventSegment], float]:
    """The first segments that are full together, and how full."""
    chosen: list[EventSegment] = []
    weight = 0.0
    for segment in segments:
        if weight >= 1:
            break
        chosen.append(segment)
        weight += segment.weight
    return chosen, weight


def _crowd(segments: Sequence[EventSegment]) -> list[EventSegment]:
    """The first FAN_OUT segments of a size that has so many, sizes being powers of FAN_OUT; empty without."""
    groups: dict[int, list[EventSegment]] = {}
    for segment in segments:
        level, live = 0, segment.live
        while live >= FAN_OUT:
            live //= FAN_OUT
            level += 1
        group = groups.setdefault(level, [])
        group.append(segment)
        if len(group) == FAN_OUT:
            return group
    return []
