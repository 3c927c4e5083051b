"""How paths become keys, and what is refused before anything is written."""

from decimal import Decimal
from typing import Any

import pytest

from oncefold.once import Counters, CountsError
from tests.once.tools import Context, simulated

TWO = {"pk": "S", "sk": "S"}


@pytest.mark.parametrize(
    ("keys", "options", "path", "key"),
    [
        ({"Identifier": "S"}, {}, "Delta:FXSpot", "Delta:FXSpot"),
        ({"Identifier": "S"}, {}, ("Delta", "FXSpot"), "Delta:FXSpot"),
        ({"Identifier": "S"}, {"separator": "/"}, ("a:b", 7), "a:b/7"),
        ({"Identifier": "S"}, {"key": "Identifier"}, ("one",), "one"),
        (TWO, {}, ("DE", "web"), ("DE", "web")),
        (TWO, {}, ("DE", "web", "shoes"), ("DE", "web:shoes")),
        (TWO, {"key": lambda path: {"pk": f"TOTAL#{path[0]}", "sk": "-"}}, ("DE",), ("TOTAL#DE", "-")),
        ({"country": "S", "year": "N"}, {}, ("DE", 2026), ("DE", "2026")),
    ],
)
def test_a_path_becomes_a_key(keys: dict[str, str], options: dict[str, Any], path: Any, key: Any) -> None:
    tables = simulated(keys)
    with tables.counters(**options).batch(Context()) as batch:
        batch.add("1", {path: {"n": 1}})
    assert tables.totals() == {key: "1"}


@pytest.mark.parametrize(
    ("keys", "counts", "message"),
    [
        (TWO, {"DE": {"n": 1}}, "give 2 labels"),
        (TWO, {(): {"n": 1}}, "give 2 labels"),
        ({"Identifier": "S"}, {("a:b", "c"): {"n": 1}}, "joins labels"),
        ({"Identifier": "S"}, {"": {"n": 1}}, "0 bytes"),
        ({"Identifier": "S"}, {"x" * 2049: {"n": 1}}, "2,049 bytes"),
        ({"Identifier": "S"}, {(True,): {"n": 1}}, "a text or an integer"),
        ({"year": "N"}, {"2026": {"n": 1}}, "give an integer"),
        ({"Identifier": "S"}, {"a": {"Identifier": 1}}, "the table's key"),
        ({"Identifier": "S"}, {"a": {"n": 1.5}}, "a float is not exact"),
        ({"Identifier": "S"}, {"a": {"n": True}}, "give an int or a Decimal"),
        ({"Identifier": "S"}, {"a": {"n": Decimal("NaN")}}, "not a number"),
        ({"Identifier": "S"}, {"a": {"n": Decimal("1e-19")}}, "more than 18 decimal places"),
        ({"Identifier": "S"}, {"a": {"n": 10**20}}, "out of range"),
        ({"Identifier": "S"}, {"a": {f"n{number}": 1 for number in range(41)}}, "up to 40"),
        ({"Identifier": "S"}, {f"c{number}": {"n": 1} for number in range(100)}, "one transaction takes 99"),
        (
            {"Identifier": "S"},
            {f"c{number}": {f"{part}".rjust(250, "n"): 1 for part in range(40)} for number in range(60)},
            "DynamoDB holds 400 KB",
        ),
    ],
)
def test_what_never_can_be_counted_is_refused_at_once(keys: dict[str, str], counts: Any, message: str) -> None:
    tables = simulated(keys)
    with tables.counters().batch(Context()) as batch:
        batch.add("good", {("x",) * len(keys) if "year" not in keys else 1: {"n": 1}})
        with pytest.raises(CountsError, match=message):
            batch.add("bad", counts)
    assert batch.outcomes == {"counted": 1}


@pytest.mark.parametrize(
    ("way", "arguments", "message"),
    [
        ("id", {"record_id": "x" * 2046}, "2,049 bytes"),
        ("id", {"record_id": "a", "version": 1}, "belongs to the way version"),
        ("version", {"record_id": "a"}, "give version="),
        ("version", {"record_id": "a", "version": 1.0}, "no int or Decimal"),
        ("version", {"record_id": "a", "version": 10**20}, "out of range"),
        ("position", {"record_id": "a"}, "LANE:NUMBER"),
        ("position", {"record_id": "a:b"}, "LANE:NUMBER"),
        ("id", {"record_id": "a", "record": {"body": ""}}, "no record of SQS"),
    ],
)
def test_a_record_that_cannot_be_known_is_refused(way: str, arguments: dict[str, Any], message: str) -> None:
    tables = simulated()
    with tables.counters(way).batch(Context()) as batch, pytest.raises(CountsError, match=message):
        batch.add(counts={"a": {"n": 1}}, **arguments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"way": "once"}, "there are id, version, position"),
        ({"places": 38}, "give 0 to 37"),
        ({"ledger": "T"}, "a table of its own"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CountsError, match=message):
        Counters(**{"table": "T", "ledger": "L", **settings})
