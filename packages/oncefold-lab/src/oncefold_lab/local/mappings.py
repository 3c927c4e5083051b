"""Event source mappings: the records of a stream, handed to a function as Lambda does it.

One thread per mapping reads shards, cuts batches and reads answers; invocations run beside it, at most one for each
lane of a shard. What is finished is kept in memory: a mapping goes on where it stopped, and a new one begins at its
starting position.
"""

import math
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from botocore.exceptions import BotoCoreError, ClientError

from oncefold.core.errors import OncefoldError
from oncefold_lab.local.environment import InvocationResult
from oncefold_lab.local.lanes import Discarded, RecordBatch, RecordLane, describe, tumbling, verdict_in
from oncefold_lab.local.settings import Disturbance, MappingSettings, PollTiming, Undisturbed
from oncefold_lab.local.shards import MappingShard, MappingShards, Repeat
from oncefold_lab.local.streams import RecordStream

_WORKERS = 256


@dataclass(frozen=True, slots=True)
class MappingCounts:
    """What a mapping did so far."""

    batches: int = 0
    """Invocations, without repeated ones."""
    failed: int = 0
    """Those of them that did not finish their batch."""
    records: int = 0
    """Records finished."""
    discarded: int = 0
    """Records given up."""
    repeated: int = 0
    """Invocations with batches that were finished before."""


@dataclass(frozen=True, slots=True)
class _Result:
    """How an invocation went; without a lane, that of a repeated batch."""

    shard: MappingShard
    lane: RecordLane | None
    batch: RecordBatch
    outcome: InvocationResult | Exception


