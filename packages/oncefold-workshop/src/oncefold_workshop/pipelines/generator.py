"""GeneratorLambda: every minute it sends a burst of messages, and scores what became of them.

In easy mode every message is a new trade. In hard mode 5 of each 40 are duplicates, byte for byte, and 3 % of the
others modify a trade of the same burst: a trade at version 0 gets version 1, any other gets an older version that
comes late. The content of a modification is drawn anew each time.
"""

import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any
from uuid import UUID

import boto3

from oncefold_workshop.pipelines.messages import LEVELS, Leaf, nodes
from oncefold_workshop.pipelines.settings import (
    AGGREGATE_KEY,
    HARD_MODE,
    PARAMETER_KEY,
    PARAMETER_VALUE,
    STREAM,
    ParameterTable,
    PipelineSettings,
    TableNames,
)

BATCH = 40
BATCHES = 250
DUPLICATES = 5
"""Of each batch, in hard mode."""
MODIFIED = 0.03
"""Of the other messages, in hard mode."""
CENTS = 10_000_000
"""The greatest value."""
RISK_TYPES = ("PV", "Delta")
DESKS = ("FXSpot", "FXOptions")
REGIONS = ("EMEA", "APAC", "AMER")
POINTS = 100
HARD_FROM = 300
WAIT_SECONDS = 30.0
"""From the last message to the look that decides."""
TOLERANCE = Decimal("0.00001")
SCORE, SPECIAL, ROUNDS = "SCORE", "SPECIAL_TRADES", "ROUNDS"
"""Parameters: points so far, whether messages are those of hard mode, and the points of each round."""


@dataclass(frozen=True, slots=True)
class TradeVersion:
    """What one message says."""

    trade: str
    version: int
    cents: int
    leaf: Leaf
    """By LEVELS: risk type, desk, region."""

    def text(self, timestamp: float) -> str:
        """The message."""
        labels = dict(zip(LEVELS, self.leaf, strict=True))
        return json.dumps(
            {
                "TradeID": self.trade,
                "Value": self.cents / 100,
                "Version": self.version,
                "Timestamp": timestamp,
                "Hierarchy": {level: labels[level] for level in ("RiskType", "Region", "TradeDesk")},
            }
        )


class Burst:
    """The messages of one burst, and what they add up to."""

    def __init__(self, source: Random, *, hard: bool) -> None:
        self._random = source
        self._hard = hard
        self._state: dict[str, TradeVersion] = {}
        self._trades: list[str] = []

    def own(self, size: int = BATCH) -> int:
        """How many messages of a batch are no duplicates."""
        return size - size * DUPLICATES // BATCH if self._hard else size

    def next(self) -> TradeVersion:
        """One message more."""
        source = self._random
        if self._hard and self._trades and source.random() < MODIFIED:
            known = self._state[source.choice(self._trades)]
            version = known.version - 1 if known.version else 1
            message = self._drawn(known.trade, version)
        else:
            message = self._drawn(str(UUID(int=source.getrandbits(128), version=4)), 0)
            self._trades.append(message.trade)
        stored = self._state.get(message.trade)
        if stored is None or stored.version < message.version:
            self._state[message.trade] = message
        return message

    def _drawn(self, trade: str, version: int) -> TradeVersion:
        source = self._random
        leaf = source.choice(RISK_TYPES), source.choice(DESKS), source.choice(REGIONS)
        return TradeVersion(trade, version, source.randrange(CENTS + 1), leaf)

    def repeated(self, batch: list[Any], size: int) -> list[Any]:
        """A batch filled up to its size with duplicates of its own, behind the others."""
        return [*batch, *(self._random.choice(batch) for _ in range(size - len(batch)))]

    def totals(self) -> dict[str, int]:
        """What every node has to grow by, in cents."""
        totals: dict[str, int] = {}
        for message in self._state.values():
            for node in nodes(message.leaf):
                totals[node] = totals.get(node, 0) + message.cents
        return totals


