"""The run loop: read in one thread, decode in several, fold in another, commit in one more; whole batches all the way.

    sources -> decode ahead -> fold -> commit behind

Blocks are decoded side by side and folded in their order.

A commit is taken when enough is folded, when its oldest record has waited long enough, or when the input is idle.
Folding continues while it is written. At most one commit is in flight, so that commits are in order; if the store is
slower than the input, the input is held back.
"""

import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from oncefold.columnar.batch import Batch
from oncefold.commit import CommitContent, Reject, SourcePosition
from oncefold.core.errors import SourceError
from oncefold.core.fold import Outcome
from oncefold.engine.decoding import BlockDecoder
from oncefold.engine.engine import Engine
from oncefold.engine.reject_summary import RejectSummary
from oncefold.sources.blocks import Block, Finding
from oncefold.store.writer import Store

_Item = TypeVar("_Item")

COMMIT_ROWS = 2**20
"""Records in a commit while input arrives at full speed."""

COMMIT_BYTES = 2**26
"""Or bytes of new keys, rejects and conflicts, whichever is reached first."""

COMMIT_SECONDS = 0.15
"""A folded record waits at most this long for its commit to begin, while commits are fast."""

COMMIT_ENOUGH_ROWS = 200_000
"""Records that need not wait so long: a commit of them costs no more for each than one of many, and ends sooner."""

COMMIT_WAIT_FACTOR = 3
"""Or this many times what the nodes of the last commit took: if each touches many, a commit gathers more records."""

NODE_COST = 10
"""Records that a commit writes in the time that one node takes it."""

IDLE_SECONDS = 0.03
"""After this long without input, what is pending is committed."""

MOST_DECODERS = 4
"""Threads that decode: one for each processor, but no more than the one that folds keeps up with."""

DECODED_AHEAD = 2
"""Batches that are decoded in advance, at most, besides those that are being decoded."""

assert IDLE_SECONDS < COMMIT_SECONDS < 0.25

_CLOSED_CHECK_SECONDS: Final = 0.1
"""How often a thread whose queue is full checks whether it is closed."""


@dataclass(slots=True)
class RunProgress:
    """What a run has done so far."""

    counts: Counter[Outcome] = field(default_factory=Counter)
    """Events folded, by outcome."""
    consumed_bytes: int = 0
    """Bytes of the sources as stored."""
    commits: int = 0
    last_commit: int = 0
    """Number of the store's last commit, 0 if this run made none."""
    findings: list[Finding] = field(default_factory=list)
    rejected: RejectSummary = field(default_factory=RejectSummary)
    """What was rejected, by reason."""

    @property
    def events(self) -> int:
        """Events folded, rejects included."""
        return self.counts.total()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded block, to be folded."""

    batch: Batch
    oversize: list[Reject]
    """Records that were too long to be in the batch."""
    position: SourcePosition | None
    consumed_bytes: int


@dataclass(frozen=True, slots=True)
class Durable:
    """A commit that the store made durable."""

    seq: int
    commit: CommitContent
    """Its columns are valid until the next commit is taken."""
    seconds: float
    """How long the store took."""


class Idle:
    """The item that means no input for a while, so that what is pending can be committed."""


IDLE: Final = Idle()


class ReadAhead(Generic[_Item]):
    """Reads an iterator ahead, in a thread; gives IDLE after every `idle_seconds` without an item.

    An exception of the iterator is raised to the caller, after the items before it. `close` ends the thread at the
    iterator's next item or its end. It calls `stop` so that an iterator that waits for input gives or ends.
    """

    def __init__(
        self, items: Iterable[_Item], depth: int, idle_seconds: float, stop: Callable[[], object] = lambda: None
    ) -> None:
        self._waiting: queue.Queue[_Item | BaseException | None] = queue.Queue(depth)
        self._idle_seconds = idle_seconds
        self._stop = stop
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(items,), name="oncefold-read", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[_Item | Idle]:
        while True:
            try:
                item = self._waiting.get(timeout=self._idle_seconds)
            except queue.Empty:
                yield IDLE
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Stop reading and wait for the thread."""
        self._closed.set()
        if self._thread.is_alive():
            self._stop()
        with suppress(queue.Empty):  # makes room for an item that the thread is about to put
            while True:
                self._waiting.get_nowait()
        self._thread.join()

    def _work(self, items: Iterable[_Item]) -> None:
        try:
            for item in items:
                self._put(item)
                if self._closed.is_set():
                    return
        except BaseException as error:
            self._put(error)
        else:
            self._put(None)

    def _put(self, item: _Item | BaseException | None) -> None:
        while not self._closed.is_set():
            try:
                return self._waiting.put(item, timeout=_CLOSED_CHECK_SECONDS)
            except queue.Full:
                continue
        return None


