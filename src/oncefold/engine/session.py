"""One open store with its engine: what Python programs and the command line work with."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from oncefold.columnar.batch import BatchBuilder
from oncefold.commit import Reject, Rejects, SourcePosition
from oncefold.core.definition import Pipeline
from oncefold.core.errors import QueryError, StoreError
from oncefold.core.event import Event
from oncefold.core.fold import Outcome
from oncefold.engine.decoding import BlockDecoder, EventData
from oncefold.engine.folding import Folding
from oncefold.engine.redefinition import Redefined, Redefinition, RedefinitionProgress
from oncefold.pipeline_file import pipeline_of
from oncefold.queries.delegating import Queries
from oncefold.queries.model import Totals
from oncefold.queries.store_reader import StoreReader
from oncefold.store.rows import absent_rejects
from oncefold.store.writer import Store

EVENTS_TOGETHER = 20_000
"""Events of one commit, of those that were decoded elsewhere."""


@dataclass(frozen=True, slots=True, repr=False)
class Ingested:
    """What became of the events of one `ingest`; they are durable."""

    commit: int
    """The number of the commit that holds them."""
    counts: Mapping[Outcome, int]
    """Events by outcome; outcomes without events are left out."""
    rejects: Sequence[Reject] = ()
    """The events that could not be read, each with its reason."""

    @property
    def events(self) -> int:
        """How many events there were, rejects included."""
        return sum(self.counts.values())

    def __repr__(self) -> str:
        counts = "".join(f", {number:,} {outcome.name.lower()}" for outcome, number in sorted(self.counts.items()))
        return f"<Ingested commit {self.commit}{counts}>"


class Session(Folding, Queries):
    """A store open for writing and querying, by one thread at a time; `oncefold.open` gives it.

    Use it in a `with` statement, or close it. After a failed commit nothing more can be written: open the store again.
    """

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        """Use `oncefold.open`."""
        self._reader: StoreReader | None = None
        self._closed = False
        super().__init__(store, clock)

    def _take(self, store: Store) -> None:
        super()._take(store)
        self._decoder = BlockDecoder(store.pipeline, self._engine.seed)

    def ingest(self, data: EventData, *, source: str = "python", position: str | None = None) -> Ingested:
        """Fold events and commit them; when it returns they are durable, each counted once.

        An exception of an iterable is passed on, after a commit of what it gave before. To ingest everything again
        counts nothing twice.

        Args:
            data: JSON Lines as text or bytes, a dictionary, an Arrow table, a pandas or polars frame, a polars
                LazyFrame, or an iterable or iterator of dictionaries or of tables and frames, which is read as it is
                folded. What cannot be read goes to the reject list.
            source: The name under which rejects and the position are kept.
            position: Any text; it is committed with the events and found again in `positions`.

        Returns:
            The commit, and how many events had which outcome.

        Raises:
            SourceError: The data is of another kind.
            StoreError: The commit failed; the store is as it was before.

        Example:
            >>> import oncefold
            >>> orders = [
            ...     {"order": "A-1", "version": 1, "country": "DE", "channel": "web", "amount": "19.90"},
            ...     {"order": "A-1", "version": 2, "country": "DE", "channel": "web", "amount": "17.90"},
            ... ]
            >>> with oncefold.open("orders.db", "orders.toml") as store:
            ...     done = store.ingest(orders)
            ...     again = store.ingest(orders)
            >>> sorted((outcome.name, number) for outcome, number in done.counts.items())
            [('CORRECTED', 1), ('INSERTED', 1)]
            >>> sorted((outcome.name, number) for outcome, number in again.counts.items())
            [('DUPLICATE', 1), ('STALE', 1)]
        """
        self._check_open()
        counts: Counter[Outcome] = Counter()
        rejects = Rejects()
        try:
            for batch in self._decoder.batches(data, source):
                counts += self._engine.fold(batch)
                rejects.extend(batch.rejects)
        except Exception:
            self._commit()
            raise
        if position is not None:
            self._engine.note_position(SourcePosition(source, position))
        return Ingested(self._commit(), counts, rejects)

    def ingest_events(self, events: Iterable[Event]) -> int:
        """Fold events that were decoded under the same definition elsewhere, and commit them; how many there were.

        They have no source and no position: to ingest them again counts nothing twice.
        """
        self._check_open()
        waiting, total = iter(events), 0
        while some := list(enumerate(islice(waiting, EVENTS_TOGETHER))):
            columns = BatchBuilder(len(some), self.pipeline, np.zeros(0, np.uint8), self._engine.seed)
            self._engine.fold(columns.filled(some, ()))
            self._commit()
            total += len(some)
        return total

    def redrive(self) -> Ingested:
        """Read every reject again, with the definition as it is now; those that can be read leave the list.

        Those that were too long to be kept whole stay on it.

        Returns:
            The commit, and how many events had which outcome; `REJECTED` counts those that stay on the list.

        Raises:
            StoreError: The commit failed; the list is as it was before.

        Example:
            >>> import oncefold
            >>> order = {"order": "A-1", "version": 1, "country": "DE", "channel": "web", "amount": "1,99"}
            >>> with oncefold.open("orders.db", "orders.toml") as store:
            ...     done = store.ingest(order)
            ...     again = store.redrive()
            >>> [reject.reason for reject in done.rejects]
            ["field amount: '1,99' is not a number"]
            >>> again.counts[oncefold.Outcome.REJECTED]
            1
        """
        listed = [item for item in self.reader.file.rejects() if len(item.reject.raw) == item.reject.size]
        counts: Counter[Outcome] = Counter()
        again = 0
        for indexes, batch in self._decoder.again([item.reject for item in listed]):
            again += len(batch.rejects)
            counts += self._engine.fold(replace(batch, rejects=[]), redriven=[listed[index].id for index in indexes])
        counts[Outcome.REJECTED] = again
        return Ingested(self._commit(), +counts)

    def discard(self, ids: Iterable[int | str]) -> int:
        """Take rejects off the list for good, in one commit; they stay counted as rejected.

        Args:
            ids: Their ids, as `reader.rejects()` gives them: numbers. A text is an id of a stack, on no store's list.

        Returns:
            How many were taken off.

        Raises:
            QueryError: One of them is not on the list; all of them stay.
            StoreError: The commit failed; all of them stay.

        Example:
            >>> import oncefold
            >>> with oncefold.open("orders.db", "orders.toml") as store:
            ...     done = store.ingest({"order": "A-1", "version": "first"})
            ...     discarded = store.discard(reject.id for reject in store.reader.rejects())
            ...     left = len(store.reader.rejects())
            >>> discarded, left
            (1, 0)
        """
        named = set(ids)
        unwanted = sorted(one for one in named if isinstance(one, int))
        with self.reader.file.at_one_commit() as connection:
            absent = [*absent_rejects(connection, unwanted), *sorted(one for one in named if isinstance(one, str))]
        if absent:
            raise QueryError(f"not on the reject list: {', '.join(map(str, absent))}; see what `rejects list` shows")
        if unwanted:
            self._commit()
            with self._engine.intact():
                self._store.commit(replace(self._engine.take_commit(), discarded=unwanted))
        return len(unwanted)

    def redefine(
        self,
        pipeline: str | Path | Mapping[str, Any] | Pipeline,
        *,
        dry_run: bool = False,
        on_progress: Callable[[RedefinitionProgress], object] = lambda _: None,
    ) -> Redefined:
        """Replace the definition: the totals are made anew from the kept events, verified, and switched to in one step.

        Positions stay, readers go on: they see the totals before it, then those after it. This session goes on under
        the new definition.

        Args:
            pipeline: The new definition: a TOML file, TOML text, the same tables as a dictionary, or an object. The
                store's present one has `keep_events`.
            dry_run: Only say what would change.
            on_progress: Called again and again while the kept events are read.

        Returns:
            What changed: the roots before and after, and the kept events that the new definition rejects; those are on
            the reject list then.

        Raises:
            DefinitionError: The totals of this definition cannot be made from what the store keeps.
            StoreError: It failed; nothing has changed, and the session cannot go on.

        Example:
            >>> import dataclasses, oncefold
            >>> old = oncefold.load_pipeline("orders.toml")
            >>> keeping = dataclasses.replace(old, keep_events=True)
            >>> order = {"order": "A-1", "version": 1, "country": "DE", "channel": "web", "amount": "9.90", "tax": 1}
            >>> tax = oncefold.Measure("tax", oncefold.FieldPath.parse("tax"), scale=2)
            >>> with oncefold.open("orders.db", keeping) as store:
            ...     done = store.ingest(order)
            ...     made = store.redefine(dataclasses.replace(keeping, measures=(*old.measures, tax)))
            ...     sums = store.totals("DE").node.sums
            >>> {name: str(value) for name, value in sums.items()}
            {'amount': '9.90', 'tax': '1.00'}
        """
        self._check_open()
        self._commit()
        definition = pipeline_of(pipeline)
        with Redefinition(self.path, definition, on_progress, self._clock) as redefinition:
            if dry_run:
                return redefinition.preview()
            made = self.switch(redefinition)
        self._take(self._store.reopened(definition))
        return made

    def pause_event_compaction(self, *, paused: bool) -> None:
        """Drop and merge no kept events, or begin again: a redefinition reads them while this session goes on."""
        self._store.pause_event_compaction(paused=paused)

    def switch(self, redefinition: Redefinition) -> Redefined:
        """Commit what is folded, and switch the store to what a redefinition made; nothing but `close` is left then.

        Raises StoreError if it fails; nothing has changed then.
        """
        self._commit()
        with self._engine.intact():
            return redefinition.redefine(self._store)

    @property
    def reader(self) -> StoreReader:
        """The queries to the store; answers are as of the last commit. Raises StoreError when closed."""
        self._check_open()
        if self._reader is None:
            self._reader = StoreReader.open(self.path)
        return self._reader

    def totals(
        self,
        node: str | tuple[str, ...] = "",
        *,
        rollup: str | None = None,
        depth: int | None = 1,
        as_of: int | str | datetime | None = None,
    ) -> Totals:
        """The totals of a node and of all at most `depth` levels below it, as of the last commit or a past one.

        Args:
            node: Its labels, or the labels joined by `/`; the root if left out.
            rollup: The tree, by name; needed where there are several.
            depth: How many levels below the node; None for all.
            as_of: A past state: the number of a commit, or a time (then the last commit at or before it).

        Returns:
            The node and those below it, in tree order. It can be iterated, indexed by path and turned into Arrow.

        Raises:
            QueryError: There is no such node, rollup or commit; the message says what there is.
            StoreError: The store cannot be read.

        Example:
            >>> import oncefold
            >>> order = {"order": "A-1", "version": 1, "country": "DE", "channel": "web", "amount": "19.90"}
            >>> with oncefold.open("orders.db", "orders.toml") as store:
            ...     first = store.ingest(order)
            ...     second = store.ingest(order | {"version": 2, "amount": "17.90"})
            ...     now, then = store.totals("DE"), store.totals("DE", as_of=first.commit)
            >>> str(now["DE/web"].sums["amount"]), str(then["DE/web"].sums["amount"])
            ('17.90', '19.90')
        """
        return self.reader.query(node, rollup=rollup, depth=depth, as_of=as_of)

    def close(self) -> None:
        """Close the store; without effect when closed."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._closed = True
        super().close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"commit {self._engine.last_commit}"
        return f"<Session {self.path}, {self.pipeline.name}, {state}>"

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.path}: the store is closed; open it again")

    def _commit(self) -> int:
        """The number of the commit that holds all that was folded."""
        if self._engine.has_pending:
            with self._engine.intact():
                self._store.commit(self._engine.take_commit())
        return self._engine.last_commit
