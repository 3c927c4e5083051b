"""A store's totals under another definition, made anew from the whole events that the store keeps.

    kept events -> ordinary decoder -> ordinary fold, in memory -> one transaction of the store

`gather` reads the events that were kept since it was last called, while the store may be written; the last time it is
called, and `redefine`, nobody writes. Nothing is written before that one transaction.

An event of which the new definition reads another key or version than the old one did is refused: which events were
the newest of their keys was decided by those, and the others are not kept.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from oncefold.columnar.batch import FILTERED, NOT_AN_EVENT, Batch
from oncefold.columnar.conflicts import gathered
from oncefold.commit import EventForm, Int64s, Reject, UInt32s, taken, whole_versions
from oncefold.core.definition import Pipeline
from oncefold.core.definition_changes import changes_of_meaning
from oncefold.core.errors import DefinitionError
from oncefold.core.fold import Outcome
from oncefold.engine.engine import Engine
from oncefold.engine.kept_decoding import KeptBatch, KeptDecoder
from oncefold.engine.reject_summary import RejectSummary
from oncefold.engine.tuning import process_seed
from oncefold.queries.model import AsOfCommit, Commit, NodeTotal, Shape, Totals
from oncefold.queries.parse import node_measures
from oncefold.queries.protocol import Closing
from oncefold.queries.render.rows import exact
from oncefold.queries.store_reader import StoreReader
from oncefold.store.events import EventIndex, EventTables
from oncefold.store.keys import key_texts
from oncefold.store.replacement import Replacement
from oncefold.store.rows import read_ends
from oncefold.store.writer import Store

SOURCE: Final = "redefine"
"""The source of rejects that a redefinition makes; their positions are numbers of keys."""

_IDENTIFYING = ("key", "version", "envelope", "missing_texts", "decimal", "group")
"""What of a definition says which events are of one key, and which of them is the newest."""

_Identities = dict[int, tuple[bytes, int]]
"""By record, the key and the version of its event under the old definition."""

_Live = tuple[int, UInt32s, list[tuple[KeptBatch, _Identities]]]
"""A segment, the rows of its live entries, and their batches."""

MOST_REJECTS: Final = 1_000_000
"""A definition that rejects more events than this is taken for a mistake: each is held in memory."""


@dataclass(frozen=True, slots=True)
class RedefinitionProgress:
    """How far a redefinition has come."""

    events: int
    """Kept events that were read."""
    of: int
    """Those there are, as far as is known."""


@dataclass(frozen=True, slots=True)
class Redefined:
    """What a redefinition made, or would make."""

    changes: Sequence[str]
    """What differs in meaning, a line each."""
    commit: int
    """The commit that switched to the new definition; 0 if none did."""
    events: int
    """Kept events, one for each key."""
    counts: dict[Outcome, int]
    """What became of them: `INSERTED` are live keys, `DELETED` and `FILTERED` are not, `REJECTED` cannot be read."""
    rejected: Sequence[tuple[str, int]]
    """Why, and how many."""
    before: Sequence[Totals]
    """The root of each rollup under the old definition."""
    after: Sequence[Totals]
    """The same under the new one."""
    seconds: float

    def document(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return {
            "changes": list(self.changes),
            "commit": self.commit,
            "events": self.events,
            "counts": {outcome.name.lower(): number for outcome, number in self.counts.items()},
            "rejected": [{"reason": reason, "events": number} for reason, number in self.rejected],
            "before": _document_of(self.before),
            "after": _document_of(self.after),
            "seconds": round(self.seconds, 3),
        }


def root_totals(shape: Shape, commit: int, document: Mapping[str, Any]) -> list[Totals]:
    """The roots of a redefinition from their document."""
    return [
        Totals(
            as_of=AsOfCommit(Commit(commit)),
            shape=shape,
            rows=(NodeTotal("", (), 0, "", root["count"], node_measures(root["measures"])),),
            rollup=rollup,
        )
        for rollup, root in document.items()
    ]


def _document_of(roots: Sequence[Totals]) -> dict[str, Any]:
    return {
        totals.rollup: {
            "count": totals.node.count,
            "measures": {name: None if value is None else exact(value) for name, value in totals.node.sums.items()},
        }
        for totals in roots
    }


def redefine_store(
    path: Path,
    new: Pipeline,
    *,
    dry_run: bool = False,
    on_progress: Callable[[RedefinitionProgress], object] = lambda _: None,
    clock: Callable[[], int] = time.time_ns,
) -> Redefined:
    """Replace the definition of a store that no session has open; as `Session.redefine`.

    A dry run may be made while the store is written. Raises StoreLockedError otherwise.
    """
    if dry_run:
        with Redefinition(path, new, on_progress, clock) as redefinition:
            return redefinition.preview()
    with StoreReader.open(path) as reader:
        old = reader.pipeline
    refuse_unkept(path, old, new)
    with (
        closing(Store.open(path, old, clock=clock)) as store,
        Redefinition(path, new, on_progress, clock) as redefinition,
    ):
        return redefinition.redefine(store)


class Redefinition(Closing):
    """Makes the totals of one store under another definition; nothing is written before `redefine`."""

    def __init__(
        self,
        path: Path,
        new: Pipeline,
        on_progress: Callable[[RedefinitionProgress], object] = lambda _: None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Raises StoreError for a store that cannot be read, DefinitionError for a definition it cannot have."""
        self._began = time.monotonic()
        self._path, self._new, self._on_progress, self._clock = path, new, on_progress, clock
        self._reader = StoreReader.open(path)
        self._old = self._reader.pipeline
        self._folder = tempfile.TemporaryDirectory(prefix="oncefold-redefine-")
        self._scratch: Store | None = None
        try:
            refuse_unkept(path, self._old, new)
            building = replace(new, keep_events=None)  # the store has the events, the engine needs no copy
            self._scratch = Store.open(Path(self._folder.name) / "scratch.db", building, clock=clock)
            self._engine = Engine(self._scratch, clock, process_seed())
        except BaseException:
            self.close()
            raise
        self._decoder = KeptDecoder(new, self._engine.seed)
        self._checked = None if _same_identity(self._old, new) else KeptDecoder(self._old, self._engine.seed)
        self._last = 0
        """The last segment that was read."""
        self._segment: UInt32s = np.zeros(0, np.uint32)
        self._row: UInt32s = np.zeros(0, np.uint32)
        self._filtered, self._rejected, self._seen = (np.zeros(0, np.bool_) for _ in range(3))
        self._rejects: dict[int, Reject] = {}
        """By the row of the store."""
        self._read = 0

    # What is read.

    def gather(self) -> int:
        """Fold the events that were kept since the last call; how many.

        Raises DefinitionError if keys have no kept event, or another key or version under the new definition.
        """
        with self._reader.file.at_one_commit() as connection:
            rows, tables = read_ends(connection).rows, EventTables(connection)
            index = EventIndex(rows)
            found = tables.segments(self._last)
            for number, form, _, size in found:
                index.add(number, form, tables.rows(number), size)
        self._grow(rows)
        self._seen |= index.newest != 0
        _refuse_missing(self._path, ~self._seen)
        due = [segment.number for segment in index.segments.values() if segment.live]
        before, whole = self._read, self._read + sum(index.segments[number].live for number in due)
        for number, rows_of_entries, parts in self._decoded(due, index):
            for part, checked in parts:
                self._fold(number, rows_of_entries, part, checked)
            self._read += len(rows_of_entries)
            self._on_progress(RedefinitionProgress(self._read, whole))
        self._last = max((number for number, *_ in found), default=self._last)
        return self._read - before

    def _grow(self, rows: int) -> None:
        more = rows - len(self._segment)
        if more > 0:
            self._segment = np.pad(self._segment, (0, more))
            self._row = np.pad(self._row, (0, more))
            self._filtered = np.pad(self._filtered, (0, more))
            self._rejected = np.pad(self._rejected, (0, more))
            self._seen = np.pad(self._seen, (0, more))

    def _decoded(self, numbers: Sequence[int], index: EventIndex) -> Iterator[_Live]:
        """The live entries of each segment: their rows, and their batches; one is decoded while another is folded."""
        with ThreadPoolExecutor(1, "oncefold-kept") as pool:
            ahead: list[Future[_Live]] = []
            try:
                for number in numbers:
                    ahead.append(pool.submit(self._decode, number, index))
                    if len(ahead) > 1:
                        yield ahead.pop(0).result()
                for future in ahead:
                    yield future.result()
            finally:
                for future in ahead:
                    future.cancel()

    def _decode(self, number: int, index: EventIndex) -> _Live:
        with self._reader.file.at_one_commit() as connection:
            live = index.live_events(EventTables(connection), number)
        return number, live.row, list(self._both(live.form, live.records))

    def _both(self, form: EventForm, records: pa.RecordBatch) -> Iterator[tuple[KeptBatch, _Identities]]:
        """The batches, each with what the old definition says of its records' keys, where that may differ."""
        old: _Identities = {}
        if self._checked is not None:
            for part in self._checked.decode(form, records):
                old.update(zip(part.record.tolist(), _identities(part.batch, self._old), strict=True))
        for part in self._decoder.decode(form, records):
            yield part, old

    # What is folded.

    def _fold(self, number: int, rows: UInt32s, part: KeptBatch, old: _Identities) -> None:
        for index, reject in part.rejects.items():
            self._reject(int(rows[index]), reject)
        part = self._own(part, rows)
        batch = part.batch
        folded = np.flatnonzero(batch.is_event)
        if self._checked is not None:
            self._refuse_others(part, folded, old)
        self._engine.fold(batch)
        changes = self._engine.pending_changes(len(folded))
        counts = taken(changes.outcome) | (changes.outcome == Outcome.DUPLICATE)
        which = rows[part.record[folded[counts]]]
        self._segment[which] = number
        self._row[which] = changes.row[counts]
        self._filtered[which] = batch.leaf[folded[counts]] == FILTERED
        for row in which[self._rejected[which]].tolist():  # an older event of the key, which is no more the newest
            del self._rejects[row]
        self._rejected[which] = False

    def _reject(self, row: int, reject: Reject) -> None:
        self._rejects[row], self._rejected[row] = replace(reject, source=SOURCE, position=row), True
        if len(self._rejects) > MOST_REJECTS:
            raise DefinitionError(
                f"{self._path}: the new definition rejects more than {MOST_REJECTS:,} of the kept events, the last one "
                f"because: {reject.reason}. Correct it first; `oncefold check PIPELINE --sample FILE` shows how it "
                "reads events"
            )

    def _own(self, part: KeptBatch, rows: UInt32s) -> KeptBatch:
        """One event of each record: of a record that moves a key the one whose key the entry is of."""
        doubled = np.flatnonzero(np.bincount(part.record) > 1) if len(part.record) else part.record
        if not len(doubled):
            return part
        leaf = part.batch.leaf.copy()
        order = np.argsort(rows[doubled], kind="stable")
        with self._reader.file.at_one_commit() as connection:
            texts = key_texts(connection, rows[doubled][order].astype(np.int64))
        for record, text in zip(doubled[order].tolist(), texts, strict=True):
            for at in np.flatnonzero(part.record == record).tolist():
                if _key_of(part.batch, at) != text.encode():
                    leaf[at] = NOT_AN_EVENT
        return replace(part, batch=replace(part.batch, leaf=leaf))

    def _refuse_others(self, part: KeptBatch, folded: Int64s, old: _Identities) -> None:
        """Raises DefinitionError for an event whose key or version is another now."""
        found = _identities(part.batch, self._new)
        for at in folded.tolist():
            before = old.get(int(part.record[at]))
            if before is not None and before != found[at]:
                what, was, now = ("key", before[0].decode(), found[at][0].decode())
                if was == now:
                    what, was, now = "version", str(before[1]), str(found[at][1])
                raise DefinitionError(
                    f"{self._path}: the kept event of key {before[0].decode()!r} has the {what} {was} and would have "
                    f"{now}. Which event of a key is the newest was decided by the old definition, and older ones are "
                    "not kept, so these totals cannot be made from what the store has: name a new store file and run "
                    "the sources into it, from their beginning."
                )

    # What comes of it.

    def _finish(self) -> tuple[Replacement, Redefined]:
        """The replacement, and what there is to say of it; the engine is used up by it."""
        whole = self._engine.take_whole()
        rejects = [self._rejects[row] for row in sorted(self._rejects)]
        live = sum(int((page.states.leaf >= 0).sum()) for page in whole.pages)
        counting = self._segment != 0
        filtered = int(self._filtered[counting].sum())
        states = Counter(
            {
                Outcome.INSERTED: live,
                Outcome.DELETED: int(counting.sum()) - live - filtered,
                Outcome.FILTERED: filtered,
                Outcome.REJECTED: len(rejects),
            }
        )
        summary = RejectSummary()
        summary.add(rejects)
        assert self._scratch is not None
        self._scratch.commit(replace(whole, new_keys=whole.new_keys[:0], pages=()))
        with StoreReader.open(self._scratch.path) as scratch:
            after = _roots(scratch)
        content = replace(whole, at=self._clock(), counts={Outcome.REJECTED: len(rejects)}, rejects=rejects)
        made = Redefined(
            changes=changes_of_meaning(self._old, self._new),
            commit=0,
            events=self._read,
            counts=+states,
            rejected=[(reason, kind.count) for reason, kind in summary.by_reason().items()],
            before=_roots(self._reader),
            after=after,
            seconds=time.monotonic() - self._began,
        )
        return Replacement(self._new, content, self._segment, self._row), made

    def preview(self) -> Redefined:
        """What `redefine` would make of the store as it is now; it may be written meanwhile."""
        with self._reader.file.at_one_commit():
            self.gather()
            return self._finish()[1]

    def redefine(self, store: Store) -> Redefined:
        """Switch the store, which nobody writes, to the new definition, in one step.

        The store has to be opened again after it. Raises StoreError if it fails; nothing has changed then.
        """
        self.gather()
        replacement, made = self._finish()
        commit = store.redefine(replacement)
        return replace(made, commit=commit, seconds=time.monotonic() - self._began)

    def close(self) -> None:
        """Forget everything."""
        self._reader.close()
        if self._scratch is not None:
            self._scratch.close()
        self._folder.cleanup()