@dataclass(frozen=True, slots=True)
class Scores:
    """A team's points, as they stand in its ParameterTable."""

    total: int
    rounds: tuple[int, ...] = ()
    """The points of each round; nothing where another generator keeps the score."""


@dataclass(frozen=True, slots=True)
class Generator:
    """Sends bursts into a stream and keeps the score of a pipeline."""

    dynamodb: Any
    kinesis: Any
    tables: TableNames
    stream: str
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    random: Random
    batches: int = BATCHES

    def round(self) -> int:
        """Send a burst, wait, and score it; its points."""
        parameters = ParameterTable(self.dynamodb, self.tables.parameter)
        before = self._read()
        burst = Burst(self.random, hard=bool(parameters.number(SPECIAL)))
        for _ in range(self.batches):
            self._send(burst)
        self.sleep(WAIT_SECONDS)
        points = POINTS if is_right(before, self._read(), burst.totals()) else 0
        self._score(parameters, points)
        return points

    def _send(self, burst: Burst) -> None:
        texts = [burst.next().text(self.clock()) for _ in range(burst.own())]
        sent = burst.repeated(texts, BATCH)
        records = [{"Data": text.encode(), "PartitionKey": partition_key(text)} for text in sent]
        while records:
            answer = self.kinesis.put_records(StreamName=self.stream, Records=records)
            failed = zip(records, answer["Records"], strict=True)
            records = [record for record, result in failed if "ErrorCode" in result]

    def _read(self) -> dict[str, Decimal]:
        return {
            item[AGGREGATE_KEY]["S"]: Decimal(item["Value"]["N"])
            for item in _scanned(self.dynamodb, self.tables.aggregate)
            if "Value" in item
        }

    def _score(self, parameters: ParameterTable, points: int) -> None:
        scores = read_scores(self.dynamodb, self.tables.parameter)
        total = scores.total + points
        rounds = [{"N": str(number)} for number in (*scores.rounds, points)]
        parameters.put({SCORE: total})
        item = {PARAMETER_KEY: {"S": ROUNDS}, PARAMETER_VALUE: {"N": str(len(rounds))}, "points": {"L": rounds}}
        self.dynamodb.put_item(TableName=self.tables.parameter, Item=item)
        if total >= HARD_FROM:
            parameters.put({SPECIAL: 1, **HARD_MODE.parameters()})


def partition_key(text: str) -> str:
    """A hash of the message: a trade's versions are not kept in order."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_right(before: Mapping[str, Decimal], after: Mapping[str, Decimal], cents: Mapping[str, int]) -> bool:
    """Whether every node of a burst has grown by what it had to."""
    zero = Decimal(0)
    return all(
        node in after and abs(after[node] - before.get(node, zero) - Decimal(wanted) / 100) <= TOLERANCE
        for node, wanted in cents.items()
    )


def read_scores(dynamodb: Any, table: str) -> Scores:
    """The points in a ParameterTable."""
    items = {item[PARAMETER_KEY]["S"]: item for item in _scanned(dynamodb, table)}
    rounds: Iterable[Any] = items[ROUNDS]["points"]["L"] if ROUNDS in items else ()
    total = int(items[SCORE][PARAMETER_VALUE]["N"]) if SCORE in items else 0
    return Scores(total, tuple(int(points["N"]) for points in rounds))


def _scanned(dynamodb: Any, table: str) -> Iterator[Mapping[str, Any]]:
    start: dict[str, Any] = {}
    while True:
        page = dynamodb.scan(TableName=table, ConsistentRead=True, **start)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


@cache
def _generator() -> Generator:
    settings = PipelineSettings.of(os.environ)
    stream = os.environ.get("WORKSHOP_STREAM", STREAM)
    source = random.SystemRandom()
    return Generator(
        boto3.client("dynamodb"), boto3.client("kinesis"), settings.tables, stream, time.time, time.sleep, source
    )


def generate(event: Mapping[str, Any], context: Any) -> dict[str, int]:  # noqa: ARG001 - nothing of them is needed
    """GeneratorLambda, once a minute; its timeout has to be 55 s."""
    return {"points": _generator().round()}
