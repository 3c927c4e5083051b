"""A scenario: its events in their shards, the batches that Lambda may make of them, and the rules of the protocol."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Literal

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.fold import Node, Outcome, Stored, Total, fold, net

PIPELINE: Pipeline = parse_toml(
    """
    name = "model"
    [event]
    key = "key"
    version = "version"
    delete = "deleted"
    [rollups]
    all = ["leaf"]
    [measures]
    amount = { sum = "amount", scale = 0 }
    """
)
"""A root with leaves, and one measure: the least tree in which a key can move."""

Record = tuple[Event, ...]
"""A record of the stream: the events of its lines."""

Again = Literal["never", "as they were", "in any order"]


@dataclass(frozen=True, slots=True)
class ModelScenario:
    """What is explored, in every interleaving."""

    name: str
    about: str
    shards: tuple[tuple[Record, ...], ...]
    batch_records: int = 2
    """Records of a delivery, at most; every smaller number happens too."""
    chunk_keys: int = 2
    """Keys of a transaction of StateLambda: 1, or else all of a batch."""
    delta_items: int = 1
    """Deltas of a chunk: all nodes in one, or 2: the root in one and the leaves in another."""
    batch_deltas: int = 2
    """Deltas that ReduceLambda is given at a time, at most."""
    group_deltas: int = 2
    """Deltas of one of its transactions, at most."""
    states_at_once: int = 2
    """Invocations of StateLambda, those given up among them."""
    reducers_at_once: int = 1
    sweepers_at_once: int = 1
    zombies: bool = True
    """Whether Lambda gives up invocations that go on, and delivers records that are finished."""
    rewinds: bool = False
    """Whether a checkpoint moves back."""
    announcements_again: bool = True
    """Whether the stream of ReduceTable delivers records again that are done with."""
    announcements_lost: bool = True
    """Whether records of that stream age out unread."""
    change_shards: tuple[tuple[int, ...], ...] = ()
    """In economy mode, for each key the shards of StateTable's stream of which its changes are in any; else nothing."""
    reads_first: bool = True
    """Whether StateLambda may read a key before it writes it, as it does where most of many were refused."""
    batch_changes: int = 2
    """Records of that stream that NetLambda is given at a time, at most; every smaller number happens too."""
    step_changes: int = 2
    """Those that one of its transactions nets: 1, or else all of a batch."""
    netters_at_once: int = 2
    """Invocations of NetLambda, those given up among them."""
    net_zombies: bool = True
    """Whether Lambda gives up invocations of NetLambda that go on, and delivers changes that are finished."""

    @property
    def economy(self) -> bool:
        """Whether states are written unread, and totals follow from StateTable's stream."""
        return bool(self.change_shards)


def live(key: str, version: int, leaf: str, amount: int) -> Event:
    """An event that counts."""
    return Event(key, version, Content((leaf,), (amount,)))


def gone(key: str, version: int) -> Event:
    """A delete."""
    return Event(key, version, DELETED)


def records(*events: Event) -> tuple[Record, ...]:
    """A record of each event."""
    return tuple((event,) for event in events)


@dataclass(frozen=True, slots=True)
class DeliveredBatch:
    """Records as they are delivered together."""

    shard: int
    places: tuple[int, ...]
    """Their positions in the shard."""
    keys: tuple[int, ...]
    """Their keys, in the order of the first events."""
    events: tuple[tuple[Event, ...], ...]
    """Those of each of the keys."""
    first: tuple[int, ...]
    """For each of the keys, how many records come before its first event."""

    @property
    def end(self) -> int:
        """The checkpoint after it, if it came in order."""
        return self.places[-1] + 1


