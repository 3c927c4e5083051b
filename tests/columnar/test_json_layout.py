"""Records of one layout are read by where the last one's values were, and give what they would give alone."""

import json
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given

from oncefold.columnar.text import TextDecoder
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from tests.columnar.records import PIPELINES, SEEDS, Records
from tests.columnar.tools import SOURCE, Read, assert_same, effort, json_by_the_core, of_batch

FLAT = parse_toml(
    """
    name = "flat"
    [event]
    key = "id"
    delete = { field = "gone" }
    [rollups]
    r = [{ field = "a", missing = "-" }, { field = "b.c", missing = "-" }]
    [measures]
    m = { sum = "m", scale = 1, missing = "zero" }
    """
)


def as_the_core(pipeline: Pipeline, block: bytes) -> Read:
    expected = json_by_the_core(pipeline, block, 0)
    assert_same(expected, of_batch(TextDecoder(pipeline).json(block, SOURCE, 0)))
    return expected


def filled(layout: str, *values: tuple[str, ...]) -> bytes:
    return b"".join((layout % row).encode() + b"\n" for row in values)


LAYOUTS = [
    '{"id": %s, "gone": %s, "m": %s, "a": %s}',
    '{"x":[%s,{"y":%s}],"b":{"c":%s},"id":%s}\r',
    ' {"id" :%s,"z":"\\n","q":%s,"m":%s,"gone":%s }',
]
VALUES = [
    '"k"', '""', "1", "-5", "0", "0.5", "1e1", "true", "false", "null", '"é"', r'"\u00e9"', r'"\""', '"a:b"', "[]",
    "01", "[true]", "{}", '{"c": 1}', "1.", "-", "nul", '"', "", '"x', '":"', '"true"', "[1]", '"a\tb"',
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_value_after_any_other_of_one_layout(layout: str) -> None:
    """Also a null where a truth value was, an array where nothing was, and what is no JSON."""
    rng, rows = Random(layout), []
    for first in VALUES:
        for second in VALUES:
            rows += [(first, "1", '"x"', "null"), (second, "1", '"x"', "null")]
            row = [rng.choice(VALUES) for _ in range(4)]
            row[rng.randrange(4)] = second
            rows += [("1", first, "2", "true"), ("1", second, "2", "false"), tuple(row)]
    as_the_core(FLAT, filled(layout, *rows))


def test_a_null_does_not_hide_what_comes_after_it() -> None:
    layout = '{"id": %s, "gone": %s, "m": %s}'
    read = as_the_core(FLAT, filled(layout, ("1", "null", "null"), ("1", "true", "2"), ("1", "null", "3")))
    events = [event for _, event in read.records if event is not None]
    assert [event.content.deleted for event in events] == [False, True, False]


@pytest.mark.parametrize(
    "other",
    [
        lambda record: dict(reversed(record.items())),
        lambda record: {**record, "more": 1},
        lambda record: {name: value for name, value in record.items() if name != "m"},
        lambda record: {**record, "a": ["x"]},
        lambda record: {**record, **{f"n{number}": number for number in range(80)}},
        lambda record: {**record, "a": "\n"},
    ],
)
@pytest.mark.parametrize("each", [1, 2, 3, 50])
def test_layouts_that_take_turns(other: Callable[[dict[str, object]], dict[str, object]], each: int) -> None:
    records = [{"id": f"k{number}", "m": number / 2, "a": "x", "gone": number % 7 == 0} for number in range(400)]
    chosen = [other(record) if number // each % 2 else record for number, record in enumerate(records)]
    block = "".join(json.dumps(record) + "\n" for record in chosen).encode()
    assert len(as_the_core(FLAT, block).records) == 400
    assert as_the_core(FLAT, block[:-1]).records[-1][1] is not None


@effort(120)
@given(PIPELINES, SEEDS)
def test_changed_copies_of_any_records(pipeline: Pipeline, seed: int) -> None:
    """Each record often, with bytes changed, taken out or put in."""
    rng = Random(seed)
    records, lines = Records(pipeline, rng, 0.05), []
    for _ in range(3):
        line = records.line().replace(b"\n", b" ")
        for _ in range(8):
            lines += [line, line]
            at = rng.randrange(len(line) + 1)
            piece = rng.choice([b"", b"7", b'"', b"\\", b"null", b"true", b" ", b",", b"[", b"\xc3\xa9", b"e", b"-"])
            lines.append(line[:at] + piece + line[at + rng.randrange(3) :])
    as_the_core(pipeline, b"\n".join(lines))
