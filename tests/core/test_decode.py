"""The scalar decoder: what a record means in JSON, CSV, Python and tables, and the reason of every refusal."""

import json
import time as clock
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oncefold.core import nodepath
from oncefold.core.decode import Decoder
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.limits import KEY_BYTES, LABEL_BYTES, NESTING, PATH_BYTES
from oncefold.core.values import Number
from tests.core.strategies import LABELS


def decoder(
    event: str = "", levels: str = '"Region"', measures: str = 'value = { sum = "Value", scale = 2 }'
) -> Decoder:
    key = "" if "key =" in event else 'key = "ID"\n'
    return Decoder(
        parse_toml(f'name = "t"\n[event]\n{key}{event}\n[rollups]\nr = [{levels}]\n[measures]\n{measures}\n')
    )


RISK = decoder('version = "Version"\ntime = "At"\ndelete = "Deleted"', '"Place.Region", "Place.Desk"')
GOOD = '{"ID": "k", "Version": 3, "At": 1.5, "Place": {"Region": "EU", "Desk": "FX"}, "Value": 34624.51, "X": [1, {}]}'
EVENT = Event("k", 3, Content(("EU", "FX"), (3462451,)), 1_500_000_000)

SIMPLE = decoder()
FREE = decoder('delete = "Deleted"', measures="")


def refusal(call: Any, *args: Any) -> str:
    """The message of the one exception that a record may raise."""
    with pytest.raises(InvalidEvent) as error:
        call(*args)
    reason = str(error.value)
    assert reason.encode().decode() == reason
    assert len(reason) < 300
    return reason


def simple(**values: Any) -> dict[str, Any]:
    return {"ID": "k", "Region": "EU", "Value": 1, **values}


# One record in every form.


def test_one_event_in_every_form() -> None:
    nested = {"ID": "k", "Version": 3, "At": 1.5, "Place": {"Region": "EU", "Desk": "FX"}, "Value": Decimal("34624.51")}
    header = ["ID", "Version", "At", "Place.Region", "Place.Desk", "Value", "Deleted"]
    cells = ["k", "3", "1970-01-01T00:00:01.5Z", "EU", "FX", "34624.51", ""]
    flat = {"ID": "k", "Version": 3, "At": datetime(1970, 1, 1, 0, 0, 1, 500000), "Place.Region": "EU"}
    assert RISK.json(GOOD.encode()) == EVENT
    assert RISK.record(nested) == EVENT
    assert RISK.csv(header, cells) == EVENT
    assert RISK.flat({**flat, "Place.Desk": "FX", "Value": 34624.51}) == EVENT
    assert RISK.flat(nested) == EVENT
    with pytest.raises(InvalidEvent, match=r"Place\.Region: missing"):
        RISK.flat({**nested, "Place.Region": None})


JSON_SPACE = st.text(" \t\r\n", max_size=3)


@given(LABELS, LABELS, st.booleans(), JSON_SPACE, JSON_SPACE)
def test_texts_come_through_json_and_csv_unchanged(
    key: str, label: str, ascii_only: bool, before: str, after: str
) -> None:
    raw = before + json.dumps({"ID": key, "Region": label}, ensure_ascii=ascii_only) + after
    expected = Event(key, 0, Content((label,)))
    assert FREE.json(raw.encode()) == expected
    assert FREE.record({"ID": key, "Region": label}) == expected
    assert FREE.csv(["Region", "ID"], [label, key]) == expected


@given(st.integers(-(10**25), 10**25), st.integers(-(10**15), 10**15))
def test_an_integer_and_its_digits_are_one_key(key: int, value: int) -> None:
    expected = Event(str(key), 0, Content((str(key),), (value * 100,)))
    for form in (key, str(key)):
        raw = json.dumps({"ID": form, "Region": form, "Value": value})
        assert SIMPLE.json(raw.encode()) == expected
        assert SIMPLE.record({"ID": form, "Region": form, "Value": value}) == expected
    assert SIMPLE.csv(["ID", "Region", "Value"], [str(key), str(key), str(value)]) == expected