class Committer:
    """Writes commits to the store in the background, one at a time and in order."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        progress: RunProgress,
        on_result: Callable[[Durable | None], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_result` is called in the committing thread when a commit is durable, or with None when it failed.

        It must not raise. Compaction follows a commit, and the next commit waits for it.
        """
        self._store, self._engine, self._progress, self._on_result = store, engine, progress, on_result
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(1, "oncefold-commit")
        self._in_flight: Future[int] | None = None
        self.last_seconds = 0.0
        """How long the last commit took."""
        self.node_seconds = 0.0
        """How much of that its nodes took, about: the part that is not less where it holds fewer records."""

    def is_free(self) -> bool:
        """Whether a commit can begin at once. Raises StoreError if the one before it failed."""
        if self._in_flight is not None and self._in_flight.done():
            self.wait()
        return self._in_flight is None

    def begin(self) -> None:
        """Take everything folded as the next commit, after the one in flight. Raises StoreError if that one failed."""
        self.wait()
        if self._engine.has_pending:
            with self._engine.intact():
                self._in_flight = self._pool.submit(self._commit, self._engine.take_commit())

    def _commit(self, commit: CommitContent) -> int:
        began = self._monotonic()
        durable: Durable | None = None

        def on_durable(seq: int) -> None:
            nonlocal durable
            durable = Durable(seq, commit, self._monotonic() - began)
            self._on_result(durable)

        try:
            return self._store.commit(commit, on_durable)
        finally:
            self.last_seconds = self._monotonic() - began
            self.node_seconds = self.last_seconds * _share_of_nodes(commit)
            if durable is None:
                self._on_result(None)

    def wait(self) -> None:
        """Wait for the commit in flight. Raises StoreError if it failed."""
        in_flight, self._in_flight = self._in_flight, None
        if in_flight is not None:
            with self._engine.intact():
                self._progress.last_commit = in_flight.result()
            self._progress.commits += 1

    def finish(self) -> None:
        """Commit all that is folded and wait until it is durable. Raises StoreError if that fails."""
        self.begin()
        self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        if error is not None:
            with suppress(Exception):  # the first error is the one to raise
                self.wait()


def _share_of_nodes(commit: CommitContent) -> float:
    """The part of the time of a commit that its nodes take, by what nodes and records take elsewhere."""
    nodes = NODE_COST * len(commit.deltas.node)
    return nodes / max(nodes + len(commit.changes), 1)


