"""GeneratorLambda on simulated services: what it sends, how it scores, when hard mode begins."""

import json
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_lab.simulator.kinesis import Kinesis
from oncefold_workshop.pipelines.deploy import make_tables
from oncefold_workshop.pipelines.generator import SCORE, SPECIAL, Generator, Scores, is_right, read_scores
from oncefold_workshop.pipelines.messages import LEVELS, addition, nodes
from oncefold_workshop.pipelines.settings import HARD_MODE, STREAM, TABLES, ParameterTable

NOW = 1_700_000_000.0


class Services:
    """A simulated DynamoDB and Kinesis, and a pipeline that is done while the generator waits."""

    def __init__(self, wrong_by: Callable[[int], str] = lambda _: "0") -> None:
        self.dynamodb = DynamoDB(lambda: NOW)
        self.kinesis = Kinesis(lambda: NOW, Random(1))
        make_tables(TABLES, self.dynamodb)
        self.kinesis.create_stream(StreamName=STREAM, ShardCount=1)
        self.slept: list[float] = []
        self.messages: list[dict[str, Any]] = []
        self._wrong_by = wrong_by
        self._iterator = self.kinesis.get_shard_iterator(
            StreamName=STREAM,
            ShardId=self.kinesis.list_shards(StreamName=STREAM)["Shards"][0]["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]

    def sleep(self, seconds: float) -> None:
        """Add the round's messages to the totals, each trade once, and perhaps something more."""
        self.slept.append(seconds)
        page = self.kinesis.get_records(ShardIterator=self._iterator)
        self._iterator = page["NextShardIterator"]
        newest: dict[str, dict[str, Any]] = {}
        self.messages = [json.loads(record["Data"]) for record in page["Records"]]
        for message in self.messages:
            known = newest.get(message["TradeID"])
            if known is None or known["Version"] < message["Version"]:
                newest[message["TradeID"]] = message
        sums = {"Delta": Decimal(self._wrong_by(len(self.slept)))}
        for message in newest.values():
            for node in nodes(tuple(message["Hierarchy"][level] for level in LEVELS)):
                sums[node] = sums.get(node, Decimal(0)) + Decimal(str(message["Value"]))
        for node, value in sums.items():
            request = addition(TABLES.aggregate, node, 0.0)
            request["ExpressionAttributeValues"][":value"] = {"N": str(value)}
            self.dynamodb.update_item(**request)

    def generator(self) -> Generator:
        return Generator(self.dynamodb, self.kinesis, TABLES, STREAM, lambda: NOW, self.sleep, Random(2), batches=3)

    @property
    def parameters(self) -> ParameterTable:
        return ParameterTable(self.dynamodb, TABLES.parameter)


def test_a_round_is_scored_by_what_the_totals_grew_by() -> None:
    services = Services(lambda number: "0.01" if number == 2 else "0")
    generator = services.generator()
    assert [generator.round() for _ in range(3)] == [100, 0, 100], "the third is right though the totals are not"
    assert services.slept == [30.0] * 3
    assert len(services.messages) == 120
    assert read_scores(services.dynamodb, TABLES.parameter) == Scores(200, (100, 0, 100))


def test_from_300_points_on_the_parameters_are_those_of_hard_mode() -> None:
    services = Services()
    generator = services.generator()
    for _ in range(2):
        generator.round()
    assert services.parameters.number(SPECIAL) == 0
    generator.round()
    assert services.parameters.number(SCORE) == 300
    assert services.parameters.number(SPECIAL) == 1
    assert all(services.parameters.number(name) == percent for name, percent in HARD_MODE.parameters().items())
    assert len({json.dumps(message) for message in services.messages}) == 120
    assert generator.round() == 100
    assert len({json.dumps(message) for message in services.messages}) == 105, "5 of each 40 are duplicates"


@pytest.mark.parametrize(
    ("after", "right"), [("10.50", True), ("10.50001", True), ("10.50002", False), ("10.49", False), (None, False)]
)
def test_the_tolerance_is_a_hundred_thousandth(after: str | None, right: bool) -> None:
    found = {} if after is None else {"Delta": Decimal(after)}
    assert is_right({"Delta": Decimal(8)}, found, {"Delta": 250}) is right