class Batches:
    """All batches of a scenario, by numbers."""

    def __init__(self, scenario: ModelScenario, keys: Sequence[str]) -> None:
        self.known: list[DeliveredBatch] = []
        self._shards = scenario.shards
        self._most = scenario.batch_records
        self._keys = keys
        self.next = cache(self._next)
        self.beside = cache(self._beside)

    def _next(self, shard: int, checkpoint: int) -> tuple[int, ...]:
        """Those that Lambda may deliver next."""
        ends = range(checkpoint + 1, min(checkpoint + self._most, len(self._shards[shard])) + 1)
        return tuple(self._number(shard, tuple(range(checkpoint, end))) for end in ends)

    def _beside(self, shard: int, checkpoint: int) -> tuple[int, ...]:
        """Those that may come beside: as any delivery up to now may have had them, or finished records in any order."""
        before = [batch for start in range(checkpoint + 1) for batch in self._next(shard, start)]
        lengths = range(1, self._most + 1)
        mixed = (places for length in lengths for places in permutations(range(checkpoint), length))
        return tuple(sorted({*before, *(self._number(shard, places) for places in mixed)}))

    def _number(self, shard: int, places: tuple[int, ...]) -> int:
        arrivals: dict[int, list[tuple[int, Event]]] = {}
        for index, place in enumerate(places):
            for event in self._shards[shard][place]:
                arrivals.setdefault(self._keys.index(event.key), []).append((index, event))
        batch = DeliveredBatch(
            shard,
            places,
            tuple(arrivals),
            tuple(tuple(event for _, event in some) for some in arrivals.values()),
            tuple(some[0][0] for some in arrivals.values()),
        )
        if batch not in self.known:
            self.known.append(batch)
        return self.known.index(batch)


Fold = Callable[[Stored | None, Event], tuple[Outcome, Stored]]
Net = Callable[[Pipeline, Iterable[tuple[Stored | None, Stored | None]]], dict[Node, Total]]


@dataclass(frozen=True, slots=True)
class ProtocolRules:
    """How the functions behave."""

    fold: Fold = fold
    net: Net = net
    state_condition: Literal["version and content", "version", "none"] = "version and content"
    """What must still stand where a new state is put."""
    delta_condition: bool = True
    """Whether a delta is put only where there is none of its id."""
    transactions: Literal["one", "delta first", "state first"] = "one"
    """Whether states and deltas are written together, or else which come first."""
    refused: Literal["read again", "insist", "take for done"] = "read again"
    """What StateLambda does about keys whose condition failed."""
    tokens_of: Literal["content", "first record"] = "content"
    """What tokens are made of; a mismatch of the second kind is taken for success."""
    keeps_deletes: bool = True
    """Whether a deleted key's version stays."""
    keeps_tail: bool = True
    """Whether what did not fit into the first chunk gets one of its own."""
    keeps_unfinished: bool = True
    """Whether the answer names the first record that is not finished when the time is up."""
    notes_first: bool = True
    """Whether contradictions are noted before the states are written, or after."""
    reduce_condition: bool = True
    """Whether ReduceLambda deletes deltas on the condition that they exist."""
    sweep_condition: bool = True
    """Whether the sweeper does."""
    sweeps: bool = True
    """Whether there is a sweeper."""
    unread_condition: Literal["lower", "not higher", "none"] = "lower"
    """In economy mode, what the version must be that a state replaces unread."""
    position_condition: bool = True
    """Whether NetLambda moves a shard's position on the condition that it is where it was."""
    netting: Literal["one", "deltas first", "position first"] = "one"
    """Whether deltas and position are written together, or else which come first."""
    position_of: Literal["shard", "stream"] = "shard"
    """Whether each shard has a position of its own."""
    position_moves_to: Literal["what is netted", "end of batch"] = "what is netted"
    """Where the position moves."""
    net_keeps_unfinished: bool = True
    """Whether NetLambda's answer names the first record that is not netted when the time is up, or says all is."""
    one_lane: bool = True
    """Whether Lambda delivers one batch of a shard of StateTable's stream at a time."""
    retries_for_ever: bool = True
    """Whether Lambda delivers a batch of it until it is finished."""


PROTOCOL = ProtocolRules()