def test_keys_are_not_normalised() -> None:
    keys = [SIMPLE.record(simple(ID=key)).key for key in ("7", " 7", "07", "7.0", "K", "k", "é", "e\u0301", "")]
    assert keys == ["7", " 7", "07", "7.0", "K", "k", "é", "e\u0301", ""]
    assert SIMPLE.json(b'{"ID": -0, "Region": "", "Value": -0.0}') == Event("0", 0, Content(("",), (0,)))


@given(st.lists(LABELS, min_size=2, max_size=3))
def test_composite_keys_never_meet(parts: list[str]) -> None:
    names = [f"p{index}" for index in range(len(parts))]
    event = decoder(f"key = {json.dumps(names)}", "", "").record(dict(zip(names, parts, strict=True)))
    assert nodepath.split(event.key) == tuple(parts)


def test_composite_keys_are_written_as_paths() -> None:
    both = decoder('key = ["a", "b.c"]', "", "")
    assert both.json(b'{"a": 7, "b": {"c": "x/y"}}').key == r"7/x\/y"
    assert refusal(both.json, b'{"a": 7, "b": 8}') == "field b.c: missing"


@pytest.mark.parametrize("wrong", ["1.5", "1.0", "1e2", "true", "null", "[]", "[7]", "{}", '{"a": 1}'])
def test_keys_and_labels_are_text_or_whole_numbers(wrong: str) -> None:
    for name in ("ID", "Region"):
        raw = GOOD_SIMPLE.replace(f'"{name}": "k"', f'"{name}": {wrong}').encode()
        reason = refusal(SIMPLE.json, raw)
        assert reason.startswith(f"field {name}: ")
        assert "missing" in reason if wrong == "null" else "cannot be a key or label" in reason


GOOD_SIMPLE = '{"ID": "k", "Region": "k", "Value": 1}'


# JSON as hostile as it comes.


@pytest.mark.parametrize(
    ("number", "mantissa"),
    [
        ("0.1", 10),
        ("1e2", 10000),
        ("1E-2", 1),
        ("-0.00", 0),
        ("9007199254740993", 900719925474099300),
        ("0.30", 30),
        ("123456789012345.67", 12345678901234567),
        ("1.00000000000000000000000000000000000000000000", 100),
        ("100e-2", 100),
        ('"1.25"', 125),
        ('"1e1"', 1000),
        ("0." + "0" * 5000, 0),
        ("1" + "0" * 5000 + "e-5000", 100),
    ],
)
def test_json_numbers_are_read_from_their_text(number: str, mantissa: int) -> None:
    raw = GOOD_SIMPLE.replace("1}", number + "}").encode()
    assert SIMPLE.json(raw).content.measures == (mantissa,)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("1.505", "field Value: '1.505' has more than 2 decimal places"),
        ("1e16", "field Value: '1e16' is out of range: at scale 2 it must lie below 10000000000000000.00"),
        ("-1e400", "field Value: '-1e400' is out of range"),
        ("1e-400", "field Value: '1e-400' has more than 2 decimal places"),
        ("9" * 5000, "is out of range"),
        ("1e" + "9" * 5000, "is out of range"),
        ("null", 'field Value: missing; a measure that may be missing needs missing = "zero"'),
        ("true", "field Value: true is not a number"),
        ("[1]", "field Value: an array is not a number"),
        ('{"a": 1}', "field Value: an object is not a number"),
        ('""', "field Value: '' is not a number"),
        ('" 1"', "field Value: ' 1' is not a number"),
        ('"NaN"', "field Value: 'NaN' is not a number"),
        (r'"\ud800"', r"field Value: '\ud800' is not a number"),
        ("NaN", "not JSON: NaN is not a JSON number"),
        ("Infinity", "not JSON: Infinity is not a JSON number"),
        ("-Infinity", "not JSON: -Infinity is not a JSON number"),
        ("01", "not JSON: "),
        ("+1", "not JSON: "),
        (".5", "not JSON: "),
        ("1.", "not JSON: "),
        ("1e", "not JSON: "),
        ("0x1", "not JSON: "),
        ("'1'", "not JSON: "),
        ("1,", "not JSON: "),
        ("1} {", "not JSON: Extra data"),
        ("1}\x00{", "not JSON: Extra data"),
    ],
)
def test_json_values_that_are_refused(number: str, reason: str) -> None:
    assert reason in refusal(SIMPLE.json, GOOD_SIMPLE.replace("1}", number + "}").encode())


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON: Expecting value"),
        (b" \t", "not JSON: Expecting value"),
        (b"\x00", "not JSON: Expecting value"),
        (b"{", "not JSON: "),
        (GOOD_SIMPLE.encode()[:-1], "not JSON: "),
        (
            b"[" + GOOD_SIMPLE.encode() + b"]",
            "not a JSON object; a file of one array is not JSON Lines: write one object",
        ),
        (b"7", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"ID": "\xff"}', "not UTF-8: byte 8 is 0xff"),
        (b'{"ID": "\xc3"}', "not UTF-8: byte 8 is 0xc3"),
        (b'{"ID": "\xed\xa0\x80"}', "not UTF-8: byte 8 is 0xed"),
        (b'{"ID": "\xc0\xaf"}', "not UTF-8: byte 8 is 0xc0"),
        (GOOD_SIMPLE.encode("utf-16"), "not UTF-8: byte 0 is 0xff"),
        (b"\xef\xbb\xbf" + GOOD_SIMPLE.encode(), "a byte order mark is inside the stream; only a file may start"),
        (b'{"ID": "a\x00b"}', "not JSON: Invalid control character"),
        (b'{"ID": "a\tb"}', "not JSON: Invalid control character"),
        (rb'{"ID": "\x41"}', "not JSON: Invalid"),
        (rb'{"ID": "\u12"}', "not JSON: Invalid"),
        (b'{ID: "a"}', "not JSON: "),
        (b'{"ID" "a"}', "not JSON: "),
        (b'// c\n{"ID": "a"}', "not JSON: "),
    ],
)
def test_what_is_no_json_object_is_refused(raw: bytes, reason: str) -> None:
    assert refusal(SIMPLE.json, raw).startswith(reason)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (r"\u0041\/\\\"\b\f\n\r\t", 'A/\\"\b\f\n\r\t'),
        (r"\ud83d\ude00", "😀"),
        (r"a\u0000b", "a\x00b"),
        (r"\ufeff", "\ufeff"),
        (r"\uffff", "\uffff"),
        ("\x7f\u2028", "\x7f\u2028"),
    ],
)
def test_json_escapes(text: str, meant: str) -> None:
    event = FREE.json(f'{{"ID": "{text}", "Region": "{text}"}}'.encode())
    assert event == Event(meant, 0, Content((meant,)))


