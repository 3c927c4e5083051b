"""Transactions: TransactWriteItems."""

import pytest

from tests.aws.contract.engine import (
    Engine,
    Item,
    Request,
    add,
    code,
    delete,
    is_invalid,
    node_key,
    put,
    reasons,
    refusal,
    text_key,
)

_PRESENT: Request = {"condition": "attribute_exists(#id)", "names": {"#id": "id"}}
_ABSENT: Request = {"condition": "attribute_not_exists(#id)", "names": {"#id": "id"}}
_KB = 1024


def _write(engine: Engine, name: str) -> list[Request]:
    """A put, a delete and an update in three tables; they fit to what `_before` has written."""
    return [
        {"Put": put(engine.items, {**text_key(name), "version": {"N": "2"}})},
        {"Delete": delete(engine.outbox, text_key(name), **_PRESENT)},
        {"Update": add(engine.nodes, node_key(name, "a"), count="1")},
    ]


def _before(engine: Engine, name: str) -> None:
    engine.put(engine.items, {**text_key(name), "version": {"N": "1"}})
    engine.put(engine.outbox, text_key(name))


def _stands(engine: Engine, name: str) -> list[Item | None]:
    return [
        engine.get(engine.items, text_key(name)),
        engine.get(engine.outbox, text_key(name)),
        engine.get(engine.nodes, node_key(name, "a")),
    ]


def test_a_transaction_happens_whole(engine: Engine, name: str) -> None:
    """A put, a delete and an update in three tables all happen.

    AWS: TransactWriteItems (API Reference)
    """
    _before(engine, name)
    engine.transact(*_write(engine, name))
    assert _stands(engine, name) == [
        {**text_key(name), "version": {"N": "2"}},
        None,
        {**node_key(name, "a"), "count": {"N": "1"}},
    ]


@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_failed_condition_undoes_everything(engine: Engine, name: str, place: int) -> None:
    """Where one condition fails, first, last or between, nothing of the transaction happens in any table.

    AWS: TransactWriteItems (API Reference)
    """
    _before(engine, name)
    before = _stands(engine, name)
    writes = _write(engine, name)
    writes.insert(place, {"Delete": delete(engine.items, text_key(f"{name}-missing"), **_PRESENT)})
    assert code(refusal(engine.transact, *writes)) == "TransactionCanceledException"
    assert _stands(engine, name) == before


def test_reasons_come_in_the_order_of_the_writes(engine: Engine, name: str) -> None:
    """A cancelled transaction has one reason a write, in their order: `None`, or `ConditionalCheckFailed`.

    AWS: TransactWriteItems (API Reference)
    """
    engine.put(engine.items, text_key(f"{name}-1"))
    engine.put(engine.items, text_key(f"{name}-3"))
    writes = [{"Put": put(engine.items, text_key(f"{name}-{index}"), **_ABSENT)} for index in range(5)]
    expected = ["None", "ConditionalCheckFailed", "None", "ConditionalCheckFailed", "None"]
    assert reasons(refusal(engine.transact, *writes)) == expected


def test_a_reason_shows_the_item_on_demand(engine: Engine, name: str) -> None:
    """The reason of a failed condition has the stored item if `ALL_OLD` was asked for, and else has none.

    AWS: TransactWriteItems (API Reference)
    """
    items = [{**text_key(f"{name}-{index}"), "version": {"N": "7"}} for index in range(2)]
    for item in items:
        engine.put(engine.items, item)
    refused = refusal(
        engine.transact,
        {"Put": put(engine.items, text_key(f"{name}-0"), **_ABSENT, old=True)},
        {"Put": put(engine.items, text_key(f"{name}-1"), **_ABSENT)},
    )
    shown = [reason.get("Item") for reason in refused["CancellationReasons"]]
    assert shown == [items[0], None]


