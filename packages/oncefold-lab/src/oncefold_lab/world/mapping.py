"""Event source mappings in virtual time. The rules of shards, lanes and verdicts are those of `oncefold_lab.local`."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from oncefold_lab.local.environment import InvocationResult
from oncefold_lab.local.lanes import Discarded, RecordBatch, RecordLane, Verdict, describe, tumbling, verdict_in
from oncefold_lab.local.settings import MappingSettings, PollTiming
from oncefold_lab.local.shards import MappingShard, MappingShards, Repeat
from oncefold_lab.local.streams import RecordStream
from oncefold_lab.simulator.change_streams import RETENTION_SECONDS
from oncefold_lab.world.faults import InvocationFaults
from oncefold_lab.world.functions import SimulatedFunction
from oncefold_lab.world.scheduler import Scheduler

Trace = Callable[[str, str], None]
"""Gets who, and what it does."""


class Mapping:
    """Delivers a stream's records to a function, each at least once."""

    def __init__(
        self,
        settings: MappingSettings,
        stream: RecordStream,
        function: SimulatedFunction,
        discard: Callable[[str], object],
        scheduler: Scheduler,
        invocation_faults: InvocationFaults,
        trace: Trace,
    ) -> None:
        """`discard` gets the failure destination's messages."""
        self.settings = settings
        self._stream = stream
        self.function = function
        self._discard = discard
        self._scheduler = scheduler
        self._invocation_faults = invocation_faults
        self._trace = trace
        self._timing = PollTiming(clock=scheduler.clock, wall_clock=scheduler.clock)
        self._shards = self._new_shards()
        self._generation = 0
        self._under_way = 0
        self._paused = False
        self._finished: dict[str, RecordBatch] = {}
        self._touched_at = scheduler.clock()
        self._wakes_at = math.inf
        self._wake(scheduler.clock())

    @property
    def idle(self) -> bool:
        """Whether every record of the stream is finished or given up."""
        left = any(shard.waiting or shard.repeats for shard in self._shards)
        return not (left or self._under_way) and self._quiet

    def touch(self) -> None:
        """Say that there may be something new in the stream."""
        self._touched_at = self._scheduler.clock()
        self._wake(self._touched_at + self._timing.poll)

    def pause(self) -> None:
        """Disable it: what is under way ends, nothing else begins."""
        self._paused = True

    def resume(self) -> None:
        """Enable it again."""
        self._paused = False
        self.touch()

    def replay(self) -> None:
        """Forget how far it has come, and begin again with the oldest record there is."""
        self._shards = self._new_shards()
        self._generation += 1
        self._under_way = 0
        self._invocation_faults.ledger.note("stream replayed")
        self._trace(self.function.name, "stream replayed")
        self.touch()

    def deliver_again(self, *, cut: bool) -> None:
        """Deliver the last finished batch of each shard again, if its records are still kept.

        `cut`: a batch of more than one record in two, the later half first, as from a position that went back.
        """
        oldest = self._scheduler.clock() - RETENTION_SECONDS
        for shard in self._shards:
            batch = self._finished.get(shard.id)
            if batch is not None and batch.entries[0].arrived > oldest:
                shard.repeats += [Repeat(part, 0) for part in (_parts(batch) if cut else [batch])]
        self.touch()

    @property
    def _quiet(self) -> bool:
        """Whether nothing was written since the stream was last seen empty."""
        return self._shards.empty_at() > self._touched_at

    def _new_shards(self) -> MappingShards:
        return MappingShards(self.settings, self._stream, self._timing, self._invocation_faults)

    def _wake(self, due: float) -> None:
        """Take a turn then, unless one comes before it."""
        if due < self._wakes_at:
            self._wakes_at = due
            self._scheduler.at(due, partial(self._turn, due))

    def _turn(self, due: float) -> None:
        """Do all that is due, and plan the next turn. One that another overtook is left out."""
        if due != self._wakes_at:
            return
        self._wakes_at = math.inf
        if self._paused:
            return
        now = self._scheduler.clock()
        self._read()
        for shard in self._shards:
            for lane in shard.lanes:
                while lane.due() <= now:
                    self._deliver(shard, lane, now)
            for repeat in shard.due_repeats():
                self._invoke(shard, None, repeat.batch)
        lanes = min((lane.due() for shard in self._shards for lane in shard.lanes), default=math.inf)
        self._wake(max(now, lanes if self._quiet else min(lanes, self._shards.due())))

    def _read(self) -> None:
        try:
            self._shards.refresh(-math.inf)
        except (BotoCoreError, ClientError):
            self._shards.postpone()

    def _deliver(self, shard: MappingShard, lane: RecordLane, now: float) -> None:
        batch, discarded = lane.take(now)
        self._give_up(shard, discarded)
        if batch is not None:
            self._invoke(shard, lane, batch)

    def _invoke(self, shard: MappingShard, lane: RecordLane | None, batch: RecordBatch) -> None:
        again = "" if lane else " again"
        self._trace(self.function.name, f"gets {_words(batch)} of {shard.id}{again}")
        self._under_way += 1
        on_result = partial(self._finished_invocation, self._generation, shard, lane, batch)
        self.function.invoke(batch.payload(tumbling(self.settings, shard.id, batch)), on_result)

    def _finished_invocation(
        self,
        generation: int,
        shard: MappingShard,
        lane: RecordLane | None,
        batch: RecordBatch,
        invocation: InvocationResult,
    ) -> None:
        if invocation.error is not None:
            self._trace(invocation.request, f"failed: {invocation.error.type} {invocation.error.message}".rstrip())
        if generation != self._generation:
            return
        self._under_way -= 1
        if lane is not None:
            verdict = verdict_in(self.settings, invocation, batch)
            self._note(verdict, batch)
            self._give_up(shard, lane.finish(verdict, self._scheduler.clock()))
            if verdict.finished == len(batch.entries):
                self._finished[shard.id] = batch
            for repeat in shard.repeats:
                repeat.after -= 1
            after = self._invocation_faults.repeat_after() if verdict.finished == len(batch.entries) else None
            if after is not None:
                shard.repeats.append(Repeat(batch, after))
        self._wake(self._scheduler.clock())

    def _note(self, verdict: Verdict, batch: RecordBatch) -> None:
        rest = len(batch.entries) - verdict.finished
        if not rest:
            return
        note = self._invocation_faults.ledger.note
        if not verdict.unhandled:
            note("partial answer")
        if self.settings.bisect and not verdict.finished and rest > 1:
            note("bisected")

    def _give_up(self, shard: MappingShard, discarded: Discarded | None) -> None:
        if discarded is not None:
            self._invocation_faults.ledger.note(f"discarded: {discarded.condition}")
            self._trace(self.function.name, f"{discarded.condition}: {_words(discarded.batch)} of {shard.id}")
            self._discard(describe(self.settings, shard.id, discarded, self._scheduler.clock()))


def _parts(batch: RecordBatch) -> list[RecordBatch]:
    """The halves of a batch, the later one first."""
    middle = (len(batch.entries) + 1) // 2
    halves = (batch.entries[middle:], batch.entries[:middle])
    return [replace(batch, entries=half) for half in halves if half]


def _words(batch: RecordBatch) -> str:
    first, last = batch.entries[0].sequence, batch.entries[-1].sequence
    return f"{len(batch.entries)} records {first[-6:]}-{last[-6:]}"
