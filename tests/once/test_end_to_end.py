"""The functions of docs/ONCE.md from their real zips, under event source mappings, killed around their writes."""

import io
import json
import random
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest

from oncefold.aws.connect import client
from oncefold.aws.deploy.once import build
from oncefold_lab.local.emulator import Emulator
from oncefold_lab.local.functions import FunctionSettings, LocalFunction
from oncefold_lab.local.mappings import EventSourceMapping
from oncefold_lab.local.settings import MappingSettings, PollTiming
from oncefold_lab.local.streams import open_stream
from tests.once.test_page import BLOCKS
from tests.once.tools import Tables
from tests.tools.sizes import full_only, sized

TRADES = sized(24, 250)
QUICK = PollTiming(poll=0.05, first_retry=0.005, longest_retry=0.02)
KILLED = """
import os, random, counting

def handler(event, context):
    if random.random() < 0.1:
        os._exit(1)
    answer = counting.lambda_handler(event, context)
    if first_time() or random.random() < 0.3:
        os._exit(1)
    return answer

def first_time():
    try:
        os.close(os.open({mark!r}, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
"""
"""It is killed behind its first writes at least, and by chance later."""
BY_POSITION = """
import base64, json
from decimal import Decimal
from oncefold.once import Counters

counters = Counters("AggregateTable", "AggregateLedger", "position")

def lambda_handler(event, context):
    with counters.batch(context) as batch:
        for record in event["Records"]:
            order = json.loads(base64.b64decode(record["kinesis"]["data"]))
            batch.add(record["eventID"], {("all", order["country"]): {"amount": Decimal(order["amount"]), "orders": 1}})
    return batch.response
"""


class Disturbed:
    """Failed batches come again by halves, and every third finished one once more."""

    def __init__(self) -> None:
        self._finished = 0

    def retry_size(self, failed: int, most: int) -> int:
        return max(1, failed // 2)

    def repeat_after(self) -> int | None:
        self._finished += 1
        return 1 if self._finished % 3 == 0 else None


@pytest.fixture
def tables(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    made = Tables.made(boto3.client("dynamodb"), "AggregateTable", "AggregateLedger", {"Identifier": "S"})
    yield made
    for name in (made.table, made.ledger):
        made.client.delete_table(TableName=name)


def zipped(code: str, path: Path) -> Path:
    """The library's own zip with a handler beside it, as somebody deploys it."""
    data = io.BytesIO(build().data)
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("counting.py", code)
        archive.writestr("killed.py", KILLED.format(mark=str(path.with_suffix(".killed"))))
    path.write_bytes(data.getvalue())
    return path


def delivered(arn: str, code: Path, emulator: Emulator, *, partial: bool) -> int:
    """Deliver a stream to the end, and as it comes; how many invocations failed."""
    settings = FunctionSettings("counting", "killed.handler", code, emulator.environment, timeout_seconds=20)
    with (
        LocalFunction(settings) as function,
        EventSourceMapping(
            MappingSettings(arn, settings.arn, batch_size=7, bisect=True, report_failures=partial),
            open_stream(client, arn),
            function.invoke,
            timing=QUICK,
            disturbance=Disturbed(),
        ) as mapping,
    ):
        mapping.wait_until_idle(100)
        return mapping.counts.failed


@full_only("as by position, 7 s")
def test_the_workshops_function_by_version_is_exact_whatever_kills_it(
    tables: Tables, emulator: Emulator, tmp_path: Path
) -> None:
    made = tables.client.create_table(
        TableName="StateTable",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    chance = random.Random(3)
    current: dict[str, tuple[str, Decimal]] = {}
    for number in range(TRADES):
        trade, region = f"t{chance.randrange(TRADES // 2)}", chance.choice(["EMEA", "APAC", "AMER"])
        value = Decimal(chance.randrange(10**7)).scaleb(-2)
        current[trade] = (region, value)
        labels = {"RiskType": "PV", "TradeDesk": "FXSpot", "Region": region}
        item = {
            "id": {"S": trade},
            "Version": {"N": str(number)},
            "Value": {"N": str(value)},
            "Hierarchy": {"S": json.dumps(labels)},
        }
        tables.client.put_item(TableName="StateTable", Item=item)
    code = zipped(BLOCKS[3], tmp_path / "reduce.zip")
    failed = delivered(made["TableDescription"]["LatestStreamArn"], code, emulator, partial=False)
    tables.client.delete_table(TableName="StateTable")
    assert failed
    totals = {node: Decimal(text) for node, text in tables.totals("Value").items()}
    for region in ("EMEA", "APAC", "AMER"):
        wanted = sum((value for where, value in current.values() if where == region), Decimal(0))
        assert totals[f"PV:FXSpot:{region}"] == wanted
    assert totals["PV"] == totals["PV:FXSpot"] == sum((value for _, value in current.values()), Decimal(0))
    assert tables.counters("version").verify().exact


def test_a_kinesis_stream_by_position_is_exact_whatever_kills_the_function(
    tables: Tables, emulator: Emulator, tmp_path: Path
) -> None:
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="orders", ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    orders = [{"country": ("DE", "AT")[number % 2], "amount": f"{number}.25"} for number in range(TRADES)]
    records: list[Any] = [
        {"Data": json.dumps(order).encode(), "PartitionKey": str(n)} for n, order in enumerate(orders)
    ]
    for start in range(0, len(records), 100):
        assert kinesis.put_records(StreamName="orders", Records=records[start : start + 100])["FailedRecordCount"] == 0
    arn = kinesis.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]["StreamARN"]
    failed = delivered(arn, zipped(BY_POSITION, tmp_path / "orders.zip"), emulator, partial=True)
    kinesis.delete_stream(StreamName="orders", EnforceConsumerDeletion=True)
    assert failed
    assert {node: int(count) for node, count in tables.totals("orders").items()} == {
        "all:DE": (TRADES + 1) // 2,
        "all:AT": TRADES // 2,
    }
    assert sum(map(Decimal, tables.totals("amount").values())) == sum(Decimal(order["amount"]) for order in orders)