@pytest.mark.parametrize("half", [r"\ud83d", r"\ude00", r"a\ude00\ud83d", r"\ud83d\u0041"])
def test_half_a_surrogate_pair_is_no_text(half: str) -> None:
    reason = "the text holds half of a surrogate pair, which no UTF-8 text can"
    assert refusal(FREE.json, f'{{"ID": "{half}", "Region": "a"}}'.encode()) == f"field ID: {reason}"
    assert refusal(FREE.json, f'{{"ID": "a", "Region": "{half}"}}'.encode()) == f"field Region: {reason}"
    assert FREE.json(f'{{"ID": "a", "Region": "b", "other": "{half}", "{half}": 1}}'.encode()).key == "a"


@pytest.mark.parametrize(
    "raw",
    [
        '{"ID": "a", "ID": "a", "Region": "x", "Value": 1}',
        r'{"ID": "a", "\u0049D": "b", "Region": "x", "Value": 1}',
        '{"ID": "a", "Region": "x", "Region": null, "Value": 1}',
        '{"ID": "a", "Region": "x", "Value": 1, "Value": 2}',
        '{"ID": "a", "Region": "x", "Value": 1, "other": 0, "Value": 1}',
    ],
)
def test_a_repeated_name_is_refused_where_it_is_read(raw: str) -> None:
    assert refusal(SIMPLE.json, raw.encode()).endswith("occurs twice in one object")


