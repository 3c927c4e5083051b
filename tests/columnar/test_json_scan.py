"""Blocks of JSON Lines give, record by record, what the scalar decoder gives."""

import json
import re
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given

from oncefold.columnar.text import TextDecoder
from oncefold.core.definition import Level, Pipeline, Rollup
from oncefold.core.definition_toml import parse_toml
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import KEY_BYTES, LABEL_BYTES, NESTING, PATH_BYTES
from tests.columnar.records import PIPELINES, SEEDS, Records, mutated
from tests.columnar.tools import SOURCE, Read, assert_same, counting, cut_lines, effort, json_by_the_core, of_batch
from tests.tools.sizes import in_full

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
NEAR = parse_toml("""
    name = "near"
    [event]
    key = ["a", "a.b"]
    [rollups]
    one = ["abcdefgh", "abcdefgh1", "abcdefgh2.x"]
    two = ['"a.b".c', '""', "abcdefgh2"]
    [measures]
    n = { sum = "n", missing = "zero" }
""")
"""Paths that are prefixes of each other (of which one must be missing), and names alike in their first eight bytes."""


def read_json(pipeline: Pipeline, block: bytes, offset: int = 0) -> Read:
    """A block as the columnar form reads it."""
    return of_batch(TextDecoder(pipeline).json(block, SOURCE, offset))


def assert_as_the_core(pipeline: Pipeline, block: bytes, offset: int = 0) -> Read:
    """The block gives what the core says."""
    expected = json_by_the_core(pipeline, block, offset)
    assert_same(expected, read_json(pipeline, block, offset))
    return expected


def changed(old: str, new: str) -> bytes:
    """GOOD with one piece of its text replaced."""
    text = GOOD.decode()
    assert old in text
    return text.replace(old, new).encode("utf-8", "surrogatepass")


def test_a_plain_record_is_read_without_the_scalar_decoder() -> None:
    decoder, scalar = counting(RISK)
    read = of_batch(decoder.json(GOOD + b"\r\n" + GOOD, SOURCE, 5))
    assert scalar.calls == 0
    assert [position for position, _ in read.records] == [5, 5 + len(GOOD) + 2]
    assert_same(json_by_the_core(RISK, GOOD + b"\r\n" + GOOD, 5), read)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("34624.51", '"34624.5"'),
        ("34624.51", '-34624.5100, "Rounded": 1234.5650000000000001'),
        ("34624.51", '0, "x": "\\u00e9\\n", "y": [{"Value": 1}, null, true, -1.5e+7, []], "Value2": {}'),
        ("1616413258.8997", '"2021-03-22T11:00:58.8997Z"'),
        ("1616413258.8997", '"2021-03-22 11:00:58+05:30"'),
        ('"EMEA"', "null"),
        ('"EMEA"', "-17"),
        ('"k1"', "123456789012345678901234567890"),
        ('"k1"', '"é\u2028😀\x7f"'),
        (', "Region": "EMEA"', ""),
        ("false", "true"),
        ("false", "null"),
        ("false", "1"),
        ("false", '"TRUE"'),
        (": ", "\t :  "),
        ("34624.51", "3.462451E4"),
        ("34624.51", "-3462451e-2"),
        ("34624.51", '1.5E+2, "Rounded": 1.2345e1'),
        ("34624.51", '"1.5e1"'),
        ("1616413258.8997", "1.6164132588997E9"),
        ('"Version": 3', '"Version": 3e0'),
        ('"k1"', r'"caf\u00E9"'),
        ('"k1"', r'"2021\/03\/22 \"\\\b\f\n\r\t\u0000"'),
        ('"k1"', r'"\ud83d\ude00\u20ac\u007f\u0080\u07ff\u0800\uffff\udbff\udfff"'),
        ('"Delta"', r'"D\u00e9lta"'),
        ('"EMEA"', r'"\u0045MEA"'),
        ('"Value"', r'"V\u0061lue"'),
        ('"Hierarchy"', r'"x\u00e9\/": {"Value": 2}, "Hierarchy"'),
        ("false", r'"\u0074rue"'),
        ("1616413258.8997", r'"2021\u002d03-22T11:00:58Z"'),
    ],
)
def test_common_forms_are_read_without_the_scalar_decoder(old: str, new: str) -> None:
    decoder, scalar = counting(RISK)
    block = changed(old, new) + b"\n"
    read = of_batch(decoder.json(block, SOURCE, 0))
    assert scalar.calls == 0
    assert read.rejects == []
    assert_same(json_by_the_core(RISK, block, 0), read)


