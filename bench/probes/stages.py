"""Where the time goes: the stages of a run one after the other in one thread, each with a clock of its own.

In a run of its own the stages overlap in three threads; here one at a time is under way, so that the processor time
of the whole process is the stage's, helper threads of its libraries included. What a stage takes beyond that is
waiting: for the disk, or for a core.
"""

import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from bench.definition import PIPELINE
from bench.probes.common import make_ready, sources
from bench.totals import digest_of_store
from oncefold.commit import CommitContent
from oncefold.engine.decoding import BlockDecoder
from oncefold.engine.engine import Engine
from oncefold.engine.run import COMMIT_BYTES, COMMIT_ROWS
from oncefold.sources.blocks import Block, Finding
from oncefold.store import writer
from oncefold.store.rows import Ends
from oncefold.store.writer import Store

STAGES = ("read", "decode", "fold", "take_commit", "blobs", "SQLite")


Reading = tuple[float, float, float]
"""Seconds: of the processor, of those the kernel's (most of all for memory that is touched first), and elapsed."""


class Clocks:
    """Seconds by stage; a stage within another is taken out of it."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {stage: [0.0, 0.0, 0.0] for stage in STAGES}
        self._outer: list[str] = []

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Count what happens inside as this stage."""
        self._outer.append(stage)
        began = _now()
        try:
            yield
        finally:
            taken = [after - before for after, before in zip(_now(), began, strict=True)]
            self._outer.pop()
            self._add(stage, taken, 1)
            if self._outer:
                self._add(self._outer[-1], taken, -1)

    def _add(self, stage: str, taken: Sequence[float], sign: int) -> None:
        self.seconds[stage] = [sum_ + sign * more for sum_, more in zip(self.seconds[stage], taken, strict=True)]


def _now() -> Reading:
    return time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_stime, time.perf_counter()


def measure(files: list[str], store: str) -> dict[str, Any]:
    """Nanoseconds per event of every stage: of the processor, of those the kernel's, and elapsed."""
    (file,) = files
    make_ready(file)
    clocks = Clocks()
    began = time.perf_counter()
    events = _run(store, sources(file).blocks(), clocks)
    seconds = time.perf_counter() - began
    return {
        "events": events,
        "seconds": seconds,
        "stages": {stage: [one * 1e9 / events for one in all_] for stage, all_ in clocks.seconds.items()},
        "sha256": digest_of_store(store),
    }


def _run(path: str, blocks: Iterator[Block | Finding], clocks: Clocks) -> int:
    """What `oncefold.engine.run` does, in one thread."""
    encode = writer.encode_commit

    def timed_encode(commit: CommitContent, before: Ends) -> Any:
        with clocks.on("blobs"):
            return encode(commit, before)

    decoder = BlockDecoder(PIPELINE)
    events = 0
    with Store.open(path, PIPELINE) as store, patch.object(writer, "encode_commit", timed_encode):
        engine = Engine(store, time.time_ns)
        for block in _read(blocks, clocks):
            with clocks.on("decode"):
                batch, oversize = decoder.decode(block)
            with clocks.on("fold"):
                events += engine.reject(oversize).total() + engine.fold(batch, block.position).total()
            if engine.pending_rows >= COMMIT_ROWS or engine.pending_bytes >= COMMIT_BYTES:
                _commit(engine, store, clocks)
        _commit(engine, store, clocks)
    return events


def _read(blocks: Iterator[Block | Finding], clocks: Clocks) -> Iterator[Block]:
    while True:
        with clocks.on("read"):
            block = next(blocks, None)
        if block is None:
            return
        if not isinstance(block, Finding):
            yield block


def _commit(engine: Engine, store: Store, clocks: Clocks) -> None:
    with clocks.on("take_commit"):
        commit = engine.take_commit()
    with clocks.on("SQLite"):
        store.commit(commit)
