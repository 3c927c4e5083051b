"""Blocks of JSON Lines give, record by record, what the scalar decoder gives."""

import json
from random import Random

import pytest
from hypothesis import given

from oncefold.columnar.text import TextDecoder
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.limits import KEY_BYTES, LABEL_BYTES, NESTING, PATH_BYTES
from tests.columnar.records import PIPELINES, SEEDS, Records, mutated
from tests.columnar.tools import SOURCE, Read, assert_same, counting, cut_lines, effort, json_by_the_core, of_batch

RISK = parse_toml("""
    name = "risk"
    [event]
    key = "TradeID"
    version = "Version"
    time = "Timestamp"
    delete = "Deleted"
    [rollups]
    risk = ["Hierarchy.RiskType", "Hierarchy.RiskType2", { field = "Hierarchy.Region", missing = "(none)" }]
    hourly = [{ field = "Timestamp", window = "1h" }, "Hierarchy.RiskType"]
    [measures]
    value = { sum = "Value", scale = 2 }
    rounded = { sum = "Rounded", scale = 2, round = "half-even", missing = "zero" }
""")
GOOD = (
    b'{"TradeID": "k1", "Version": 3, "Timestamp": 1616413258.8997, "Value": 34624.51, "Deleted": false, '
    b'"Hierarchy": {"RiskType": "Delta", "RiskType2": "", "Region": "EMEA"}}'
)


def read_json(pipeline: Pipeline, block: bytes, offset: int = 0) -> Read:
    """A block as the columnar form reads it."""
    return of_batch(TextDecoder(pipeline).json(block, SOURCE, offset))


def assert_as_the_core(pipeline: Pipeline, block: bytes, offset: int = 0) -> None:
    """The block gives the same whole, cut after any line, and line by line, and that is what the core says."""
    expected = json_by_the_core(pipeline, block, offset)
    assert_same(expected, read_json(pipeline, block, offset))
    lines = block.splitlines(keepends=True) if b"\r" not in block else None
    if lines and len(lines) <= 4:
        for cut in range(1, len(lines)):
            first, rest = b"".join(lines[:cut]), b"".join(lines[cut:])
            halves = read_json(pipeline, first, offset) + read_json(pipeline, rest, offset + len(first))
            assert_same(expected, halves)


def changed(old: str, new: str) -> bytes:
    """GOOD with one piece of its text replaced."""
    text = GOOD.decode()
    assert old in text
    return text.replace(old, new).encode("utf-8", "surrogatepass")


VALUES = [
    *("0 -0 0.0 -0.00 1.5 1.500 1.505 -1.505 1e2 1E+2 1e-2 150e-2 1e-400 1e400 01 -01 +1 .5 5. 1. - -- 1_0 0x10".split()),
    *('"1.5" "+1.5" ".5" "5." "007" " 1" "1 " "" "-" "1e2" "NaN" "１" "12,5" "-0.001" "-0.005" "-0.015"'.split(" ")),
    *("null true false [] {} [1] NaN Infinity -Infinity nul True".split()),
    *("0.005 0.015 0.025 2.5 0.0050 0.0050000000000000000000000000000000001 0.00499999999999999999999999".split()),
    *("9" * n for n in range(14, 21)), *("-" + "9" * n + ".99" for n in range(14, 20)), "9" * 16 + ".994999999",
    "9" * 16 + ".995", "9" * 5000, "1" + "0" * 5000, "0." + "0" * 5000, "0." + "0" * 5000 + "1", "1e9999999999999999999",
    "1e-9999999999999999999", "0e9999999999999999999", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("old", ['34624.51', '3,', '1616413258.8997', '"k1"', '"Delta"', "false", '"EMEA"'])
def test_every_value_in_every_role(old: str, value: str) -> None:
    assert_as_the_core(RISK, changed(old, value + ("," if old == "3," else "")) + b"\n" + GOOD)
