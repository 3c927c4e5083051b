"""Reads a Kinesis stream as a source: all its shards at once, children after their parents, through splits and merges.

Each answer of a shard is a block, and its position, the shard's last sequence number, is committed with it. Calls are
made in threads, so that many shards are fetched while blocks are folded; everything is decided in one. At most THREADS
answers are under way or wait to be passed on, which bounds the memory.
"""

import queue
import random
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from oncefold.aws.stream.calls import describe
from oncefold.aws.stream.shards import CallFailed, Shard, ShardInfo, ShardRecords, StreamCalls, Times, parse_shard_state
from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Block, Finding
from oncefold.sources.inputs import STREAM
from oncefold.sources.waiting import Waiting

THREADS: Final = 10
"""Answers under way at a time: as many as there are connections in boto3's pool."""

SHARDS_SECONDS: Final = 10.0
"""A stream that is followed is queried this often for new shards, besides whenever a shard ends."""

_WAKE_SECONDS: Final = 0.1
"""A wait for an answer looks this often whether it should stop."""

_DELAYS: Final = {
    "busy": "reading goes on, more slowly; all readers of a shard share its limits",
    "unreachable": "trying again",
}


class KinesisStream:
    """A stream that is there. `blocks` is pulled by one thread."""

    def __init__(
        self,
        client: Any,
        name: str,
        positions: Mapping[str, str],
        *,
        follow: bool = False,
        wall_clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`wall_clock` gives seconds since 1970, `chance` numbers from 0 to 1.

        Raises SourceError if the stream is not there, cannot be reached, or a position cannot be understood.
        """
        self.source = STREAM + name
        self._follow, self._wall_clock, self._chance = follow, wall_clock, chance
        self._about = describe(client, name)
        self._calls = StreamCalls(client, name)
        self._states = {
            source: parse_shard_state(source, state)
            for source, state in positions.items()
            if source.startswith(f"{self.source}/")
        }
        self._shards: dict[str, Shard] = {}
        self._listed: frozenset[str] = frozenset()
        """The shards of the last listing."""
        self._list_due = float("inf")
        self._reported: set[str] = set()
        try:
            self._look()
        except CallFailed as failure:
            raise SourceError(f"{self.source}: {failure}") from None

    def blocks(self, waiting: Waiting) -> Iterator[Block | Finding]:
        """Everything up to now, or if following as it comes until stopped; and findings.

        Raises SourceError if it cannot be read on.
        """
        if (finding := self._replaced()) is not None:
            yield finding
            return
        yield from self._vanished()
        began = waiting.now()
        if self._follow:
            self._list_due = began + SHARDS_SECONDS
        fetches = _Fetches(self._calls)
        while not waiting.stopped():
            if waiting.now() >= self._list_due:
                yield from self._list(waiting.now())
            shards = sorted(self._readable(), key=lambda shard: shard.due)
            if not shards and not fetches.under_way and not self._follow and self._list_due == float("inf"):
                return
            for shard in shards:
                if shard.due <= waiting.now() and fetches.under_way < THREADS:
                    fetches.start(shard, Times(waiting.now(), self._wall_clock()))
            due = min([shard.due for shard in shards if not shard.requested] + [self._list_due])
            if not fetches.under_way:
                waiting.pause(min(max(0.0, due - waiting.now()), SHARDS_SECONDS))
                continue
            room = fetches.under_way < THREADS
            fetched = fetches.take(min(_WAKE_SECONDS, max(0.001, due - waiting.now())) if room else _WAKE_SECONDS)
            if fetched is not None:
                yield from self._fetched(fetched, began, waiting)

    def _fetched(self, fetched: "_Fetched", began: float, waiting: Waiting) -> Iterator[Block | Finding]:
        shard, outcome = fetched.shard, fetched.outcome
        if isinstance(outcome, ShardRecords):
            yield from shard.answered(outcome, fetched.times, began)
            self._add(outcome.children)
            if shard.done:
                self._list_due = waiting.now()
        elif not isinstance(outcome, CallFailed):
            raise outcome
        elif outcome.trouble == "gone" and (yield from self._is_gone(shard, waiting.now())):
            yield from shard.gone(fetched.times.wall)
        else:
            yield from self._delayed(outcome)
            yield from shard.failed(outcome, waiting.now(), self._chance(), follow=self._follow)

    def _is_gone(self, shard: Shard, now: float) -> Generator[Finding, None, bool]:
        """Whether the stream goes on without this shard. Raises SourceError if the stream is gone."""
        yield from self._list(now)
        return shard.info.id not in self._listed

    def _readable(self) -> Iterator[Shard]:
        """The shards to be read on, without those under way: each when its parents are read to their ends."""
        for shard in self._shards.values():
            parents = [self._shards[parent] for parent in shard.info.parents if parent in self._shards]
            over = shard.done or (shard.caught_up and not self._follow)
            if not over and not shard.requested and all(parent.done for parent in parents):
                yield shard

    def _list(self, now: float) -> Iterator[Finding]:
        """Look for shards that came since. Raises SourceError if the stream is gone."""
        try:
            self._look()
        except CallFailed as failure:
            if failure.trouble not in _DELAYS:
                raise SourceError(f"{self.source}: {failure}") from None
            yield from self._delayed(failure)
            self._list_due = now + SHARDS_SECONDS
        else:
            self._list_due = now + SHARDS_SECONDS if self._follow else float("inf")

    def _look(self) -> None:
        found = self._calls.shards()
        self._listed = frozenset(info.id for info in found)
        self._add(found)

    def _add(self, infos: Iterable[ShardInfo]) -> None:
        for info in infos:
            if info.id not in self._shards:
                self._shards[info.id] = self._shard(info)
            for parent in info.parents:
                if parent in self._shards:
                    self._shards[parent].close()

    def _shard(self, info: ShardInfo) -> Shard:
        kept = self._about.retention_hours * 3_600.0
        return Shard(info, self.source, self._about.created, kept, self._states.get(f"{self.source}/{info.id}"))

    def _delayed(self, failure: CallFailed) -> Iterator[Finding]:
        """Report once why reading is slow."""
        if failure.trouble in _DELAYS and failure.trouble not in self._reported:
            self._reported.add(failure.trouble)
            yield Finding(self.source, "delayed", f"{self.source}: {failure}; {_DELAYS[failure.trouble]}")

    def _replaced(self) -> Finding | None:
        """Whether it is another stream than the one that was read under its name."""
        if not any(self._is_of_another(shard.source) for shard in self._shards.values()):
            return None
        return Finding(
            self.source,
            "replaced",
            f"{self.source} was replaced: it was created anew since it was read; what was read of it stays counted, "
            "nothing new was read; --reread reads it from its oldest record, which never counts an event twice",
        )

    def _is_of_another(self, source: str) -> bool:
        state = self._states.get(source)
        return state is not None and state.made != self._about.created

    def _vanished(self) -> Iterator[Block | Finding]:
        """Report shards that left the stream before they were read to their ends."""
        there = {shard.source for shard in self._shards.values()}
        for source, state in self._states.items():
            if source not in there and not state.done and not self._is_of_another(source):
                yield from self._shard(ShardInfo(source.removeprefix(f"{self.source}/"))).gone(state.upto)


@dataclass(frozen=True, slots=True)
class _Fetched:
    shard: Shard
    times: Times
    outcome: ShardRecords | Exception


class _Fetches:
    """Answers under way, each in a thread of its own. Those that a stopped run leaves behind do not hold it up."""

    def __init__(self, calls: StreamCalls) -> None:
        self._calls = calls
        self._done: queue.SimpleQueue[_Fetched] = queue.SimpleQueue()
        self.under_way = 0
        """Requests whose answers were not taken."""

    def start(self, shard: Shard, times: Times) -> None:
        """Request the next records of a shard."""
        self.under_way += 1
        shard.requested = True
        request = shard.info.id, shard.at, shard.iterator
        threading.Thread(target=self._fetch, args=(shard, times, request), name="oncefold-shard", daemon=True).start()

    def take(self, seconds: float) -> _Fetched | None:
        """The next answer, if one comes within so many seconds."""
        try:
            fetched = self._done.get(timeout=seconds)
        except queue.Empty:
            return None
        self.under_way -= 1
        fetched.shard.requested = False
        return fetched

    def _fetch(self, shard: Shard, times: Times, request: tuple[str, str, str | None]) -> None:
        try:
            outcome: ShardRecords | Exception = self._calls.records(*request)
        except Exception as error:  # the reader handles it
            outcome = error
        self._done.put(_Fetched(shard, times, outcome))