def test_repeated_names_are_ignored_where_nothing_is_read() -> None:
    raw = GOOD_SIMPLE.replace("{", '{"x": 1, "x": 2, "y": {"ID": 1, "ID": 2}, ')
    assert SIMPLE.json(raw.encode()) == SIMPLE.json(GOOD_SIMPLE.encode())
    twice = '{"ID": "k", "Version": 1, "Place": {"Region": 1, "Region": 2}, "Deleted": true}'
    assert RISK.json(twice.encode()).content == DELETED
    assert "'Region' occurs twice" in refusal(RISK.json, twice.replace("true", "false").encode())
    twice = twice.replace('"Place"', '"Place": {}, "Place"').replace("true", "false")
    assert "'Place' occurs twice" in refusal(RISK.json, twice.encode())


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    """GOOD_SIMPLE with so many levels of nesting."""
    return GOOD_SIMPLE.replace("{", f'{{"deep": {opening * (depth - 1)}{closing * (depth - 1)}, ').encode()


@pytest.mark.parametrize("forms", [("[", "]")])
@pytest.mark.parametrize("depth", [2, NESTING - 1, NESTING])
def test_nesting_up_to_the_limit(depth: int, forms: tuple[str, str]) -> None:
    assert SIMPLE.json(nested(depth, *forms)).key == "k"


@pytest.mark.parametrize("depth", [NESTING + 1, 500, 3_000, 100_000])
@pytest.mark.parametrize("twice", [False, True])
def test_deeper_nesting_is_refused_however_deep(depth: int, twice: bool) -> None:
    raw = nested(depth)
    raw = raw.replace(b'"ID"', b'"deep": 0, "ID"') if twice else raw
    assert refusal(SIMPLE.json, raw) == "nested deeper than 64 levels"


def test_wide_is_not_deep_and_brackets_in_text_do_not_count() -> None:
    wide = GOOD_SIMPLE.replace("{", '{"wide": [' + ", ".join(["[{}]"] * 200) + '], "t": "' + r"[{\"" * 200 + '", ')
    assert SIMPLE.json(wide.encode()).key == "k"


@given(st.binary(max_size=60))
@example(b'{"ID": 1e}')
def test_any_bytes_are_an_event_or_a_refusal(raw: bytes) -> None:
    with suppress(InvalidEvent):
        SIMPLE.json(raw)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["k", "1", "-2.5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Region", "Desk", "x"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["ID", "Version", "At", "Place", "Value", "Deleted"]), JSON_VALUES, max_size=2))
def test_json_and_python_records_mean_the_same(changes: dict[str, Any]) -> None:
    """But for non-finite floats, which JSON cannot hold, and floats as labels, which both refuse."""

    def verdict(call: Any, value: Any) -> Event | str:
        try:
            return call(value)
        except InvalidEvent as error:
            return str(error).split(":")[0]

    record = {**json.loads(GOOD), **changes}
    raw = json.dumps(record)
    if "NaN" not in raw and "Infinity" not in raw:
        assert verdict(RISK.json, raw.encode()) == verdict(RISK.record, record)


# CSV.


def test_csv_rows() -> None:
    header = ["ID", "Place.Region", "Place.Desk", "Value", "Version", "At", "Deleted"]
    assert RISK.csv(header, ["", "", "", "1", "1", "", "0"]) == Event("", 1, Content(("", ""), (100,)))
    assert RISK.csv(header, ["k", "", "", "", "1", "5", "TRUE"]) == Event("k", 1, DELETED, 5 * 10**9)
    assert RISK.csv([*header, ""], ["k", "7", "07", "1", "1", "", "", "x"]).content.labels == ("7", "07")
    reason = refusal(RISK.csv, header, ["k", "", "", "", "1", "", ""])
    assert reason == 'field Value: missing; a measure that may be missing needs missing = "zero"'
    assert refusal(RISK.csv, header, ["k", "", "", "1", "", "", ""]).startswith("field Version: missing; every event")
    assert refusal(RISK.csv, header, ["k"]) == "the row has 1 fields, the header 7"
    assert refusal(RISK.csv, header, ["k"] * 8) == "the row has 8 fields, the header 7"
    assert refusal(RISK.csv, header[1:], ["", "", "1", "1", "", ""]) == "field ID: missing"
    assert refusal(RISK.csv, ["ID", "Version"], ["k", "1"]) == "field Place.Region: missing"


