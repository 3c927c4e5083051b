"""Many at once: eight threads on one item."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import TypeVar
from uuid import uuid4

from botocore.exceptions import ClientError

from tests.aws.contract.engine import Engine, Request, add, code, delete, node_key, numbers, put, reasons, text_key

_THREADS = 8
_DELTAS = 20
_ROUNDS = 5

_Result = TypeVar("_Result")


def _together(do: Callable[[int], _Result]) -> list[_Result]:
    """What eight threads give that begin together, each given its number."""
    barrier = Barrier(_THREADS)

    def begin(number: int) -> _Result:
        barrier.wait(30)
        return do(number)

    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(begin, range(_THREADS)))


def _transact(engine: Engine, *writes: Request, token: str | None = None) -> set[str]:
    """Write, again after each conflict: the reasons why it was not written in the end, none if it was.

    Nothing but success, conflicts and failed conditions may come.
    """
    while True:
        try:
            engine.transact(*writes, ClientRequestToken=token or str(uuid4()))
        except ClientError as error:
            if code(error.response) == "TransactionInProgressException" and token is not None:
                continue
            returned = set(reasons(error.response))
            assert returned <= {"None", "ConditionalCheckFailed", "TransactionConflict"}
            if "ConditionalCheckFailed" in returned:
                return returned
        else:
            return set()


def test_every_delta_is_added_once(engine: Engine, name: str) -> None:
    """Of eight that each delete every delta on the condition that it exists, and add it to one hot item, one succeeds
    for each delta: no addition is lost or doubled. Conflicts come as TransactionConflict alone.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    for index in range(_DELTAS):
        engine.put(engine.items, text_key(f"{name}-{index}"))

    def apply(number: int) -> int:
        applied = 0
        for step in range(_DELTAS):
            index = (step + number) % _DELTAS
            failed = _transact(
                engine,
                {
                    "Delete": delete(
                        engine.items, text_key(f"{name}-{index}"), "attribute_exists(#id)", names={"#id": "id"}
                    )
                },
                {"Update": add(engine.nodes, node_key(name, "hot"), count="1", value=f"{2**index}.01")},
            )
            applied += not failed
        return applied

    assert sum(_together(apply)) == _DELTAS
    total = numbers(engine.get(engine.nodes, node_key(name, "hot")), ["count", "value"])
    assert [Decimal(number or "NaN") for number in total] == [_DELTAS, 2**_DELTAS - 1 + _DELTAS * Decimal("0.01")]
    assert all(engine.get(engine.items, text_key(f"{name}-{index}")) is None for index in range(_DELTAS))


def test_of_those_who_read_the_same_version_one_wins(engine: Engine, name: str) -> None:
    """Of eight that read a version and write the next one on the condition that it is unchanged, exactly one succeeds.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    engine.put(engine.items, {**text_key(name), "version": {"N": "0"}})
    for version in range(_ROUNDS):

        def write(number: int, version: int = version) -> bool:
            item = {**text_key(name), "version": {"N": str(version + 1)}, "by": {"N": str(number)}}
            condition = put(engine.items, item, "#v = :v", names={"#v": "version"}, values={":v": {"N": str(version)}})
            delta = put(engine.items, text_key(f"{name}-{version}-{number}"))
            return not _transact(engine, {"Put": condition}, {"Put": delta})

        won = _together(write)
        assert won.count(True) == 1
        item = engine.get(engine.items, text_key(name))
        assert numbers(item, ["version", "by"]) == [str(version + 1), str(won.index(True))]
        deltas = [engine.get(engine.items, text_key(f"{name}-{version}-{number}")) for number in range(_THREADS)]
        assert [delta is not None for delta in deltas] == won


def test_of_those_who_find_nothing_one_creates(engine: Engine, name: str) -> None:
    """Of eight that put an item on the condition that there is none, exactly one succeeds.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    for turn in range(_ROUNDS):

        def create(number: int, turn: int = turn) -> bool:
            item = {**text_key(f"{name}-{turn}"), "by": {"N": str(number)}}
            return not _transact(
                engine, {"Put": put(engine.items, item, "attribute_not_exists(#id)", names={"#id": "id"})}
            )

        won = _together(create)
        assert won.count(True) == 1
        assert numbers(engine.get(engine.items, text_key(f"{name}-{turn}")), ["by"]) == [str(won.index(True))]


def test_one_token_has_one_effect_however_many_send_it(engine: Engine, name: str) -> None:
    """Of eight that send the same transaction with the same token at once, all succeed in the end, with one effect.

    AWS: TransactWriteItems (API Reference)
    """
    for turn in range(_ROUNDS):
        token = str(uuid4())
        write = {"Update": add(engine.nodes, node_key(name, str(turn)), count="1")}

        def send(_: int, write: Request = write, token: str = token) -> set[str]:
            return _transact(engine, write, token=token)

        assert _together(send) == [set()] * _THREADS
        assert numbers(engine.get(engine.nodes, node_key(name, str(turn))), ["count"]) == ["1"]


def test_plain_updates_lose_nothing_either(engine: Engine, name: str) -> None:
    """Eight that add to one item by UpdateItem lose no addition.

    AWS: UpdateItem (API Reference)
    """

    def count(_: int) -> None:
        for _ in range(_ROUNDS):
            engine.dynamodb.update_item(**add(engine.nodes, node_key(name, "hot"), count="1"))

    _together(count)
    assert numbers(engine.get(engine.nodes, node_key(name, "hot")), ["count"]) == [str(_THREADS * _ROUNDS)]
