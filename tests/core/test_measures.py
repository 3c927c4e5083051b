"""Measures: the columns and amounts that they need, what they show, and how they are written."""

from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.core.decode import Decoder
from oncefold.core.definition_changes import changes_of_meaning
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError
from oncefold.core.measures import Amount, KeyColumn, quotient
from oncefold.expression_sql import parse_sql

TEXT = """
name = "orders"
[event]
key = "id"
version = "v"
time = "at"
[rollups]
all = ["shop"]
[measures]
"""


def defined(measures: str) -> Any:
    return parse_toml(TEXT + measures, sql=parse_sql)


def test_sums_alone_keep_what_they_kept() -> None:
    layout = defined('a = { sum = "x", scale = 2 }\nb = { sum = "x", scale = 2, missing = "zero" }').layout
    assert layout.amounts == (Amount("a", 2), Amount("b", 2))
    assert (layout.sums, layout.numbers, layout.texts, layout.direct) == (2, 2, 0, True)
    assert layout.values([5, 7]) == (5, 7)


def test_an_average_is_a_sum_and_a_number() -> None:
    pipeline = defined('mean = { avg = "x", scale = 2 }\npaid = { count = "s = \'paid\'" }\nhas = { count = "x" }')
    layout = pipeline.layout
    assert [amount.name for amount in layout.amounts] == ["mean.sum", "mean.count", "paid", "has"]
    assert [column.form for column in layout.columns] == ["number", "present", "true", "present"]
    assert layout.values([10, 4, 3, 4]) == (2, 3, 4)
    assert layout.values([0, 0, 0, 0]) == (None, 0, 0)
    assert layout.values_of_key([0, 0, 1, 0], ()) == (None, 1, 0)
    assert layout.values_of_key([0, 1, 0, 1], ()) == (0, 0, 1)
    assert pipeline.columns[0] == KeyColumn("number", pipeline.measures[0].field, 2, None, "zero")


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**20))
def test_a_quotient_is_rounded_once_half_to_even(dividend: int, divisor: int) -> None:
    exact = Fraction(dividend, divisor)
    found = quotient(dividend, divisor)
    assert abs(exact - found) <= Fraction(1, 2)
    if abs(exact - found) == Fraction(1, 2):
        assert found % 2 == 0


@pytest.mark.parametrize(("dividend", "divisor"), [(5, 2), (7, 2), (-5, 2), (-7, 2), (1, 3), (-1, 3), (2, 3)])
def test_a_quotient_is_what_decimals_give(dividend: int, divisor: int) -> None:
    expected = (Decimal(dividend) / divisor).to_integral_value(ROUND_HALF_EVEN)
    assert quotient(dividend, divisor) == expected


def test_null_takes_no_part() -> None:
    pipeline = defined('mean = { avg = "x" }\nhas = { count = "x" }\nbig = { count = "x > 2" }')
    for record, columns in [
        ({"x": 3}, (3, 1, 1, 1)),
        ({"x": "2"}, (2, 1, 1, 0)),
        ({"x": None}, (0, 0, 0, 0)),
        ({}, (0, 0, 0, 0)),
    ]:
        event = Decoder(pipeline).record({"id": "k", "v": 1, "shop": "s", **record})
        assert event.content.measures == columns


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ("{ scale = 2 }", "[measures] m: sum is missing"),
        ('{ average = "x" }', "[measures] m.average: no such setting; did you mean avg?"),
        ('{ coutn = "x" }', "[measures] m.coutn: no such setting; did you mean count?"),
        ('{ sum = "x", avg = "y" }', "[measures] m.avg: it is a sum already"),
        ('{ count = "x", scale = 2 }', "[measures] m.scale: a count is a whole number and has no scale"),
        ('{ avg = "x", missing = "zero" }', "[measures] m.missing: only a sum has it"),
        ('{ avg = "x > 2" }', "[measures] m.avg: avg is of numbers, and x > 2 gives a boolean"),
    ],
)
def test_a_wrong_measure_says_what_to_write(measure: str, message: str) -> None:
    with pytest.raises(DefinitionError) as error:
        defined(f"m = {measure}")
    assert message in str(error.value)


def test_a_definition_is_read_as_it_is_written() -> None:
    pipeline = defined('mean = { avg = "x * 2", scale = 4, round = "half-even" }\npaid = { count = "s = \'paid\'" }')
    assert parse_toml(to_toml(pipeline)) == pipeline


def test_what_a_measure_is_of_is_part_of_the_meaning() -> None:
    mean, summed = defined('m = { avg = "x" }'), defined('m = { sum = "x" }')
    assert mean.fingerprint != summed.fingerprint
    assert changes_of_meaning(summed, mean) == ["[measures] m: kind was sum and is now avg"]
    rounded = replace(mean.measures[0], round="half-even")
    assert not changes_of_meaning(mean, replace(mean, measures=(rounded,)))