def test_a_repeated_column_is_refused_where_it_is_read() -> None:
    header, cells = ["ID", "Region", "Value", "x", "x"], ["k", "EU", "1", "a", "b"]
    assert SIMPLE.csv(header, cells).key == "k"
    reason = refusal(SIMPLE.csv, [*header, "Region"], [*cells, "US"])
    assert reason == "field Region: the name 'Region' occurs twice in the header"


def test_quoted_names_are_one_column() -> None:
    dotted = decoder("key = '\"a.b\"'", "", "")
    assert dotted.csv(["a.b"], ["k"]).key == "k"
    assert dotted.json(b'{"a.b": "k"}').key == "k"
    assert refusal(dotted.json, b'{"a": {"b": "k"}}') == 'field "a.b": missing'


# Python values and typed tables.


@pytest.mark.parametrize(
    ("value", "mantissa"),
    [
        (7, 700),
        (1.1, 110),
        (1e16 / 10, 10**17),
        (Decimal("1.10"), 110),
        (Decimal("1E+2"), 10000),
        (-0.0, 0),
        ("1.1", 110),
        (Number("1.1"), 110),
        (np.int64(7), 700),
        (np.float64(1.1), 110),
        (np.float32(1.1), 110),
    ],
)
def test_python_numbers(value: Any, mantissa: int) -> None:
    assert SIMPLE.record(simple(Value=value)).content.measures == (mantissa,)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "'NaN' is not a number"),
        (float("inf"), "'Infinity' is not a number"),
        (Decimal("NaN"), "'NaN' is not a number"),
        (Decimal("sNaN"), "'NaN' is not a number"),
        (Decimal("-Infinity"), "'-Infinity' is not a number"),
        (0.1 + 0.2, "'0.30000000000000004' has more than 2 decimal places"),
        (Fraction(1, 2), "a value of type Fraction is not a number"),
        (1j, "a value of type complex is not a number"),
        (True, "true is not a number"),
        (b"1", "a value of type bytes is not a number"),
        (date(2021, 1, 1), "'2021-01-01' is not a number"),
        ([1], "an array is not a number"),
        ((1,), "an array is not a number"),
        ({}, "an object is not a number"),
    ],
)
def test_python_values_that_are_no_measure(value: Any, reason: str) -> None:
    assert refusal(SIMPLE.record, simple(Value=value)) == f"field Value: {reason}"


class Grade(IntEnum):
    GOOD = 2


class Place(Enum):
    EU = "EU"


@pytest.mark.parametrize("value", [True, b"k", [], {}, object(), Place.EU, time(1), timedelta(1), {1, 2}])
def test_python_values_that_are_no_key(value: Any) -> None:
    assert "cannot be a key or label; text or a whole number can" in refusal(SIMPLE.record, simple(ID=value))


@pytest.mark.parametrize("value", [1.5, 7.0, Decimal("7.0"), float("nan"), Decimal("NaN")])
def test_python_numbers_that_are_no_key(value: Any) -> None:
    assert "cannot be a key or label; of numbers only whole ones" in refusal(SIMPLE.record, simple(ID=value))


def test_a_number_too_long_to_print_is_refused() -> None:
    huge = 10**5000
    what = "a value of type int with thousands of digits"
    assert refusal(SIMPLE.record, simple(Value=huge)) == f"field Value: {what} is not a number"
    assert "a value of type Fraction" in refusal(SIMPLE.record, simple(Value=Fraction(1, huge)))
    assert refusal(SIMPLE.record, simple(ID=huge)).startswith(f"field ID: {what} cannot be a key")
    assert refusal(FREE.record, {"ID": 1, "Deleted": huge}).startswith(f"field Deleted: {what} is neither")


def test_python_keys() -> None:
    assert SIMPLE.record(simple(ID=np.int64(7))).key == "7"
    assert SIMPLE.record(simple(ID=Decimal(7))).key == "7"
    assert SIMPLE.record(simple(ID=UUID(int=7))).key == "00000000-0000-0000-0000-000000000007"
    assert SIMPLE.record(simple(ID=date(2021, 1, 1))).key == "2021-01-01"
    assert SIMPLE.record(simple(ID=Grade.GOOD)).key == "2"
    assert type(SIMPLE.record(simple(ID=Number("7"))).key) is str
    assert refusal(SIMPLE.record, simple(ID="\ud800")).startswith("field ID: the text holds half of a surrogate pair")


