"""The same seed gives the same bytes: replies, errors, stream records, counts; another seed gives others."""

from collections.abc import Iterator
from random import Random
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_lab.simulator.faults import Fault, Faults, rates
from tests.lab.tools import ManualClock, add_write, make_table, put_write, shards


def _reply(dynamodb: DynamoDB, operation: str, request: dict[str, Any]) -> object:
    try:
        return getattr(dynamodb, operation)(**request)
    except ClientError as error:
        return error.response
    except BotoCoreError as error:
        return repr(error)


def _requests(random: Random) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(400):
        names = random.sample("abcdefghij", 4)
        kind = random.randrange(6)
        if kind == 0:
            writes = [put_write(names[0], "attribute_not_exists(id)", n=number), *map(add_write, names[1:])]
            yield "transact_write_items", {"TransactItems": writes, "ClientRequestToken": f"token-{number // 7}"}
        elif kind == 1:
            yield "batch_get_item", {"RequestItems": {"items": {"Keys": [{"id": {"S": name}} for name in names]}}}
        elif kind == 2:
            yield "delete_item", {"TableName": "items", "Key": {"id": {"S": names[0]}}, "ReturnValues": "ALL_OLD"}
        elif kind == 3:
            yield "scan", {"TableName": "items", "Limit": 3, "ReturnConsumedCapacity": "TOTAL"}
        elif kind == 4:
            yield "get_item", {"TableName": "items", "Key": {"id": {"S": names[0]}}}
        else:
            puts = [{"PutRequest": {"Item": {"id": {"S": name}, "s": {"S": str(number)}}}} for name in names]
            yield "batch_write_item", {"RequestItems": {"items": puts}}


def _run(seed: int) -> bytes:
    """Everything that a run lets one see."""
    random = Random(seed)
    clock = ManualClock()
    faults = Faults(Random(random.random()), rates(0.03))
    dynamodb = DynamoDB(clock, Random(random.random()), faults, stream_shards=2, stream_lag=3.0)
    make_table(dynamodb, "items", "id", view="NEW_AND_OLD_IMAGES")
    seen: list[object] = []
    for number, (operation, request) in enumerate(_requests(random)):
        seen.append(_reply(dynamodb, operation, request))
        clock.advance(random.expovariate(2.0))
        if number == 200:
            dynamodb.split_shard("items", next(iter(_shards(dynamodb))))
    faults.stop()
    clock.advance(60.0)
    for shard in _shards(dynamodb):
        arn = dynamodb.describe_table(TableName="items")["Table"]["LatestStreamArn"]
        position = dynamodb.streams().get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        seen += [position, dynamodb.streams().get_records(ShardIterator=position["ShardIterator"])]
    seen += [dynamodb.scan(TableName="items"), sorted(dynamodb.counts.items()), sorted(faults.counts.items())]
    return repr(seen).encode()


def _shards(dynamodb: DynamoDB) -> list[str]:
    while True:
        try:
            return [shard["ShardId"] for shard in shards(dynamodb)]
        except (ClientError, BotoCoreError):
            continue


def test_the_same_seed_gives_the_same_bytes() -> None:
    first = {seed: _run(seed) for seed in range(5)}
    assert {seed: _run(seed) for seed in range(5)} == first
    assert len(set(first.values())) == 5


def test_a_fault_that_cannot_happen_changes_nothing() -> None:
    """One number is drawn per call, whatever the rates are."""
    draws = []
    for wanted in (rates(0.0), {Fault.LATE: 0.0}):
        random = Random(1)
        faults = Faults(random, wanted)
        for operation in ("PutItem", "Scan", "CreateTable", "GetRecords"):
            faults.draw(operation)
        draws.append(random.random())
    assert draws[0] == draws[1]
