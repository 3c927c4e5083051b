"""The engine: folds batches in memory and turns them into commits for the store.

Memory is ahead of the store by the batches that are folded and not yet committed. If a commit fails, or a fold is
interrupted, the engine is broken and refuses everything. It is then opened again from the store, which holds a prefix
of whole commits.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from oncefold.arrow import spans_of
from oncefold.columnar.arrays import UInt8s
from oncefold.columnar.batch import NO_TIME, Batch
from oncefold.columnar.conflicts import conflict_columns
from oncefold.columnar.leaves import Leaves
from oncefold.columnar.node_values import NodeValues
from oncefold.columnar.primitives import FIXED_SEED, Seed
from oncefold.columnar.state import ChangeLog, FoldConflicts, KeyedState, nothing_accumulated, with_leaves
from oncefold.columnar.trees import Trees
from oncefold.columnar.whole import WholeRecords
from oncefold.commit import (
    PAGE_ROWS,
    Changes,
    CommitContent,
    ConflictColumns,
    Page,
    Reject,
    RejectColumns,
    Rejects,
    SourcePosition,
    WholeEvents,
    taken,
    whole_versions,
)
from oncefold.core.errors import StoreError
from oncefold.core.fold import Outcome
from oncefold.store.writer import Store


@dataclass(slots=True)
class _Pending:
    """Batches that are folded and not yet committed."""

    keys: int
    """Keys before the first of them."""
    log: ChangeLog
    rejects: Rejects = field(default_factory=Rejects)
    conflicts: list[ConflictColumns] = field(default_factory=list)
    positions: dict[str, SourcePosition] = field(default_factory=dict)
    redriven: list[int] = field(default_factory=list)
    counts: Counter[Outcome] = field(default_factory=Counter)
    newest_time: int = NO_TIME
    events: list[WholeEvents] = field(default_factory=list)
    rows: int = 0
    size: int = 0
    """Bytes of new keys, rejects, conflicts and whole events."""


class Engine:
    """The keyed state and the trees of one open store."""

    def __init__(self, store: Store, clock: Callable[[], int], seed: Seed = FIXED_SEED) -> None:
        """Load the store's last commit; batches to fold must be decoded with the same seed.

        Raises StoreError if its contents are damaged.
        """
        self.seed = seed
        self.pipeline = store.pipeline
        self._state = KeyedState(self.pipeline.value_columns, seed)
        loaded = store.load(self._state)
        self.positions = {source: position.state for source, position in loaded.positions.items()}
        """How far each source is folded."""
        self._clock = clock
        self._seq = loaded.seq
        layout = self.pipeline.layout
        for _ in loaded.keys:  # until the last is in the state
            pass
        self._state.set_states(0, loaded.states)
        for texts in loaded.texts:
            self._state.texts.intern(Leaves(*spans_of(texts)))
        self._trees = Trees(self.pipeline, seed)
        self._schedule = loaded.schedule
        if len(loaded.totals.node):
            try:
                self._trees.restore(loaded.leaves, loaded.totals)
            except ValueError as error:
                raise StoreError(
                    f"{store.path}: it is damaged: {error}; see what `oncefold check-store` says"
                ) from None
        self._values = NodeValues(self.pipeline)
        if self._values.amounts and self._trees.nodes:
            leaves, nodes = self._trees.leaves.count, self._trees.nodes_of_leaves()
            self._values.load(self._state.rows, leaves, nodes, self._trees.nodes)
        sums, values = layout.sums, self.pipeline.value_columns
        self._texts = self._state.texts.count
        """How many texts the last commit that was taken knows."""
        self._pending = _Pending(self._state.count, ChangeLog(values))
        self._spare_log = ChangeLog(values)
        self._net = nothing_accumulated(self._trees.leaves.count, sums)
        self._scales = np.array([column.scale for column in self.pipeline.columns[: layout.numbers]], np.int64)
        self._path = store.path
        self._broken = False

    @contextmanager
    def intact(self) -> Iterator[None]:
        """Mark the engine broken if the block raises: memory and store may then differ.

        Raises StoreError if it is broken already.
        """
        if self._broken:
            raise StoreError(f"{self._path}: a batch or commit was interrupted; open the store again to continue")
        try:
            yield
        except BaseException:
            self._broken = True
            raise

    @property
    def keys(self) -> int:
        """Keys that ever arrived, those not yet committed included."""
        return self._state.count

    @property
    def nodes(self) -> int:
        """Nodes of all rollups, as of the last commit that was taken."""
        return self._trees.nodes

    @property
    def last_commit(self) -> int:
        """Number of the last commit that was taken, 0 before the first."""
        return self._seq

    @property
    def pending_rows(self) -> int:
        """Records folded since the last commit was taken."""
        return self._pending.rows

    @property
    def pending_bytes(self) -> int:
        """Bytes of new keys, rejects, conflicts and whole events since the last commit was taken."""
        return self._pending.size

    @property
    def pending_outcomes(self) -> UInt8s:
        """The outcome of each event folded since the last commit was taken, in order, without rejects.

        Values of Outcome; valid until the next fold.
        """
        return self._pending.log.changes().outcome

    def pending_changes(self, last: int) -> Changes:
        """The last so many changes that were folded and are in no commit; valid until the next fold."""
        return self._pending.log.changes(self._pending.log.count - last)

    @property
    def has_pending(self) -> bool:
        """Whether there is anything to commit, a position included."""
        pending = self._pending
        return bool(pending.log.count or pending.rejects or pending.counts or pending.positions or pending.redriven)

    def fold(
        self, batch: Batch, position: SourcePosition | None = None, redriven: Sequence[int] = ()
    ) -> Counter[Outcome]:
        """Fold one batch into memory; the outcome of its events, rejects included."""
        with self.intact():
            pending, text_bytes = self._pending, self._state.text_bytes
            codes = self._trees.intern(batch.leaves)
            net = self._net = with_leaves(self._net, self._trees.leaves.count)
            values = self._values if self._values.amounts else None
            folded = self._state.fold(batch, codes, self._trees.leaves, net, pending.log, values)
            pending.rows += len(batch)
            pending.size += self._state.text_bytes - text_bytes
            if len(folded.conflicts):
                conflicts = self._conflicts(folded.conflicts, folded.changes)
                pending.conflicts.append(conflicts)
                pending.size += conflicts.text_bytes
            if batch.whole is not None and self.pipeline.keep_events:
                self._keep(batch, batch.whole, folded.changes)
            pending.newest_time = max(pending.newest_time, batch.newest_time)
            pending.redriven.extend(redriven)
            pending.counts.update(folded.counts)
            counts = Counter(folded.counts) + self.reject(batch.rejects) + self.ignore(len(batch.ignored))
            if position is not None:
                self.note_position(position)
        return counts

    def _keep(self, batch: Batch, whole: WholeRecords, changes: Changes) -> None:
        """Keep the whole events that became their keys' states."""
        became = taken(changes.outcome)
        if not became.any():
            return
        folded = np.flatnonzero(batch.is_event)[became]
        form, records = whole.taken(np.asarray(batch.where, np.int64)[folded])
        self._pending.events.append(WholeEvents(changes.row[became], form, records))
        self._pending.size += records.nbytes

    def note_position(self, position: SourcePosition) -> None:
        """Commit a source's position with what is folded so far."""
        self._pending.positions[position.source] = position
        self.positions[position.source] = position.state

    def reject(self, rejects: Sequence[Reject]) -> Counter[Outcome]:
        """Put events that could not be read on the reject list."""
        pending = self._pending
        pending.rejects.extend(rejects)
        if isinstance(rejects, RejectColumns):
            pending.size += rejects.raw_bytes
        else:
            pending.size += sum(len(reject.raw) for reject in rejects)
        counts = +Counter({Outcome.REJECTED: len(rejects)})
        pending.counts.update(counts)
        return counts

    def ignore(self, records: int) -> Counter[Outcome]:
        """Count records that say nothing."""
        counts = +Counter({Outcome.IGNORED: records})
        self._pending.counts.update(counts)
        return counts

    def take_commit(self) -> CommitContent:
        """Everything folded since the last call, as the next commit; the caller passes it to the store.

        Its columns are reused after the next call, so that it must be durable by then.
        """
        with self.intact():
            pending, self._pending = self._pending, _Pending(self._state.count, self._spare_log)
            self._spare_log = pending.log
            self._pending.log.clear()
            self._seq += 1
            return self._commit(pending)

    def take_whole(self) -> CommitContent:
        """Everything of an engine that began without events, as one commit: all states as pages, no changes or deltas.

        Nothing that became of the events is counted in it.
        """
        commit = self.take_commit()
        changes, deltas = commit.changes, commit.deltas
        states = changes.states
        none = replace(states, version=states.version[:0], leaf=states.leaf[:0], measures=states.measures[:, :0])
        numbers = range(-(-self._state.count // PAGE_ROWS))
        return replace(
            commit,
            changes=replace(changes, row=changes.row[:0], outcome=changes.outcome[:0], states=none),
            deltas=replace(
                deltas, node=deltas.node[:0], count=deltas.count[:0], high=deltas.high[:, :0], low=deltas.low[:, :0]
            ),
            counts={},
            conflicts=(),
            rejects=(),
            pages=[Page(n, self._state.states(n * PAGE_ROWS, (n + 1) * PAGE_ROWS)) for n in numbers],
        )

    def _commit(self, pending: _Pending) -> CommitContent:
        changes = pending.log.changes()
        new_leaves, new_nodes = self._trees.new_leaves_and_nodes()
        others = None
        if self._values.amounts:
            others = self._values.take_changes(self._state.rows, self._trees.nodes_of_leaves(), self._trees.nodes)
        deltas, totals = self._trees.apply(self._net, new_nodes, others)
        texts, self._texts = self._texts, self._state.texts.count
        for amounts in (self._net.count, self._net.high, self._net.low):
            amounts.fill(0)
        self._schedule.add(self._seq, changes)
        due = self._schedule.due(self._state.count)
        self._schedule.snapshotted(due)
        return CommitContent(
            at=self._clock(),
            changes=changes,
            new_keys=self._state.keys(pending.keys, pending.log),
            new_leaves=new_leaves,
            new_nodes=new_nodes,
            deltas=deltas,
            totals=totals,
            counts=dict(+pending.counts),
            newest_time=None if pending.newest_time == NO_TIME else pending.newest_time,
            positions=list(pending.positions.values()),
            rejects=pending.rejects,
            conflicts=ConflictColumns.joined(pending.conflicts),
            redriven=pending.redriven,
            events=pending.events,
            pages=[Page(n, self._state.states(n * PAGE_ROWS, (n + 1) * PAGE_ROWS)) for n in due],
            new_texts=self._state.new_texts(texts) if self.pipeline.layout.texts else None,
        )

    def _conflicts(self, found: FoldConflicts, changes: Changes) -> ConflictColumns:
        at, columns = found.kept, len(self.pipeline.columns)
        won = changes.outcome[at] == Outcome.CONFLICT_WON
        version, leaf, values = changes.states.version[at], changes.states.leaf[at], changes.states.measures[:, at]
        amounts, before = values[:columns].T, found.measures_before[:, :columns]
        kept = np.where(won, leaf, found.leaf_before), np.where(won[:, None], amounts, before)
        dropped = np.where(won, found.leaf_before, leaf), np.where(won[:, None], before, amounts)
        leaves, texts = self._trees.leaves, self._state.texts
        return conflict_columns(
            self._state.key_spans(found.row),
            whole_versions(version, values, columns),
            kept,
            dropped,
            (leaves.data, leaves.offsets),
            (texts.data, texts.offsets),
            self._scales,
        )