class EventSourceMapping:
    """Delivers a stream's records to a function, each at least once.

    `with EventSourceMapping(...) as mapping:` starts and stops it.
    """

    def __init__(
        self,
        settings: MappingSettings,
        stream: RecordStream,
        invoke: Callable[[bytes], InvocationResult],
        discard: Callable[[str], object] = lambda _: None,
        timing: PollTiming | None = None,
        disturbance: Disturbance | None = None,
    ) -> None:
        """`invoke` runs the function, from several threads; `discard` gets the failure destination's messages."""
        self.settings = settings
        self._invoke = invoke
        self._discard = discard
        self._timing = timing or PollTiming()
        self._disturbance = disturbance or Undisturbed()
        self._shards = MappingShards(settings, stream, self._timing, self._disturbance)
        self._results: queue.SimpleQueue[_Result | None] = queue.SimpleQueue()
        self._under_way = 0
        self._messages: list[str] = []
        self._counts = MappingCounts()
        self._troubles: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._begun = self._stopping = False
        self._broken: BaseException | None = None
        self._changed = threading.Condition()
        self._requested_at = self._idle_at = -math.inf

    @property
    def counts(self) -> MappingCounts:
        """What it did so far."""
        return self._counts

    def start(self) -> None:
        """Mark the starting position, or go on where it stopped. Raises OncefoldError if there is no such stream."""
        if not self._begun:
            try:
                self._shards.begin()
            except (BotoCoreError, ClientError) as error:
                raise OncefoldError(f"{self.settings.source_arn} cannot be read: {error}") from None
        self._begun, self._stopping = True, False
        self._thread = threading.Thread(target=self._run, name=f"mapping {self.settings.source_arn}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Wait for the invocations under way, and begin no other. Raises what it broke on, once."""
        if self._thread is None:
            return
        self._stopping = True
        self._results.put(None)
        self._thread.join()
        with self._changed:
            self._thread = None
            self._changed.notify_all()
        broken, self._broken = self._broken, None
        if broken is not None:
            raise broken

    def wait_until_idle(self, seconds: float) -> None:
        """Wait until every record that is in the stream now is finished or given up.

        Raises OncefoldError if so many seconds do not suffice, with what is left, or if the mapping does not run.
        """
        requested = self._timing.clock()
        with self._changed:
            self._requested_at = requested
            self._results.put(None)
            self._changed.wait_for(lambda: self._idle_at >= requested or self._thread is None or self._broken, seconds)
            idle = self._idle_at >= requested
        if self._broken is not None:
            raise OncefoldError(f"mapping of {self.settings.function_arn}: {self._broken}") from self._broken
        if not idle:
            raise OncefoldError(f"mapping of {self.settings.function_arn}: {self._left()}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _left(self) -> str:
        if self._thread is None:
            return "it is not running"
        waiting = sum(shard.waiting for shard in self._shards)
        message = [f"not idle in time; {waiting:,} records are read and not finished."]
        return " ".join([*message, *self._troubles.values()])

    def _run(self) -> None:
        try:
            with ThreadPoolExecutor(_WORKERS, "invocation") as workers:
                while not self._stopping:
                    self._complete(self._results_until(self._turn(workers)))
                while self._under_way:
                    self._complete(self._results_until(math.inf))
        except BaseException as error:
            with self._changed:
                self._broken = error
                self._changed.notify_all()

    def _turn(self, workers: ThreadPoolExecutor) -> float:
        """Do all that is due; when something is due again."""
        self._read()
        for shard in self._shards:
            for lane in shard.lanes:
                self._deliver(workers, shard, lane)
            for repeat in shard.due_repeats():
                self._submit(workers, shard, None, repeat.batch)
        self._send_messages()
        self._notify_idle()
        return min([self._shards.due(), *(lane.due() for shard in self._shards for lane in shard.lanes)])

    def _results_until(self, until: float) -> Iterator[_Result]:
        """Results as they are there; without any, the first to come by then."""
        wait = None if until == math.inf else max(until - self._timing.clock(), 0.0)
        try:
            result = self._results.get(timeout=wait)
            while True:
                if result is not None:
                    yield result
                result = self._results.get_nowait()
        except queue.Empty:
            return

    def _read(self) -> None:
        requested_at = self._requested_at
        try:
            self._shards.refresh(requested_at)
        except (BotoCoreError, ClientError) as error:
            self._troubles["stream"] = f"The stream cannot be read: {error}"
            self._shards.postpone()
        else:
            self._troubles.pop("stream", None)

    def _deliver(self, workers: ThreadPoolExecutor, shard: MappingShard, lane: RecordLane) -> None:
        """Deliver the batch that is due, if any."""
        while lane.due() <= self._timing.clock():
            batch, discarded = lane.take(self._timing.wall_clock())
            self._give_up(shard, discarded)
            if batch is not None:
                self._submit(workers, shard, lane, batch)

    def _submit(
        self, workers: ThreadPoolExecutor, shard: MappingShard, lane: RecordLane | None, batch: RecordBatch
    ) -> None:
        def run() -> None:
            outcome: InvocationResult | Exception
            try:
                outcome = self._invoke(batch.payload(tumbling(self.settings, shard.id, batch)))
            except Exception as error:
                outcome = error
            self._results.put(_Result(shard, lane, batch, outcome))

        self._under_way += 1
        workers.submit(run)

    def _complete(self, results: Iterable[_Result]) -> None:
        for result in results:
            self._under_way -= 1
            if isinstance(result.outcome, Exception):
                raise result.outcome
            if result.lane is None:
                self._counts = replace(self._counts, repeated=self._counts.repeated + 1)
            else:
                self._complete_batch(result.shard, result.lane, result.batch, result.outcome)

    def _complete_batch(
        self, shard: MappingShard, lane: RecordLane, batch: RecordBatch, invocation: InvocationResult
    ) -> None:
        verdict = verdict_in(self.settings, invocation, batch)
        whole = verdict.finished == len(batch.entries)
        self._counts = replace(
            self._counts,
            batches=self._counts.batches + 1,
            failed=self._counts.failed + (not whole),
            records=self._counts.records + verdict.finished,
        )
        if invocation.error is not None:
            message = f"The function's last error: {invocation.error.type}: {invocation.error.message}"
            self._troubles["function"] = message
        self._give_up(shard, lane.finish(verdict, self._timing.clock()))
        for repeat in shard.repeats:
            repeat.after -= 1
        after = self._disturbance.repeat_after() if whole else None
        if after is not None:
            shard.repeats.append(Repeat(batch, after))

    def _give_up(self, shard: MappingShard, discarded: Discarded | None) -> None:
        if discarded is not None:
            count = len(discarded.batch.entries)
            self._counts = replace(self._counts, discarded=self._counts.discarded + count)
            self._messages.append(describe(self.settings, shard.id, discarded, self._timing.wall_clock()))

    def _send_messages(self) -> None:
        try:
            while self._messages:
                self._discard(self._messages[0])
                del self._messages[0]
        except (BotoCoreError, ClientError) as error:
            self._troubles["destination"] = f"The failure destination cannot be reached: {error}"
        else:
            self._troubles.pop("destination", None)

    def _notify_idle(self) -> None:
        left = any(shard.waiting or shard.repeats for shard in self._shards)
        with self._changed:
            self._idle_at = -math.inf if left or self._under_way or self._messages else self._shards.empty_at()
            self._changed.notify_all()
