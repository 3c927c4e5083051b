"""A scenario: which events lie in which shards, how large the pieces are, and how much may be under way at once."""

from dataclasses import dataclass
from typing import Literal

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.event import DELETED, Content, Event

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
class Scenario:
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


def live(key: str, version: int, leaf: str, amount: int) -> Event:
    """An event that counts."""
    return Event(key, version, Content((leaf,), (amount,)))


def gone(key: str, version: int) -> Event:
    """A delete."""
    return Event(key, version, DELETED)


def records(*events: Event) -> tuple[Record, ...]:
    """A record of each event."""
    return tuple((event,) for event in events)