def test_composed_keys_are_read_without_the_scalar_decoder() -> None:
    decoder, scalar = counting(parse_toml('name="k"\n[event]\nkey=["a","b","a"]\n[rollups]\nr=[]\n'))
    block = b'{"a": "x", "b": ""}\n{"b": 7, "a": "\xc3\xa9"}\n{"a": "", "b": ""}\n' * 3
    read = of_batch(decoder.json(block, SOURCE, 0))
    assert scalar.calls == 0
    assert [event.key for _, event in read.records[:3] if event] == ["x/\\e/x", "é/7/é", "\\e/\\e/\\e"]


@given(SEEDS)
@effort(10)
def test_usual_records_never_need_the_scalar_decoder(seed: int) -> None:
    rng = Random(seed)
    block = Records(RISK, rng, odds=0).lines(50)
    decoder, scalar = counting(RISK)
    read = of_batch(decoder.json(block, SOURCE, 0))
    assert_same(json_by_the_core(RISK, block, 0), read)
    assert scalar.calls == 0
    assert sum(event is not None for _, event in read.records) == 50


def escaped(block: bytes) -> bytes:
    """As writers that keep to ASCII, or escape slashes, would have written it: all such characters are in strings."""
    text = re.sub(r"(?<!\\)/", r"\\/", block.decode())
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text).encode()


@given(SEEDS)
@effort(10)
def test_escaped_records_never_need_the_scalar_decoder(seed: int) -> None:
    block = escaped(Records(RISK, Random(seed), odds=0).lines(50))
    decoder, scalar = counting(RISK)
    read = of_batch(decoder.json(block, SOURCE, 0))
    assert_same(json_by_the_core(RISK, block, 0), read)
    assert scalar.calls == 0


@given(PIPELINES, SEEDS)
@effort(60)
def test_broken_bytes_of_escaped_records(pipeline: Pipeline, seed: int) -> None:
    rng = Random(seed)
    block = escaped(Records(pipeline, rng, 0).lines(15))
    assert_as_the_core(pipeline, mutated(block, rng, rng.choice([0, 1, 5, 20])))


@given(PIPELINES, SEEDS)
@effort(120)
def test_any_records_of_any_pipeline(pipeline: Pipeline, seed: int) -> None:
    rng = Random(seed)
    block = Records(pipeline, rng, rng.choice([0, 0.003, 0.03])).lines(15)
    assert_as_the_core(pipeline, block, rng.randrange(1_000))


@given(PIPELINES, SEEDS)
@effort(80)
def test_broken_bytes_of_any_pipeline(pipeline: Pipeline, seed: int) -> None:
    rng = Random(seed)
    block = Records(pipeline, rng, 0.003).lines(15)
    assert_as_the_core(pipeline, mutated(block, rng, rng.choice([1, 5, 20])))


@given(SEEDS)
@effort(100)
def test_broken_bytes_of_one_pipeline(seed: int) -> None:
    rng = Random(seed)
    pipeline = rng.choice([RISK, RISK, NEAR])
    block = Records(pipeline, rng, rng.choice([0, 0.01, 0.05])).lines(30)
    assert_as_the_core(pipeline, mutated(block, rng, rng.choice([1, 5, 20])))


@given(PIPELINES, SEEDS)
@effort(40)
def test_whole_cut_and_one_by_one_are_the_same(pipeline: Pipeline, seed: int) -> None:
    rng = Random(seed)
    block = mutated(Records(pipeline, rng, 0.01).lines(8), rng, 2)
    whole = read_json(pipeline, block, 100)
    starts = [position - 100 for position, _ in cut_lines(block, 100)] + [len(block)]
    for cut in starts:
        assert_same(whole, read_json(pipeline, block[:cut], 100) + read_json(pipeline, block[cut:], 100 + cut))
    single = Read([], None, [])
    for start, end in pairwise(starts):
        single += read_json(pipeline, block[start:end], 100 + start)
    assert_same(whole, single)