def test_a_path_ends_at_what_is_no_mapping() -> None:
    class Custom(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            return {"Region": "EU", "Desk": "FX"}[name]

        def __iter__(self) -> Any:
            return iter(["Region", "Desk"])

        def __len__(self) -> int:
            return 2

    record = {"ID": "k", "Version": 1, "Value": 1}
    assert RISK.record({**record, "Place": Custom()}).content.labels == ("EU", "FX")
    for place in ("EU", None, 5, [{"Region": "EU"}]):
        assert refusal(RISK.record, {**record, "Place": place}) == "field Place.Region: missing"


def test_flat_tables_prefer_the_column() -> None:
    row = {"ID": "k", "Version": 1, "Value": 1, "Place": {"Region": "EU", "Desk": "FX"}}
    assert RISK.flat(row).content.labels == ("EU", "FX")
    assert RISK.flat({**row, "Place.Region": "US"}).content.labels == ("US", "FX")
    assert RISK.record({**row, "Place.Region": "US"}).content.labels == ("EU", "FX")


# Missing values and defaults.

DEFAULTS = decoder(
    "", '{ field = "Region", missing = "(none)" }', 'value = { sum = "Value", scale = 2, missing = "zero" }'
)


@pytest.mark.parametrize("raw", ['{"ID": 1}', '{"ID": 1, "Region": null, "Value": null}'])
def test_defaults_of_what_is_missing(raw: str) -> None:
    assert DEFAULTS.json(raw.encode()) == Event("1", 0, Content(("(none)",), (0,)))
    assert DEFAULTS.record(json.loads(raw)) == Event("1", 0, Content(("(none)",), (0,)))
    assert refusal(SIMPLE.json, raw.encode()) == "field Region: missing"


def test_an_empty_label_is_a_label_and_an_empty_number_is_missing() -> None:
    assert DEFAULTS.csv(["ID", "Region", "Value"], ["1", "", ""]) == Event("1", 0, Content(("",), (0,)))
    assert DEFAULTS.csv(["ID"], ["1"]) == Event("1", 0, Content(("(none)",), (0,)))
    assert DEFAULTS.json(b'{"ID": 1, "Region": ""}') == Event("1", 0, Content(("",), (0,)))
    assert refusal(DEFAULTS.json, b'{"ID": 1, "Value": ""}') == "field Value: '' is not a number"


# Versions and times.


@pytest.mark.parametrize(
    ("value", "version"),
    [("3", 3), ('"3"', 3), ("-3", -3), ("3.0", 3), ("3e0", 3), ("9223372036854775806", 2**63 - 2)],
)
def test_integer_versions(value: str, version: int) -> None:
    read = decoder('version = "V"', "", "")
    assert read.json(f'{{"ID": 1, "V": {value}}}'.encode()).version == version


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("null", "missing; every event needs its version"),
        ("3.5", "'3.5' has more than 0 decimal places; a version is a whole number"),
        ("9223372036854775807", "is out of range"),
        (
            '"2021-03-22"',
            "'2021-03-22' is not a number; a version is a whole number; for times write type = \"timestamp\"",
        ),
        ('"v3"', "'v3' is not a number; a version is a whole number"),
        ("true", "true is not a number"),
        ("[3]", "an array is not a number"),
    ],
)
def test_integer_versions_that_are_refused(value: str, reason: str) -> None:
    read = decoder('version = "V"', "", "")
    message = refusal(read.json, f'{{"ID": 1, "V": {value}}}'.encode())
    assert message.startswith("field V: ")
    assert reason in message


def test_timestamp_versions() -> None:
    read = decoder('version = { field = "V", type = "timestamp", unit = "ms" }', "", "")
    second = 1_616_413_258 * 10**9
    for value in ("2021-03-22T11:40:58Z", "2021-03-22 12:40:58+01:00", 1616413258000, "1616413258000.000000"):
        assert read.record({"ID": 1, "V": value}).version == second
    for value in (datetime(2021, 3, 22, 11, 40, 58), datetime(2021, 3, 22, 11, 40, 58, tzinfo=UTC)):
        assert read.record({"ID": 1, "V": value}).version == second
    assert read.record({"ID": 1, "V": date(1970, 1, 2)}).version == 86_400 * 10**9
    assert refusal(read.record, {"ID": 1, "V": "soon"}).startswith("field V: 'soon' is not an RFC 3339 time")
    assert refusal(read.record, {"ID": 1}) == "field V: missing; every event needs its version"
    assert refusal(read.record, {"ID": 1, "V": True}) == "field V: true is not a number"


