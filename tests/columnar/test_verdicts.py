"""Bad records in numbers: each gets the scalar decoder's own reason, which is asked for once per class."""

import json
from random import Random

import pytest
from hypothesis import given

from oncefold.columnar.text import TextDecoder
from oncefold.core.decode import Decoder, syntax_fault
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import InvalidEvent
from tests.columnar.records import PIPELINES, SEEDS, Records
from tests.columnar.tools import (
    SOURCE,
    assert_same,
    counting,
    csv_by_the_core,
    effort,
    json_by_the_core,
    of_batch,
)

ORDERS = parse_toml(
    """
    name = "orders"
    [event]
    key = "id"
    version = "v"
    time = "t"
    delete = { field = "gone" }
    [rollups]
    r = ["label", { field = "t", window = "1d" }]
    [measures]
    m = { sum = "m", scale = 2 }
    n = { sum = "n", scale = 0, missing = "zero" }
    """
)
GOOD = {"id": "k", "v": 1, "t": "2021-03-22", "gone": False, "label": "é", "m": "1.50", "n": 7}
RATHER = 20
"""Judgements of the scalar decoder that are few for hundreds of records of one kind."""


def lines_of(records: list[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


def varied(**values: object) -> bytes:
    """Many good records with these values changed; `{}` in a text becomes a number."""
    records = []
    for number in range(300):
        changed = {name: v.format(number) if isinstance(v, str) else v for name, v in values.items()}
        records.append({name: value for name, value in {**GOOD, **changed}.items() if value is not ...})
    return lines_of(records)


@pytest.mark.parametrize(
    "values",
    [
        {"m": "none"}, {"m": "n/a {}"}, {"m": "1,{}"}, {"m": "{}.999"}, {"m": "9{}" + "0" * 20}, {"m": ...},
        {"m": True}, {"m": None}, {"m": [1]}, {"m": "it's “{}”"}, {"m": "x" * 60}, {"m": "-"}, {"m": ""},
        {"n": "half {}"}, {"n": 0.5}, {"n": False},
        {"v": "first"}, {"v": "{}.5"}, {"v": ...}, {"v": None}, {"v": "9{}" + "0" * 25}, {"v": True},
        {"t": "yesterday"}, {"t": "22.03.2021 {}:00"}, {"t": "2021-02-29"}, {"t": True}, {"t": ...}, {"t": [1]},
        {"id": ...}, {"id": None}, {"id": 1.5}, {"id": True}, {"id": [1]}, {"id": "x" * 2_100},
        {"label": ...}, {"label": None}, {"label": 2.5}, {"label": False}, {"label": ["a"]}, {"label": "é" * 600},
        {"gone": "perhaps"}, {"gone": 2}, {"gone": "maybe {}"}, {"gone": [1]},
        {"label": ..., "m": "none"}, {"m": "none", "n": "half"}, {"t": "soon", "m": ...},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("form", ["json", "csv"])
def test_many_bad_values_of_a_kind_are_judged_once(values, form):
    decoder, scalar = counting(ORDERS)
    block = varied(**values)
    if form == "json":
        expected, read = json_by_the_core(ORDERS, block, 5), of_batch(decoder.json(block, SOURCE, 5))
    else:
        header = list(GOOD)
        rows = [",".join(_cell(json.loads(line).get(name)) for name in header).encode() for line in block.splitlines()]
        table = b"\n".join(rows)
        expected = csv_by_the_core(ORDERS, table, 5, header, ",")
        read = of_batch(decoder.csv(table, SOURCE, 5, header))
    assert_same(expected, read)
    assert scalar.calls < RATHER


def _cell(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return '"' + text.replace('"', '""') + '"' if '"' in text or "," in text else text


CUTS = ("{", '{"id"', '{"id":', '{"id": "k', '{"id": "k"', '{"id": "k",', '{"id": [1', '{"id": [1,', '{"id": {"a": 1}')


@pytest.mark.parametrize(
    "line",
    [
        *CUTS, "plain text", "id;v;label", "{id: 1}", "{'id': 1}", '{"id" 1}', '{"id": x}', '{"id": "a\tb"}',
        '{"id": 1} {"id": 2}', '{"id": 1}]', '{"id": 1 2}', '{"id": 01}', '{"id": tru}', '{"id": 1,}', '{"id": [1,]}',
        '{"id": 1.}', '{"id": -}', '{"id": NaN}', '{"id": "\\x"}', '{"id": "\\u12"}', "[1]", "[]", '"text"', "7", "[1",
        '{"id": "é', "\ufeff{}", '{"id": "k" \t', "{}", "null", '{"x": "\\u00e9" "y"}', "}", "]", ",", ":", "-Infinity",
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \r\r\n"])
def test_many_lines_that_are_no_json(line, end):
    decoder, scalar = counting(ORDERS)
    block = (line.encode() + end) * 200
    assert_same(json_by_the_core(ORDERS, block, 0), of_batch(decoder.json(block, SOURCE, 0)))
    assert scalar.calls < RATHER or line in {"{}", '{"x": "\\u00e9" "y"}'}


def test_a_delete_has_no_fault_behind_it():
    """What says so may be a text of the definition's, and other fields of a delete are not read."""
    pipeline = parse_toml(
        """
        name = "d"
        [event]
        key = ["id", "more"]
        delete = { field = "op", equals = "gone" }
        [rollups]
        r = ["label"]
        [measures]
        m = { sum = "m" }
        """
    )
    record = {"id": "a/b", "more": "x", "op": "here", "label": "l", "m": "none"}
    block = lines_of([record, {**record, "op": "gone"}, {**record, "id": 7, "op": "gone"}] * 3)
    expected = json_by_the_core(pipeline, block, 0)
    assert_same(expected, of_batch(TextDecoder(pipeline).json(block, SOURCE, 0)))
    assert len(expected.rejects) == 3


def test_a_row_of_too_few_or_many_cells_is_judged_once():
    decoder, scalar = counting(ORDERS)
    header = list(GOOD)
    block = b'a,b\na,"b,c",,,,,,,\n"x"\na"b,c\n' * 100
    expected = csv_by_the_core(ORDERS, block, 0, header, ",")
    assert_same(expected, of_batch(decoder.csv(block, SOURCE, 0, header)))
    assert scalar.calls < RATHER + 100


@effort(120)
@given(PIPELINES, SEEDS)
def test_any_records_many_times(pipeline: Pipeline, seed: int):
    rng = Random(seed)
    records = Records(pipeline, rng, rng.choice([0.02, 0.1, 0.3]))
    lines = [records.line() for _ in range(8)] * 3
    rng.shuffle(lines)
    block = b"\n".join(lines)
    assert_same(json_by_the_core(pipeline, block, 3), of_batch(TextDecoder(pipeline).json(block, SOURCE, 3)))


@effort(120)
@given(PIPELINES, SEEDS)
def test_any_bytes_cut_anywhere_many_times(pipeline: Pipeline, seed: int):
    """Most are no JSON; some pairs differ in one byte."""
    rng = Random(seed)
    records = Records(pipeline, rng, 0.05)
    lines = []
    for _ in range(6):
        line = bytearray(records.line().replace(b"\n", b" "))
        for _ in range(rng.randrange(3)):
            line[rng.randrange(len(line))] = rng.choice(b'{}[]",:\\x1- \t\r\x00\xc3')
        cut = bytes(line[: rng.randint(1, len(line))])
        lines += [cut, cut, bytes(line), bytes(line), cut[:-1] + b"!"]
    block = b"\n".join(lines)
    assert_same(json_by_the_core(pipeline, block, 3), of_batch(TextDecoder(pipeline).json(block, SOURCE, 3)))


def test_one_line_that_is_not_utf8_leaves_the_others_to_the_kernels():
    decoder, scalar = counting(ORDERS)
    block = lines_of([GOOD]) * 200 + b"\xff\n"
    assert_same(json_by_the_core(ORDERS, block, 0), of_batch(decoder.json(block, SOURCE, 0)))
    assert scalar.calls == 0
    rows = b"\n".join([b"k,1,2021-03-22,,\xc3\xa9,1.5,7"] * 200 + [b"k,1,2021-03-22,,\xe9,1.5,7"])
    expected = csv_by_the_core(ORDERS, rows, 0, list(GOOD), ",")
    assert_same(expected, of_batch(decoder.csv(rows, SOURCE, 0, list(GOOD))))
    assert scalar.calls == 0


class _Lenient(Decoder):
    """Takes every third record whatever it holds, and words its reasons otherwise."""

    calls = 0

    def json(self, raw: bytes):
        self.calls += 1
        try:
            return super().json(raw)
        except InvalidEvent as error:
            if json.loads(raw)["v"] % 3 == 0:
                return super().json(lines_of([GOOD]).strip())
            raise InvalidEvent(f"({error})") from None


@pytest.mark.parametrize("first", [0, 1])
def test_what_the_scalar_decoder_says_counts_and_not_the_class(first):
    """Where it takes the first of a class, or words its reason so that the value is not found, it judges each."""
    decoder = TextDecoder(ORDERS)
    decoder._scalar = lenient = _Lenient(ORDERS)
    block = lines_of([{**GOOD, "v": number, "m": f"none {number}"} for number in range(first, first + 30)])
    read = of_batch(decoder.json(block, SOURCE, 0))
    assert lenient.calls >= 30
    assert len(read.rejects) == 20
    assert {reject.reason for reject in read.rejects} == {
        f"(field m: 'none {number}' is not a number)" for number in range(first, first + 30) if number % 3
    }


@pytest.mark.parametrize(
    "text", ['{"a": 1}', "{", "[1]", "[", "", "\0{}", "\ufeff{}", "9" * 5_000, '{"a": NaN}', "{}x"]
)
def test_the_quick_check_of_the_syntax_says_what_the_decoder_says(text):
    try:
        Decoder(ORDERS).json(text.encode())
    except InvalidEvent as error:
        reason = str(error)
    fault = syntax_fault(text.encode())
    assert fault == (None if reason.startswith("field ") else reason)


@pytest.mark.parametrize(
    "odd", [b"\xe9", b"\xff\xfe", b"\xc3", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc3\xa9\xc0\xaf", b"\x80"]
)
def test_many_lines_that_are_not_utf8_are_judged_once_for_each_place(odd):
    decoder, scalar = counting(ORDERS)
    lines = [lines_of([{**GOOD, "label": "?" + "x" * (i % 3)}]).replace(b"?", odd) for i in range(120)]
    block = b"".join(lines)
    expected = json_by_the_core(ORDERS, block, 0)
    assert_same(expected, of_batch(decoder.json(block, SOURCE, 0)))
    assert len(expected.rejects) == 120
    rows = b"\n".join(b"k,1,2021-03-22,," + b"x" * (i % 3) + odd + b",1.5,7" for i in range(120))
    expected = csv_by_the_core(ORDERS, rows, 0, list(GOOD), ",")
    assert_same(expected, of_batch(decoder.csv(rows, SOURCE, 0, list(GOOD))))
    assert len(expected.rejects) == 120
    assert scalar.calls < RATHER
