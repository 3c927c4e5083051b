"""docs/ONCE.md: its functions run as they stand there, and its costs are measured."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest

from oncefold.aws.deploy.once import build
from oncefold_lab.local.emulator import Emulator
from tests.once.page import PAGE, parts, rows
from tests.once.tools import Context, Tables

TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
ORDERS = [
    {"id": f"o{number}", "country": country, "channel": "web", "amount": amount}
    for number, (country, amount) in enumerate([("DE", "19.90"), ("DE", "0.10"), ("AT", "5")])
]
EVENT = {"Records": [{"messageId": f"m{order['id']}", "body": json.dumps(order)} for order in ORDERS]}


@pytest.fixture
def tables(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    """The tables that the page names, for as long as a test runs."""
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    made = Tables.made(boto3.client("dynamodb"), "AggregateTable", "AggregateLedger", {"Identifier": "S"})
    yield made
    for name in (made.table, made.ledger):
        made.client.delete_table(TableName=name)


def function(block: int, name: str) -> Any:
    """The handler of a block of the page."""
    names: dict[str, Any] = {}
    exec(BLOCKS[block], names)
    return names[name]


def test_before_a_batch_that_comes_again_is_added_again(tables: Tables) -> None:
    handler = function(0, "handler")
    for _ in range(2):
        handler(EVENT, Context())
    assert tables.totals("amount") == {"DE:web": "40", "AT:web": "10"}


def test_after_it_is_not(tables: Tables) -> None:
    handler = function(1, "handler")
    for records in (EVENT["Records"], EVENT["Records"][1:], EVENT["Records"][::-1]):
        assert handler({"Records": records}, Context()) == {"batchItemFailures": []}
    assert tables.totals("amount") == {"DE:web": "20", "AT:web": "5"}
    assert tables.totals("orders") == {"DE:web": "2", "AT:web": "1"}


def test_before_and_after_are_about_ten_lines() -> None:
    for block in BLOCKS[:2]:
        assert len([line for line in block.splitlines() if line]) <= 13


def record(image: dict[str, Any]) -> dict[str, Any]:
    return {"eventID": "e", "dynamodb": {"SequenceNumber": "1", "NewImage": image}}


def test_the_workshops_function_by_id(tables: Tables) -> None:
    handler = function(2, "lambda_handler")
    images = [
        {"MessageId": {"S": f"hash{number}"}, "Message": {"S": json.dumps({"PV": 1.5, "PV:FXSpot": number})}}
        for number in range(4)
    ]
    for some in (images[:2], images, images[3:]):
        handler({"Records": [record(image) for image in some]}, Context())
    assert tables.totals("Value") == {"PV": "6", "PV:FXSpot": "6"}


def trade(name: str, version: int, region: str, value: str) -> dict[str, Any]:
    labels = {"RiskType": "PV", "TradeDesk": "FXSpot", "Region": region}
    return record(
        {
            "id": {"S": name},
            "Version": {"N": str(version)},
            "Value": {"N": value},
            "Hierarchy": {"S": json.dumps(labels)},
        }
    )


def test_the_workshops_function_by_version(tables: Tables) -> None:
    handler = function(3, "lambda_handler")
    trades = [trade("a", 0, "EMEA", "10.01"), trade("b", 0, "APAC", "1"), trade("a", 1, "APAC", "20.02")]
    for some in (trades[:1], trades[1:], trades, trades[:2]):
        handler({"Records": some}, Context())
    totals = {node: Decimal(value) for node, value in tables.totals("Value").items()}
    assert totals == {
        "PV": Decimal("21.02"),
        "PV:FXSpot": Decimal("21.02"),
        "PV:FXSpot:APAC": Decimal("21.02"),
        "PV:FXSpot:EMEA": 0,
    }


def test_the_page_states_the_costs() -> None:
    assert parts()[1].splitlines() == rows(), "write the table anew: python -m tests.once.page"


def test_the_page_states_the_size() -> None:
    stated = re.search(r"about (\d+) kB zipped", TEXT)
    assert stated is not None
    assert abs(int(stated[1]) * 1000 - len(build().data)) < 3_000
