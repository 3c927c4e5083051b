"""Attribute values: taken in canonical form, measured, given out as copies, refused where DynamoDB refuses them."""

from typing import Any

import pytest

from oncefold_lab.simulator import values
from oncefold_lab.simulator.errors import ServiceError


@pytest.mark.parametrize(
    ("value", "canonical", "size"),
    [
        ({"S": ""}, {"S": ""}, 0),
        ({"S": "grün"}, {"S": "grün"}, 5),
        ({"N": "1.50"}, {"N": "1.5"}, 3),
        ({"B": bytearray(b"ab")}, {"B": b"ab"}, 2),
        ({"BOOL": False}, {"BOOL": False}, 1),
        ({"NULL": False}, {"NULL": True}, 1),
        ({"L": []}, {"L": []}, 3),
        ({"L": [{"S": "ab"}, {"N": "01"}]}, {"L": [{"S": "ab"}, {"N": "1"}]}, 3 + 2 + 2 + 2),
        ({"M": {"k": {"S": "ab"}}}, {"M": {"k": {"S": "ab"}}}, 3 + 1 + 1 + 2),
        ({"SS": ["b", "a"]}, {"SS": ["a", "b"]}, 2),
        ({"NS": ["10", "9.0"]}, {"NS": ["9", "10"]}, 4),
        ({"BS": [b"z", b"aa"]}, {"BS": [b"aa", b"z"]}, 3),
    ],
)
def test_a_value_is_taken_and_measured(value: Any, canonical: Any, size: int) -> None:
    assert values.take(value) == (canonical, size)
    assert values.size_of(canonical) == size


def test_an_item_counts_its_names() -> None:
    item, size = values.take_item({"id": {"S": "abc"}, "größe": {"N": "12"}})
    assert size == 2 + 3 + 7 + 2
    assert values.item_size(item) == size


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "exactly one"),
        ({"S": "a", "N": "1"}, "exactly one"),
        ({"X": "a"}, "unknown type"),
        ({"N": 1}, "can not be converted"),
        ({"S": 1}, "can not be converted"),
        ({"BOOL": "true"}, "can not be converted"),
        ({"SS": []}, "may not be empty"),
        ({"SS": ["a", "a"]}, "duplicates"),
        ({"NS": ["1", "1.0"]}, "duplicates"),
        ({"L": [{"N": "x"}]}, "numeric value"),
    ],
)
def test_what_is_no_value(value: Any, message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        values.take(value)


def test_lists_nest_32_levels_deep() -> None:
    value: Any = {"S": "x"}
    for _ in range(32):
        value = {"L": [value]}
    values.take(value)
    with pytest.raises(ServiceError, match="Nesting Levels"):
        values.take({"L": [value]})


def test_nothing_is_shared_with_the_caller() -> None:
    inner: Any = {"L": [{"M": {"a": {"SS": ["x"]}}}]}
    taken, _ = values.take(inner)
    inner["L"][0]["M"]["a"]["SS"].append("y")
    given = values.give(taken)
    given["L"][0]["M"]["a"]["SS"].append("z")
    assert taken == {"L": [{"M": {"a": {"SS": ["x"]}}}]}
