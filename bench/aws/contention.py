"""What hot keys cost: state writes tried for events of unevenly frequent keys on many shards, in virtual time.

The simulated services and event source mappings of the lab run the functions as they are; nothing goes wrong but that
invocations overtake each other. A write is tried once for each transaction that holds it, refused or not.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from bench.definition import PIPELINE
from oncefold.aws.stream.records import hashed
from oncefold.core.event import Content, Event
from oncefold_lab.search import oracle
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.scenario import NAMES, SimulatedDeployment, StackShape
from oncefold_lab.search.workload import SentLine, line_of
from oncefold_lab.world.scheduler import random_source
from oncefold_lab.world.world import World, WorldSettings

EVENTS, KEYS, SHARDS = 3_000, 1_000, 16
EXPONENT = 1.2
"""Of Zipf's law: the key of rank r comes with a weight of r ** -EXPONENT."""
BATCH = 500
SEEDS = (1, 2, 3)
_REQUEST_RECORDS = 500
_DONE_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Contention:
    """What a run took."""

    partition: str
    events: int
    tried: int
    """Writes of states in transactions, refused ones too."""
    done: int
    """Those of them in transactions that were done."""
    refused: int
    """Transactions."""


class _Counted:
    """A client whose writes of states are counted."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.exceptions = client.exceptions
        self.tried = self.done = self.refused = 0

    def transact_write_items(self, **request: Any) -> Any:
        """TransactWriteItems."""
        puts = [entry["Put"] for entry in request["TransactItems"] if "Put" in entry]
        states = sum(put["TableName"] == NAMES.state_table for put in puts)
        self.tried += states
        try:
            answer = self._client.transact_write_items(**request)
        except Exception:
            self.refused += bool(states)
            raise
        self.done += states
        return answer

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)


class _Stack(Oncefold):
    def deploy(self, world: World) -> None:
        super().deploy(world)
        self.counted = self._client = _Counted(self._client)


def lines(events: int, keys: int, seed: int) -> list[SentLine]:
    """Events of keys by Zipf's law, each a newer version of its key than the one before."""
    random = random_source(seed, "contention")
    weights = list(accumulate(rank**-EXPONENT for rank in range(1, keys + 1)))
    made = []
    for number in range(events):
        key = f"k{bisect_left(weights, random.random() * weights[-1])}"
        labels = tuple(f"{level}{random.randrange(2)}" for level in "tdr")
        made.append(line_of(PIPELINE, Event(key, number, Content(labels, (random.randrange(10_000),)))))
    return made


def run_contention(*, by_key: bool, events: int = EVENTS, keys: int = KEYS, seed: int = 1) -> Contention:
    """Fold the events; raises AssertionError if the totals are not exact then."""
    sent = lines(events, keys, seed)
    shape = StackShape(batch_size=BATCH, timeout_seconds=60.0)
    system = _Stack(SimulatedDeployment(PIPELINE, SHARDS, shape, shape), sent)
    world = World(seed, WorldSettings())
    world.calm()
    try:
        system.deploy(world)
        _put(world, sent, by_key=by_key)
        end = world.scheduler.clock() + _DONE_SECONDS
        assert world.scheduler.run(end, lambda: _is_done(world, system)), "it does not come to an end"
    finally:
        world.close()
    expected = oracle.totals(PIPELINE, [line.event for line in sent if line.event])
    assert not oracle.differences(expected, system.totals()), "the totals are wrong"
    counted = system.counted
    return Contention(
        "by key" if by_key else "evenly", events, counted.tried, counted.done, counted.refused
    )  # fmt: skip


def _put(world: World, sent: list[SentLine], *, by_key: bool) -> None:
    entries: list[Mapping[str, Any]] = [
        {
            "Data": line.data,
            "PartitionKey": hashed(line.event.key.encode() if by_key and line.event else line.data),
        }
        for line in sent
    ]
    for start in range(0, len(entries), _REQUEST_RECORDS):
        world.kinesis.put_records(StreamName=NAMES.stream, Records=entries[start : start + _REQUEST_RECORDS])
    for mapping in world.mappings:
        mapping.touch()


def _is_done(world: World, system: _Stack) -> bool:
    return (
        all(mapping.idle for mapping in world.mappings)
        and not any(function.under_way for function in world.functions.values())
        and system.is_complete()
    )