def refuse_unkept(path: Path, old: Pipeline, new: Pipeline) -> None:
    """Raises DefinitionError if a store with the old definition keeps no events, or nothing would change."""
    if not old.keep_events:
        raise DefinitionError(
            f"{path}: it keeps no whole events, so its totals cannot be made anew from them. Name a new store file, "
            "with keep_events = true in its definition, and run the sources into it, from their beginning"
        )
    if old.fingerprint == new.fingerprint:
        raise DefinitionError(
            f"{path}: the definition means what it meant before, so there is nothing to make anew; "
            "`oncefold run` takes it as it is"
        )


def _refuse_missing(path: Path, missing: Any) -> None:
    number = int(missing.sum())
    if number:
        raise DefinitionError(
            f"{path}: of {len(missing):,} keys {number:,} have no kept event: they arrived before keep_events = true "
            "was set, so their totals cannot be made anew. Name a new store file and run the sources into it, from "
            "their beginning; or go on until all keys have arrived again"
        )


def _same_identity(old: Pipeline, new: Pipeline) -> bool:
    return all(getattr(old, name) == getattr(new, name) for name in _IDENTIFYING)


def _identities(batch: Batch, pipeline: Pipeline) -> list[tuple[bytes, int]]:
    """The key and version of each row; of one that is no event something."""
    lengths = np.where(batch.is_event, batch.key_length, 0).astype(np.int64)
    starts = np.where(batch.is_event, batch.key_start, 0)
    keys = gathered(batch.data, starts, lengths).to_pylist()
    versions = whole_versions(batch.version, batch.measures, len(batch.measures) - pipeline.has_wide_versions)
    return list(zip(keys, map(int, versions), strict=True))


def _key_of(batch: Batch, at: int) -> bytes:
    start = int(batch.key_start[at])
    return batch.data[start : start + int(batch.key_length[at])].tobytes()


def _roots(reader: StoreReader) -> list[Totals]:
    return [reader.query("", rollup=rollup.name, depth=0) for rollup in reader.pipeline.rollups]