def test_a_reason_shows_no_item_where_there_is_none(engine: Engine, name: str) -> None:
    """The reason of a condition that failed for want of an item has no item, also where `ALL_OLD` was asked for.

    AWS: TransactWriteItems (API Reference)
    """
    refused = refusal(engine.transact, {"Delete": delete(engine.items, text_key(name), **_PRESENT, old=True)})
    assert reasons(refused) == ["ConditionalCheckFailed"]
    assert not refused["CancellationReasons"][0].get("Item")


def test_one_item_cannot_be_written_twice(engine: Engine, name: str) -> None:
    """A transaction with two operations on one item is refused as invalid, and nothing happens.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    refused = refusal(
        engine.transact,
        {"Put": put(engine.items, text_key(f"{name}-other"))},
        {"Put": put(engine.items, text_key(name))},
        {"Delete": delete(engine.items, text_key(name))},
    )
    assert is_invalid(refused)
    assert engine.get(engine.items, text_key(f"{name}-other")) is None


def test_one_key_in_two_tables_is_two_items(engine: Engine, name: str) -> None:
    """Equal keys in different tables may be written by one transaction.

    AWS: TransactWriteItems (API Reference)
    """
    engine.transact({"Put": put(engine.items, text_key(name))}, {"Put": put(engine.outbox, text_key(name))})
    assert engine.get(engine.items, text_key(name)) == engine.get(engine.outbox, text_key(name)) == text_key(name)


def test_a_hundred_items_are_taken(engine: Engine, name: str) -> None:
    """A transaction may have 100 items.

    AWS: TransactWriteItems (API Reference)
    """
    engine.transact(*({"Put": put(engine.items, text_key(f"{name}-{index}"))} for index in range(100)))
    assert engine.get(engine.items, text_key(f"{name}-99")) is not None


def test_more_than_a_hundred_items_are_refused(engine: Engine, name: str) -> None:
    """A transaction of 101 items is refused as invalid, and nothing happens.

    AWS: TransactWriteItems (API Reference)
    """
    writes = [{"Put": put(engine.items, text_key(f"{name}-{index}"))} for index in range(101)]
    assert code(refusal(engine.transact, *writes)) == "ValidationException"
    assert engine.get(engine.items, text_key(f"{name}-0")) is None


def test_an_item_of_400_000_bytes_is_taken(engine: Engine, name: str) -> None:
    """An item of 400,000 bytes, names included, is within 400 KB.

    AWS: Constraints in Amazon DynamoDB (Developer Guide)
    """
    key = node_key(name, "a")
    engine.transact({"Put": put(engine.large, {**key, "raw": {"S": "x" * (400_000 - 100 - len(name))}})})
    assert engine.get(engine.large, key) is not None


def test_an_item_over_400_kb_is_refused(engine: Engine, name: str) -> None:
    """A transaction with an item of more than 400 KB is refused as invalid, and nothing happens.

    AWS: TransactWriteItems (API Reference)
    """
    large = {**node_key(name, "b"), "raw": {"S": "x" * (400 * _KB)}}
    refused = refusal(engine.transact, {"Put": put(engine.items, text_key(name))}, {"Put": put(engine.large, large)})
    assert is_invalid(refused)
    assert engine.get(engine.items, text_key(name)) is None


def test_four_million_bytes_are_taken(engine: Engine, name: str) -> None:
    """A transaction of almost 4,000,000 bytes is within 4 MB.

    AWS: TransactWriteItems (API Reference)
    """
    raw = {"S": "x" * 398_000}
    engine.transact(*({"Put": put(engine.large, {**node_key(name, str(n)), "raw": raw})} for n in range(10)))
    assert engine.get(engine.large, node_key(name, "9")) is not None


def test_more_than_4_mb_are_refused(engine: Engine, name: str) -> None:
    """A transaction of more than 4 MB in all is refused as invalid, and nothing happens.

    AWS: TransactWriteItems (API Reference)
    """
    raw = {"S": "x" * 399_000}
    writes = [{"Put": put(engine.large, {**node_key(name, str(n)), "raw": raw})} for n in range(11)]
    assert is_invalid(refusal(engine.transact, *writes))
    assert engine.get(engine.large, node_key(name, "0")) is None
