"""What is sent: the workshop's messages by the rules of its generator.

Bursts of batches of 40. In easy mode every message is a new trade. From hard mode on 5 of each 40 are duplicates, byte
for byte, and 3 % of the others are modifications of earlier trades, some of them carrying an older version.
"""

from collections.abc import Iterator
from random import Random
from typing import Protocol
from uuid import UUID

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.event import Content, Event
from oncefold_lab.search.workload import Line, Send
from oncefold_lab.world import chance
from oncefold_lab.world.scheduler import START
from oncefold_workshop.game.rules import MESSAGES_PER_SECOND, Mode, Round

BATCH = 40
DUPLICATES = 5
"""Of each batch of 40."""
MODIFIED = 0.03
OLDER = 1 / 3
"""Of the modifications: they carry an older version."""
MOVED = 0.2
"""Of the modifications: they go to another leaf."""
_CENTS = 10_000_000
_RISK_TYPES = ("PV", "Delta")
_REGIONS = ("EMEA", "APAC", "AMER")
_DESKS = ("FXSpot", "FXOptions")

WORKSHOP = parse_toml(
    """
    name = "risk"
    [event]
    key = "TradeID"
    version = "Version"
    time = "Timestamp"
    [rollups]
    risk = ["Hierarchy.RiskType", "Hierarchy.TradeDesk", "Hierarchy.Region"]
    [measures]
    value = { sum = "Value", scale = 2 }
    """,
    "the workshop's pipeline",
)


class Source(Protocol):
    """What is sent in a game."""

    @property
    def pipeline(self) -> Pipeline:
        """What the messages mean."""

    def sends(self, played: Round) -> tuple[Send, ...]:
        """The messages of a round; rounds have to be asked for in their order."""


def batches(played: Round) -> Iterator[tuple[float, int]]:
    """When each batch of a round is sent, in seconds since the game began, and how many messages it has."""
    for first in range(0, played.messages, BATCH):
        size = min(BATCH, played.messages - first)
        yield played.start + (first + size) / MESSAGES_PER_SECOND, size


def mixed(random: Random, lines: list[Line], size: int) -> list[Line]:
    """A batch's own messages filled up to its size with duplicates of them, in any order."""
    if not lines:
        return lines
    batch = lines + [random.choice(lines) for _ in range(size - len(lines))]
    random.shuffle(batch)
    return batch


def own(played: Round, size: int) -> int:
    """How many messages of a batch are no duplicates."""
    return size if played.mode is Mode.EASY else size - size * DUPLICATES // BATCH


class _Trade:
    """A trade as it was sent last. New versions are even, so that there always is an older one that was never sent."""

    __slots__ = ("id", "labels", "older", "version")

    def __init__(self, trade: str, labels: tuple[str, ...]) -> None:
        self.id = trade
        self.labels = labels
        self.version = 2
        self.older = False


class WorkshopSource:
    """The workshop's generator."""

    pipeline = WORKSHOP

    def __init__(self, seed: int) -> None:
        self._random = chance.source(seed, "messages")
        self._trades: list[_Trade] = []

    def sends(self, played: Round) -> tuple[Send, ...]:
        """See Source."""
        return tuple(self._send(played, at, size) for at, size in batches(played))

    def _send(self, played: Round, at: float, size: int) -> Send:
        lines = [self._line(played, at) for _ in range(own(played, size))]
        return Send(at, tuple((_key(line), (line,)) for line in mixed(self._random, lines, size)))

    def _line(self, played: Round, at: float) -> Line:
        random = self._random
        if played.mode is not Mode.EASY and self._trades and random.random() < MODIFIED:
            trade = random.choice(self._trades)
            if random.random() < OLDER and not trade.older:
                trade.older = True
                return self._message(trade, trade.version - 1, self._leaf(), at)
            trade.version, trade.older = trade.version + 2, False
            trade.labels = self._leaf() if random.random() < MOVED else trade.labels
        else:
            trade = _Trade(str(UUID(int=random.getrandbits(128), version=4)), self._leaf())
            self._trades.append(trade)
        return self._message(trade, trade.version, trade.labels, at)

    def _leaf(self) -> tuple[str, ...]:
        random = self._random
        return random.choice(_RISK_TYPES), random.choice(_DESKS), random.choice(_REGIONS)

    def _message(self, trade: _Trade, version: int, labels: tuple[str, ...], at: float) -> Line:
        cents = self._random.randrange(_CENTS + 1)
        risk, desk, region = labels
        text = (
            f'{{"TradeID": "{trade.id}", "Value": {cents // 100}.{cents % 100:02d}, "Version": {version}, '
            f'"Timestamp": {START + at:.4f}, '
            f'"Hierarchy": {{"RiskType": "{risk}", "Region": "{region}", "TradeDesk": "{desk}"}}}}'
        )
        return Line(text.encode(), Event(trade.id, version, Content(labels, (cents,))))


def _key(line: Line) -> str:
    """The partition key: a trade's messages stay in their shard."""
    assert line.event is not None
    return line.event.key