def test_event_times() -> None:
    read = decoder('time = "At"', "", "")
    assert read.json(b'{"ID": 1}').time is None
    assert read.json(b'{"ID": 1, "At": null}').time is None
    assert read.csv(["ID", "At"], ["1", ""]).time is None
    assert read.json(b'{"ID": 1, "At": 1616413258.8997}').time == 1616413258899700000
    assert refusal(read.json, b'{"ID": 1, "At": "noon"}').startswith("field At: 'noon' is not an RFC 3339 time")


def test_time_windows() -> None:
    read = decoder(
        "",
        '{ field = "At", window = "1h" }, { field = "At", window = "1mo" },'
        ' { field = "Due", window = "1d", unit = "ms", missing = "never" }',
        "",
    )
    labels = read.json(b'{"ID": 1, "At": "2021-03-22T11:40:58Z", "Due": 86400000}').content.labels
    assert labels == ("2021-03-22T11:00:00Z", "2021-03", "1970-01-02")
    assert read.csv(["ID", "At", "Due"], ["1", "-1", ""]).content.labels == ("1969-12-31T23:00:00Z", "1969-12", "never")
    reason = "field At: missing; the level is a time window and names no default"
    assert refusal(read.json, b'{"ID": 1, "At": null}') == reason
    assert refusal(read.csv, ["ID", "At"], ["1", ""]) == reason
    assert refusal(read.json, b'{"ID": 1, "At": "x"}').startswith("field At: 'x' is not an RFC 3339 time")
    assert refusal(read.json, b'{"ID": 1, "At": {}}') == "field At: an object is not a number"


# Deletes.


@pytest.mark.parametrize(
    ("value", "deleted"),
    [
        *[("true", True), ("false", False), ("null", False), ('"true"', True), ('"FALSE"', False), ('"True"', True)],
        *[("1", True), ("0", False), ('"1"', True), ('"0"', False), ('""', False)],
    ],
)
def test_deletes_by_a_flag(value: str, deleted: bool) -> None:
    expected = DELETED if deleted else Content(("a",))
    assert FREE.json(f'{{"ID": 1, "Region": "a", "Deleted": {value}}}'.encode()).content == expected
    assert FREE.record({"ID": 1, "Region": "a", "Deleted": json.loads(value)}).content == expected
    if value.startswith('"'):
        assert FREE.csv(["ID", "Region", "Deleted"], ["1", "a", json.loads(value)]).content == expected


@pytest.mark.parametrize("value", ['"yes"', "2", "1.0", "-1", "[]", "{}", '" true"', '"?"'])
def test_a_flag_is_true_or_false(value: str) -> None:
    reason = refusal(FREE.json, f'{{"ID": 1, "Region": "a", "Deleted": {value}}}'.encode())
    assert reason.startswith("field Deleted: ")
    assert reason.endswith(" is neither true nor false")


@pytest.mark.parametrize(
    ("value", "deleted"),
    [('"D"', True), ('"d"', False), ('"I"', False), ("null", False), ("5", False), ("[]", False), ("{}", False)],
)
def test_deletes_by_a_text(value: str, deleted: bool) -> None:
    read = decoder('delete = { field = "Op.Code", equals = "D" }', measures="")
    event = read.json(f'{{"ID": 1, "Region": "a", "Op": {{"Code": {value}}}}}'.encode())
    assert event.content == (DELETED if deleted else Content(("a",)))


def test_deletes_by_a_number_or_a_bool() -> None:
    for equals, values in {"5": ["5", '"5"'], "false": ["false", '"false"']}.items():
        read = decoder(f'delete = {{ field = "D", equals = {equals} }}', "", "")
        for value in values:
            assert read.json(f'{{"ID": 1, "D": {value}}}'.encode()).content == DELETED


