"""What `verify` finds and what it says it cannot know; totals and records that are adopted; a resource of boto3."""

from decimal import Decimal
from typing import Any

import pytest

from oncefold.once import CountsError
from tests.once.tools import Context, Tables, simulated


def add_by_hand(tables: Tables, name: str, **amounts: str) -> None:
    tables.client.update_item(
        TableName=tables.table,
        Key={"Identifier": {"S": name}},
        UpdateExpression="ADD " + ", ".join(f"#{attribute} :{attribute}" for attribute in amounts),
        ExpressionAttributeNames={f"#{attribute}": attribute for attribute in amounts},
        ExpressionAttributeValues={f":{attribute}": {"N": text} for attribute, text in amounts.items()},
    )


def test_a_wrong_total_is_named(tables: Tables) -> None:
    counters = tables.counters()
    with counters.batch() as batch:
        batch.add("1", {("DE", "web"): {"amount": Decimal("19.90"), "orders": 1}})
        batch.add("2", {("AT", "web"): {"amount": Decimal(5), "orders": 1}})
    found = counters.verify()
    assert (found.records, found.counters, found.wrong, found.moving, found.unknown) == (2, 2, (), 0, ())
    add_by_hand(tables, "DE:web", orders="1")
    found = counters.verify()
    assert not found.exact
    assert [difference.text for difference in found.wrong] == ["Identifier=DE:web: orders is 2, and should be 1"]


def test_what_no_record_added_to_is_said_to_be_unknown_until_it_is_the_base() -> None:
    tables = simulated()
    add_by_hand(tables, "all", n="12.5")
    add_by_hand(tables, "old", n="3", other="1")
    counters = tables.counters()
    with counters.batch() as batch:
        batch.add("1", {"all": {"n": Decimal("0.5")}})
    found = counters.verify()
    assert [difference.text for difference in found.wrong] == ["Identifier=all: n is 13, and should be 0.5"]
    assert "1 items of Aggregate have numbers that no record of the ledger added to" in found.unknown[0]
    assert counters.adopt_totals().exact
    with counters.batch() as batch:
        batch.add("2", {"all": {"n": 1}, "old": {"n": 1}})
        batch.add("1", {"all": {"n": Decimal("0.5")}})
    found = counters.verify()
    assert found.exact
    assert (found.records, found.counters, found.unknown) == (2, 2, ())
    assert counters.adopt_totals().exact
    add_by_hand(tables, "old", other="1")
    assert [difference.counter for difference in counters.verify().wrong] == ["Identifier=old"]


@pytest.mark.parametrize("way", ["id", "version"])
def test_records_that_the_totals_hold_already_are_adopted(way: Any) -> None:
    tables = simulated()
    add_by_hand(tables, "x", n="7")
    counters = tables.counters(way)
    more: dict[str, Any] = {"version": 1} if way == "version" else {}
    for _ in range(2):
        with counters.adopting() as batch:
            batch.add("a", {"x": {"n": 3}}, **more)
            batch.add("b", {"x": {"n": 4}}, **more)
    assert tables.totals() == {"x": "7"}
    with counters.batch() as batch:
        batch.add("a", {"x": {"n": 3}}, **more)
        batch.add("c", {"x": {"n": 10}}, **more)
    assert tables.totals() == {"x": "17"}
    assert counters.verify().exact
    if way == "version":
        with counters.batch() as batch:
            batch.add("b", {"y": {"n": 5}}, version=2)
        assert tables.totals() == {"x": "13", "y": "5"}


def test_by_position_a_shard_may_begin_where_the_totals_end() -> None:
    tables = simulated()
    add_by_hand(tables, "x", n="7")
    counters = tables.counters("position")
    with counters.adopting() as batch:
        batch.add("shard-1:20", {})
    with counters.batch() as batch:
        for position in (19, 20, 21):
            batch.add(f"shard-1:{position}", {"x": {"n": 1}})
    assert tables.totals() == {"x": "8"}
    found = counters.verify()
    assert (found.exact, found.records, found.counters) == (True, 1, 0)
    assert "cannot be compared" in found.unknown[0]
    with pytest.raises(CountsError, match="no base to take"):
        counters.adopt_totals()


def test_a_counter_that_moves_meanwhile_is_no_difference() -> None:
    tables = simulated()
    counters = tables.counters()
    with counters.batch() as batch:
        batch.add("1", {"x": {"n": 1}, "y": {"n": 1}})
    scan = tables.client.scan

    def interrupted(**request: Any) -> Any:
        if request["TableName"] == tables.ledger:
            tables.client.scan = scan
            with tables.counters().batch() as batch:
                batch.add("2", {"x": {"n": 1}})
        return scan(**request)

    tables.client.scan = interrupted
    found = counters.verify()
    assert (found.exact, found.moving, found.counters) == (True, 1, 2)


def test_what_is_no_number_is_a_difference_and_stops_nothing_else() -> None:
    tables = simulated()
    counters = tables.counters()
    tables.client.put_item(TableName=tables.table, Item={"Identifier": {"S": "x"}, "n": {"S": "text"}})
    with counters.batch(Context()) as batch:
        batch.add("1", {"x": {"n": 1}})
        batch.add("2", {"y": {"n": 1}})
    assert batch.response == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert "is no number" in batch.unfinished["1"]
    assert counters.verify().exact