def test_every_prefix_and_every_suffix() -> None:
    """A record that ends, or begins, at any byte, at the very end of the block."""
    for cut in range(len(GOOD) + 1):
        assert_as_the_core(RISK, GOOD + b"\n" + GOOD[:cut])
        assert_as_the_core(RISK, GOOD[cut:])


def test_every_byte_in_every_place() -> None:
    """One byte replaced by each of those that mean something, or nothing, in JSON."""
    line = b'{"id":"k\\u00e9","r":{"a":-1.5e3,"b":[null,true]},"v":12.50}'
    pipeline = parse_toml('name="b"\n[event]\nkey="id"\n[rollups]\nr=["r.a"]\n[measures]\nv={sum="v",scale=2}\n')
    block = b"\n".join(
        line[:at] + bytes([byte]) + line[at + 1 :]
        for at in range(len(line))
        for byte in b'\x00\x09\x0d\x1f "\\{}[]:,-+.0e\x7f\x80\xe9'
    )
    assert_as_the_core(pipeline, block)
    assert_as_the_core(pipeline, block.replace(b"\x80", b"x").replace(b"\xe9", b"\xc3\xa9"))


NUMBERS = [
    *("0", "-0", "0.0", "-0.00", "1.5", "1.500", "1.505", "-1.505", "1e2", "1E+2", "1e-2", "150e-2", "1e-400", "1e400"),
    *("01", "-01", "+1", ".5", "5.", "1.", "-", "--1", "1_0", "0x10", "1e", "1e+", "1.e1", "1.5.5", "00", "-0e0"),
    *("0.005", "0.015", "0.025", "2.5", "0.0050", "0.00500000000000000000000000001", "0.0049999999999999999999999"),
    *("9" * n for n in range(14, 21)),
    *("-" + "9" * n + ".99" for n in range(14, 20)),
    *("9" * 16 + ".994999999", "9" * 16 + ".995", "9" * 5_000, "1" + "0" * 5_000, "0." + "0" * 5_000 + "1"),
    *("1e9999999999999999999", "1e-9999999999999999999", "0e9999999999999999999", "-9223372036854775808"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775807", "18446744073709551617"),
]
TEXTS = [
    *(
        "",
        " ",
        "1.5",
        "+1.5",
        ".5",
        "5.",
        "007",
        " 1",
        "1 ",
        "-",
        "1e2",
        "NaN",
        "\uff11",
        "12,5",
        "-0.001",
        "-0.015",
        "k",
    ),
    *("2021-03-22", "2021-02-29", "2021-03-22T11:00:58.8997Z", "2021-03-22T24:00:00Z", "0001-01-01", "9999-12-31"),
    *("true", "FALSE", "no", "a\tb", "a\nb", "a\x00b", "\x1f", "é", "\u2028", "\ufeff", "\ud800", "😀", '"', "\\", "/"),
]
OTHERS = ["null", "true", "false", "[]", "{}", "[1]", "NaN", "Infinity", "-Infinity", "nul", "tru", "True", "", "'a'"]
ESCAPES = [r'"\n"', r'"\/"', r'"\u00e9"', r'"\ud83d\ude00"', r'"\ud800"', r'"\udc00\ud800"', r'"\u12g4"', r'"\u12"',
           r'"\x"', '"\\', r'"\u0000"', '"a', '"a\\"', r'"\U00e9"']  # fmt: skip


@pytest.mark.parametrize("old", ["34624.51", "3,", "1616413258.8997", '"k1"', '"Delta"', "false", '"EMEA"'])
def test_every_value_in_every_role(old: str) -> None:
    values = NUMBERS + [json.dumps(text) for text in TEXTS] + [f'"{text}"' for text in TEXTS] + OTHERS + ESCAPES
    comma = "," if old == "3," else ""
    lines = [changed(old, value + comma) for value in values]
    read = assert_as_the_core(RISK, b"\n".join(lines))
    assert any(event is not None for _, event in read.records)
    assert read.rejects
    for line in lines:
        assert_as_the_core(RISK, line)


STRUCTURES = [
    b"", b" ", b"\t", b"\r", b"\x0c", b"\xa0", b"{}", b"[]", b"{ }", b"{", b"}", b"[", b'"', b"null", b"1", b'"a"',
    b"{,}", b"[{}]", b"[" + GOOD + b"]", GOOD + GOOD, GOOD + b" " + GOOD, GOOD + b"x", GOOD + b"]", GOOD + b"}",
    GOOD + b",", GOOD + b" \t ", b" \t" + GOOD, GOOD + b"\r", GOOD[:-1], GOOD[1:], b"\xef\xbb\xbf" + GOOD,
    GOOD + b"\xef\xbb\xbf", b"\xff\xfe" + GOOD, GOOD + b"\0", b"\0" + GOOD, b"\x1e" + GOOD, b"//" + GOOD,
    GOOD.replace(b'"TradeID"', b"TradeID"), GOOD.replace(b'"', b"'"), GOOD.replace(b'"TradeID"', b'"trade\\u0049D"'),
    GOOD.replace(b'"TradeID"', b'"Trade\\u0049D"'), GOOD.replace(b"{", b'{"TradeID": "k2", '),
    GOOD.replace(b"}}", b'}, "Hierarchy": {}}'), GOOD.replace(b"}}", b'}, "Hierarchy": null}'),
    GOOD.replace(b"}}", b'}, "x": 1, "x": 2}'), GOOD.replace(b"}}", b', "Region": "EMEA"}}'),
    GOOD.replace(b"false", b'true, "Value": 1'), GOOD.replace(b"false", b'true, "Deleted": true'),
    GOOD.replace(b'"Hierarchy": {', b'"Hierarchy": [').replace(b"}}", b"]}"), GOOD.replace(b": {", b": [{") + b"]",
    GOOD.replace(b"}}", b"}]"), GOOD.replace(b"}}", b",}}"), GOOD.replace(b"}}", b"},}"),
    GOOD.replace(b", ", b",, ", 1), GOOD.replace(b":", b"", 1), GOOD.replace(b":", b"::", 1),
    GOOD.replace(b'"k1"', b'"k1" 7'),
    GOOD.replace(b"k1", b"k\xff"), GOOD.replace(b"k1", b"k\xc3"), GOOD.replace(b"Delta", b"\xed\xa0\x80"),
    GOOD.replace(b"Delta", b"\xc0\x80"), GOOD.replace(b"Delta", b"\xf4\x90\x80\x80"),
    GOOD.replace(b"Delta", b"\xe2\x82"), GOOD.replace(b"k1", b"k\xc3\xa9"),
    GOOD.replace(b"}}", b'}, "\xc3\xa9": "\xe2\x82\xac"}'),
    GOOD.replace(b"}}", b'}, "x": "\xff"}'), GOOD.replace(b"}}", b'}, "\xff": 1}'),
]  # fmt: skip


@pytest.mark.parametrize("end", [b"\r\n", *in_full("1 s each", b"\n", b"\r\r\n", b" \t\r\n")])
def test_every_structure_alone_and_together(end: bytes) -> None:
    """Together, one line that is not UTF-8 is next to others that hold more than ASCII."""
    for line in STRUCTURES:
        for block in (line, line + end, line + end + GOOD, GOOD + end + line, line + end + line):
            assert_as_the_core(RISK, block, 3)
    read = assert_as_the_core(RISK, end.join(STRUCTURES))
    assert len(read.records) == len(STRUCTURES)
    assert len(read.rejects) > 20


@pytest.mark.parametrize("kind", ['{"x":', "["])
@pytest.mark.parametrize("where", ["next to", "in"])
def test_nesting_up_to_and_past_both_limits(kind: str, where: str) -> None:
    lines = []
    for depth in [1, 2, 29, 30, 31, 32, 33, NESTING - 2, NESTING - 1, NESTING, NESTING + 1, 300, 30_000]:
        value = kind * depth + ("1" if kind == "[" else "{}") + ("]" if kind == "[" else "}") * depth
        lines.append(changed('"EMEA"', value) if where == "in" else changed("}}", f'}}, "x": {value}}}'))
        lines.append(changed('"EMEA"', '"' + "[" * depth + '"'))
    read = assert_as_the_core(RISK, b"\n".join(lines))
    assert any("nested deeper" in reject.reason for reject in read.rejects)


@pytest.mark.parametrize("letter", ["x", "é", "/", "\\\\", "😀", "9"])
@pytest.mark.parametrize("old", ["k1", "Delta", "EMEA"])
def test_lengths_around_every_limit(letter: str, old: str) -> None:
    wide = len(letter.encode()) if letter != "\\\\" else 1
    limits = [1, 440, 890, 898, 900, LABEL_BYTES // 2, LABEL_BYTES, PATH_BYTES // 2, PATH_BYTES, KEY_BYTES]
    lines = [changed(old, letter * ((limit + more) // wide)) for limit in limits for more in range(-8, 5)]
    if letter == "9":
        lines += [line.replace(b'"9', b"9").replace(b'9"', b"9") for line in lines]
    read = assert_as_the_core(RISK, b"\n".join(lines))
    assert any(event is not None for _, event in read.records)
    assert old == "EMEA" or read.rejects


def test_long_paths_of_many_short_labels() -> None:
    levels = tuple(Level(FieldPath((f"l{n}",)), missing="") for n in range(440))
    pipeline = Pipeline("long", (FieldPath(("id",)),), (Rollup("r", levels),))
    lines = [json.dumps({"id": n, **{f"l{i}": "//" for i in range(n)}}).encode() for n in range(0, 440, 10)]
    read = assert_as_the_core(pipeline, b"\n".join(lines))
    assert read.rejects
    assert len(read.rejects) < len(lines)


def test_long_defaults_are_not_cut() -> None:
    default = "d" * 1_000
    pipeline = Pipeline("long", (FieldPath(("id",)),), (Rollup("r", (Level(FieldPath(("a",)), missing=default),)),))
    read = assert_as_the_core(pipeline, b'{"id": 1}\n{"id": 2, "a": "x"}\n' * 200)
    assert len(read.records) == 400
    assert not read.rejects


def test_names_that_are_alike_and_paths_that_are_prefixes() -> None:
    records = [
        {"a": "k", "abcdefgh": 1, "abcdefgh1": 2, "abcdefgh2": {"x": 3}, "a.b": {"c": 4}, "": 5},
        {"a": {"b": "k"}, "abcdefgh": 1, "abcdefgh1": 2, "abcdefgh2": "y", "a.b": {"c": 4}, "": 5},
        {"a": "k", "abcdefgh": 1, "abcdefgh12": 2, "abcdefg": 3, "abcdefgh2": {"x": 3}, "a.b": {"c": 4}, "": 5},
    ]
    pipelines = [
        NEAR,
        parse_toml('name="x"\n[event]\nkey="a"\n[rollups]\nr=["abcdefgh1", { field="abcdefgh2.x", missing="-" }]'),
    ]
    for pipeline in pipelines:
        for record in records:
            assert_as_the_core(pipeline, json.dumps(record).encode())


def test_the_shortest_records_at_the_very_end() -> None:
    """Names near the end of the block are shorter than the eight bytes that are compared at once."""
    for field in ["", "a", "abcdefg", "abcdefgh", "abcdefghi"]:
        pipeline = Pipeline("short", (FieldPath((field,)),), (Rollup("r", ()),))
        line = json.dumps({field: 1}, separators=(",", ":")).encode()
        for block in (line, line + b"\n", line[:-1] + b"1}", line[:-2] + b'""}'):
            read = assert_as_the_core(pipeline, block)
            assert [event is not None for _, event in read.records] == [True]
        for cut in range(len(line)):
            assert_as_the_core(pipeline, line[:cut])


def test_an_empty_block_holds_nothing() -> None:
    assert read_json(RISK, b"") == Read([], None, [])


@pytest.mark.parametrize(
    "form", [bytes, bytearray, memoryview, lambda block: memoryview(np.frombuffer(block, np.uint8).copy().data)]
)
def test_any_buffer_will_do(form: type) -> None:
    assert_same(read_json(RISK, GOOD + b"\n" + GOOD), read_json(RISK, form(GOOD + b"\n" + GOOD)))
