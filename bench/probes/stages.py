"""Where the time goes: the stages of a run one after the other in one thread, each with a clock of its own.

In a run of its own the stages overlap in three threads; here one at a time is under way, so that the processor time
of the whole process is the stage's, helper threads of its libraries included. What a stage takes beyond that is
waiting: for the disk, or for a core.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from bench.definition import PIPELINE
from bench.probes.common import read_through, sources
from bench.totals import digest_of_store
from oncefold.embedded.decoding import BlockDecoder
from oncefold.embedded.engine import Engine
from oncefold.embedded.run import COMMIT_ROWS
from oncefold.sources.blocks import Block, Finding
from oncefold.store import blobs
from oncefold.store.writer import Store

STAGES = ("read", "decode", "fold", "take_commit", "blobs", "SQLite")


class Clocks:
    """Processor and wall time by stage, in nanoseconds; a stage within another is taken out of it."""

    def __init__(self) -> None:
        self.cpu: Counter[str] = Counter()
        self.wall: Counter[str] = Counter()
        self._outer: list[str] = []

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Count what happens inside as this stage."""
        self._outer.append(stage)
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        try:
            yield
        finally:
            cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
            self._outer.pop()
            self.cpu[stage] += cpu
            self.wall[stage] += wall
            if self._outer:
                self.cpu[self._outer[-1]] -= cpu
                self.wall[self._outer[-1]] -= wall


def measure(files: list[str], store: str) -> dict[str, Any]:
    """Nanoseconds per event of every stage."""
    (file,) = files
    read_through(file)
    clocks = Clocks()
    began = time.perf_counter()
    events = _run(store, sources(file).blocks(), clocks)
    seconds = time.perf_counter() - began
    return {
        "events": events,
        "seconds": seconds,
        "cpu": {stage: clocks.cpu[stage] / events for stage in STAGES},
        "wall": {stage: clocks.wall[stage] / events for stage in STAGES},
        "sha256": digest_of_store(store),
    }


def _run(path: str, blocks: Iterator[Block | Finding], clocks: Clocks) -> int:
    """What `oncefold.embedded.run` does, in one thread."""
    encode = blobs.encode

    def timed_encode(batch: Any) -> Any:
        with clocks.on("blobs"):
            return encode(batch)

    decoder = BlockDecoder(PIPELINE)
    events = 0
    with Store.open(path, PIPELINE) as store, patch.object(blobs, "encode", timed_encode):
        engine = Engine(store, time.time_ns)
        for block in _read(blocks, clocks):
            with clocks.on("decode"):
                batch, oversize = decoder.decode(block)
            with clocks.on("fold"):
                events += engine.reject(oversize).total() + engine.fold(batch, block.position).total()
            if engine.pending_rows >= COMMIT_ROWS:
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