def run(
    engine: Engine,
    store: Store,
    blocks: Iterable[Block | Finding],
    on_progress: Callable[[RunProgress], None] = lambda _: None,
    *,
    stop: Callable[[], object] = lambda: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> RunProgress:
    """Fold all blocks and commit them; the last commit holds what was folded when the blocks ended.

    `on_progress` is called after every batch, and many times a second without one, in this thread. `stop` is called
    when the run ends before the blocks do, so that blocks that wait for input end. An error of the blocks
    (SourceError) is raised after the commit of all that came before it; any other error, such as StoreError, at once:
    the store then holds whole commits, and a run from their positions misses nothing.
    """
    progress = RunProgress()
    decoder = BlockDecoder(engine.pipeline, engine.seed)
    since: float | None = None
    decoders = min(os.cpu_count() or 1, MOST_DECODERS)
    with (
        Committer(store, engine, progress, monotonic=monotonic) as committer,
        ThreadPoolExecutor(decoders, "oncefold-decode") as pool,
        closing(ReadAhead(_begun(decoder, blocks, pool), DECODED_AHEAD + decoders, IDLE_SECONDS, stop)) as items,
    ):
        for item in _finishing(_settled(items), committer):
            if isinstance(item, Finding):
                progress.findings.append(item)
            elif not isinstance(item, Idle):
                progress.counts.update(fold(engine, item))
                progress.rejected.add(item.oversize)
                progress.rejected.add(item.batch.rejects)
                progress.consumed_bytes += item.consumed_bytes
                since = monotonic() if since is None else since
            waited = None if since is None else monotonic() - since
            if due(engine, committer, waited, idle=isinstance(item, Idle)):
                committer.begin()
                since = None
            on_progress(progress)
        committer.finish()
    on_progress(progress)
    return progress


def _finishing(items: Iterable[_Item], committer: Committer) -> Iterator[_Item]:
    """The items; if they end in an error, everything before it is committed first."""
    try:
        yield from items
    except Exception:
        committer.finish()
        raise


def due(engine: Engine, committer: Committer, waited: float | None, *, idle: bool) -> bool:
    """Whether a commit should begin; `waited` is how long the oldest folded record waits, None if there is none."""
    free = committer.is_free()
    if waited is None:
        return False
    if engine.pending_rows >= COMMIT_ROWS or engine.pending_bytes >= COMMIT_BYTES:
        return True
    least = COMMIT_SECONDS if engine.pending_rows < COMMIT_ENOUGH_ROWS else 0.0
    return free and (idle or waited >= max(least, COMMIT_WAIT_FACTOR * committer.node_seconds))


@dataclass(frozen=True, slots=True)
class _Decoding:
    """A block, and what gives its batch; it raises what is wrong with the block."""

    block: Block
    result: Callable[[], tuple[Batch, list[Reject]]]


def decoded(decoder: BlockDecoder, blocks: Iterable[Block | Finding]) -> Iterator[Decoded | Finding]:
    """The blocks, ready to be folded, and the findings among them.

    A block that cannot be decoded is a finding, and the rest of its source is not read: its position must not pass what
    was not folded. Raises SourceError at the end if there was one; all other sources were read then.
    """
    for item in _settled(
        block if isinstance(block, Finding) else _Decoding(block, partial(decoder.decode, block)) for block in blocks
    ):
        assert not isinstance(item, Idle)
        yield item


def _begun(
    decoder: BlockDecoder, blocks: Iterable[Block | Finding], pool: ThreadPoolExecutor
) -> Iterator[_Decoding | Finding]:
    """The same blocks in their order, decoded by the threads of a pool from now on."""
    for block in blocks:
        yield block if isinstance(block, Finding) else _Decoding(block, pool.submit(decoder.decode, block).result)


def _settled(items: Iterable[_Decoding | Finding | Idle]) -> Iterator[Decoded | Finding | Idle]:
    """The batches in the order of their blocks. Raises SourceError as `decoded` does."""
    failed: dict[str, str] = {}
    for item in items:
        if not isinstance(item, _Decoding):
            yield item
        elif (block := item.block).source not in failed:
            try:
                batch, oversize = item.result()
            except Exception as error:  # whatever is wrong with one source, the others are read
                finding = Finding.unreadable(block.source, error)
                failed[block.source] = finding.message
                yield finding
                continue
            if batch.padding:
                yield _padded(block.source, batch.padding)
            yield Decoded(batch, oversize, block.position, block.consumed_bytes)
    if failed:
        raise SourceError("; ".join(failed.values()))


def _padded(source: str, padding: int) -> Finding:
    return Finding(
        source,
        "padded",
        f"{source}: {padding:,} NUL bytes in front of records were skipped, as a crash or a rotation of a log leaves "
        "them; the records after them count",
    )


def fold(engine: Engine, block: Decoded) -> Counter[Outcome]:
    """Fold one block into memory; the outcome of its events, rejects included."""
    with engine.intact():
        return engine.reject(block.oversize) + engine.fold(block.batch, block.position)