def test_of_a_delete_only_key_version_and_time_are_read() -> None:
    raw = b'{"ID": 1, "Version": 2, "At": 3, "Deleted": true, "Place": 5, "Value": "much"}'
    assert RISK.json(raw) == Event("1", 2, DELETED, 3 * 10**9)
    assert refusal(RISK.json, b'{"ID": 1, "Deleted": true}').startswith("field Version: missing")
    assert refusal(RISK.json, b'{"Version": 1, "Deleted": true}') == "field ID: missing"


# Limits.


@pytest.mark.parametrize("character", ["a", "é", "€", "😀"])
def test_limits_count_utf_8_bytes(character: str) -> None:
    size = len(character.encode())
    key, label = character * (KEY_BYTES // size), character * (LABEL_BYTES // size)
    rest = "a" * (KEY_BYTES - len(key.encode()))
    assert FREE.record({"ID": key + rest, "Region": label}).key == key + rest
    reason = f"field ID: the key is longer than {KEY_BYTES} bytes"
    assert refusal(FREE.record, {"ID": key + rest + "a", "Region": label}) == reason
    reason = f"field Region: the label is longer than {LABEL_BYTES} bytes"
    assert refusal(FREE.record, {"ID": key, "Region": label + character}) == reason


def test_a_composite_key_is_limited_as_it_is_written() -> None:
    both = decoder('key = ["a", "b"]', "", "")
    assert both.record({"a": "a" * 2000, "b": "b" * 46}).key.endswith("a/" + "b" * 46)
    assert refusal(both.record, {"a": "a" * 2000, "b": "b" * 47}) == "field a: the key is longer than 2047 bytes"
    assert refusal(both.record, {"a": "/" * 1024, "b": "b"}) == "field a: the key is longer than 2047 bytes"


def test_paths_are_limited_as_they_are_written() -> None:
    read = decoder("", '"a", "b"', "")
    room = PATH_BYTES - LABEL_BYTES - 1
    assert read.record({"ID": 1, "a": "a" * LABEL_BYTES, "b": "b" * room}).content.labels is not None
    reason = f"the path in rollup r is longer than {PATH_BYTES} bytes"
    assert refusal(read.record, {"ID": 1, "a": "a" * LABEL_BYTES, "b": "b" * (room + 1)}) == reason
    assert refusal(read.record, {"ID": 1, "a": "/" * LABEL_BYTES, "b": "b"}) == reason


@pytest.mark.parametrize(
    "raw",
    [
        b'{"ID": "' + b"k" * 4_000_000 + b'"}',
        b'{"ID": ' + b"7" * 4_000_000 + b"}",
        b'{"ID": "k", "Region": "a", "Value": ' + b"7" * 4_000_000 + b"}",
        b'{"ID": "k", "Region": "a", "Value": 1' + b"0" * 1_000_000 + b"e-" + b"1" * 1_000_000 + b"}",
        b"[" * 4_000_000,
        b'{"a":' * 500_000,
    ],
    ids=["key", "number as key", "number", "exponent", "arrays", "objects"],
)
def test_huge_records_are_refused_quickly(raw: bytes) -> None:
    started = clock.process_time()
    refusal(SIMPLE.json, raw)
    assert clock.process_time() - started < 20, "in quadratic time it is minutes"


def test_nul_bytes_in_front_of_a_record_are_left_out() -> None:
    assert RISK.json(b"\0\0\0" + GOOD.encode()) == EVENT


@pytest.mark.parametrize(
    ("kind", "text"),
    [("text", "1.10.0"), ("text", "a:b.c"), ("binlog", "mysql-bin.000123:456"), ("lsn", "16/B374D848")],
)
def test_versions_that_are_no_numbers_know_no_decimal_comma(kind: str, text: str) -> None:
    """What stands for a decimal comma or between groups of digits concerns numbers alone."""
    event = f'version = {{ field = "V", type = "{kind}" }}'
    spelled = decoder(event + '\ndecimal = ","\ngroup = "."')
    record = {"ID": "k", "V": text, "Region": "EU", "Value": "1.234,50"}
    read = spelled.record(record)
    assert read.version == decoder(event).record({**record, "Value": "1234.50"}).version
    assert read.content == Content(("EU",), (123_450,))
