"""What happens to a stack at a moment, rather than to a call."""

from oncefold_lab.search.deployment import DRAIN_FUNCTION, NAMES
from oncefold_lab.search.scenario import (
    DRAIN,
    MERGE,
    OUTAGE,
    PAUSE,
    REPLAY_CHANGES,
    REPLAY_EVENTS,
    ROLL,
    SPLIT,
    SPLIT_CHANGES,
)
from oncefold_lab.world.world import World

PAUSE_SECONDS = 45.0


class Incidents:
    """Makes incidents happen in a world; where one cannot, nothing does.

    The first mapping is taken for that of the events, the last for the one that feeds the totals.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.random("incidents")
        self._table = world.mappings[-1].settings.source_arn.split("/")[1]
        self._acts = {
            SPLIT: self._split,
            MERGE: self._merge,
            ROLL: self._roll,
            SPLIT_CHANGES: self._split_changes,
            REPLAY_EVENTS: world.mappings[0].replay,
            REPLAY_CHANGES: world.mappings[-1].replay,
            PAUSE: self._pause,
            OUTAGE: self._outage,
            DRAIN: self._drain,
        }

    def happen(self, kind: str) -> None:
        """Let one happen."""
        self._world.trace("incident", kind)
        self._world.ledger.note(f"incident: {kind}")
        self._acts[kind]()

    def end_outage(self) -> None:
        """Bring back what the outage took."""
        self._world.enable(NAMES.sweep_function)
        self._world.mappings[-1].resume()

    def _open(self) -> list[tuple[int, int, str]]:
        """The open shards of the events' stream, in the order of their ranges."""
        stream = self._world.kinesis._streams[NAMES.stream]  # noqa: SLF001
        return sorted((shard.low, shard.high, shard.id) for shard in stream.shards() if shard.closed is None)

    def _split(self) -> None:
        low, high, shard = self._random.choice(self._open())
        middle = str((low + high) // 2)
        self._world.kinesis.split_shard(StreamName=NAMES.stream, ShardToSplit=shard, NewStartingHashKey=middle)
        self._world.mappings[0].touch()

    def _merge(self) -> None:
        shards = self._open()
        if len(shards) > 1:
            place = self._random.randrange(len(shards) - 1)
            (_, _, one), (_, _, other) = shards[place : place + 2]
            self._world.kinesis.merge_shards(StreamName=NAMES.stream, ShardToMerge=one, AdjacentShardToMerge=other)
            self._world.mappings[0].touch()

    def _changes(self) -> str:
        """An open shard of the stream that the last mapping reads."""
        stream = self._world.dynamodb._database.tables[self._table].stream  # noqa: SLF001
        assert stream is not None
        return self._random.choice(sorted(shard.id for shard in stream.shards.all.values() if shard.closed is None))

    def _roll(self) -> None:
        self._world.dynamodb.roll_shard(self._table, self._changes())
        self._world.mappings[-1].touch()

    def _split_changes(self) -> None:
        self._world.dynamodb.split_shard(self._table, self._changes())
        self._world.mappings[-1].touch()

    def _drain(self) -> None:
        drain = self._world.functions.get(DRAIN_FUNCTION)
        if drain is not None:
            drain.invoke(b"{}", lambda _: None)

    def _pause(self) -> None:
        mapping = self._world.mappings[0]
        mapping.pause()
        self._world.scheduler.after(PAUSE_SECONDS, mapping.resume)

    def _outage(self) -> None:
        self._world.disable(NAMES.sweep_function)
        self._world.mappings[-1].pause()
