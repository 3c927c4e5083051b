"""Blocks of CSV give, record by record, what the scalar decoder gives."""

import csv
import io
import json
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.columnar.csv_scan import record_ends
from oncefold.columnar.text import TextDecoder
from oncefold.core.definition import Level, Pipeline, Rollup
from oncefold.core.definition_toml import parse_toml
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import KEY_BYTES, LABEL_BYTES
from oncefold.core.measures import Measure
from oncefold.sources.csv_quotes import scan
from tests.columnar.records import PIPELINES, SEEDS, Records, mutated
from tests.columnar.tools import SOURCE, Read, assert_same, counting, csv_by_the_core, cut_csv, effort, of_batch
from tests.tools.sizes import in_full

DAILY = parse_toml("""
    name = "daily"
    [event]
    key = ["country", "day"]
    version = { field = "read", type = "timestamp" }
    delete = { field = "op", equals = "delete" }
    [rollups]
    places = ["place.continent", { field = "country", missing = "-" }]
    months = [{ field = "day", window = "1mo", missing = "never" }]
    [measures]
    cases = { sum = "cases", missing = "zero" }
    rate = { sum = "rate", scale = 3 }
""")
HEADER = ["country", "day", "read", "op", "place.continent", "cases", "rate", "note"]
ROW = b"Norway,2021-03-22,1616413258,upsert,Europe,17,0.125,x"
DELIMITERS = st.sampled_from([",", ",", ";", "\t", "|", " ", "x", "0"])
ALPHABET = ['"', '""', ",", "\n", "\r\n", "a", '"a"', ',"', '",', '"\n', "\r", "é", "\0"]


def read_csv(pipeline: Pipeline, block: bytes, header: Sequence[str], delimiter: str = ",", offset: int = 0) -> Read:
    """A block as the columnar form reads it."""
    return of_batch(TextDecoder(pipeline).csv(block, SOURCE, offset, header, delimiter))


def assert_as_the_core(
    pipeline: Pipeline, block: bytes, header: Sequence[str] = HEADER, delimiter: str = ",", offset: int = 0
) -> Read:
    """The block gives what the core says."""
    expected = csv_by_the_core(pipeline, block, offset, header, delimiter)
    assert_same(expected, read_csv(pipeline, block, header, delimiter, offset))
    return expected


def of_cells(*cells: str) -> bytes:
    """A record of these cells, quoted where need be."""
    out = io.StringIO(newline="")
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        ROW.replace(b"17", b""),
        ROW.replace(b"2021-03-22", b'"2021-03-22"').replace(b"x", b'""'),
        ROW.replace(b"Norway", b'"Bosnia, and\r\nHerzegovina"'),
        ROW.replace(b"Europe", b""),
        ROW.replace(b"Europe", "Åland".encode()),
        ROW.replace(b"upsert", b"delete"),
        ROW.replace(b"upsert", b""),
        ROW.replace(b"17", b"+17.000"),
        ROW.replace(b"Europe", b'"5"" pipes, ""all"""'),
        ROW.replace(b"Europe", b'""""'),
        ROW.replace(b"upsert", b'"""upsert"""'),
    ],
)
def test_common_rows_are_read_without_the_scalar_decoder(row: bytes) -> None:
    decoder, scalar = counting(DAILY)
    plain = row if b"\r" not in row else ROW
    for block in (row + b"\n" + plain, row + b"\r\n" + plain + b"\r\n"):
        scalar.calls = 0
        read = of_batch(decoder.csv(block, SOURCE, 9, HEADER))
        assert scalar.calls == (row is not plain)  # a composed key with a newline is escaped by the core
        assert not read.rejects
        assert_same(csv_by_the_core(DAILY, block, 9, HEADER, ","), read)


@pytest.mark.parametrize("value", ["true", "FALSE", "0", "1", "", "True", '"true"'])
def test_deletes_are_read_without_the_scalar_decoder(value: str) -> None:
    pipeline = parse_toml('name="d"\n[event]\nkey="id"\ndelete="gone"\n[rollups]\nr=[]\n')
    decoder, scalar = counting(pipeline)
    block = f"7,{value}\n".encode()
    read = of_batch(decoder.csv(block, SOURCE, 0, ["id", "gone"]))
    assert scalar.calls == 0
    assert_same(csv_by_the_core(pipeline, block, 0, ["id", "gone"], ","), read)
    assert_as_the_core(pipeline, b"7,2\n7,no\n7,truee\n7,tru\n7,fals\n7, \n7,01\n", ["id", "gone"])


@given(SEEDS, DELIMITERS.filter(lambda d: d not in "x0 "))
@effort(10)
def test_usual_rows_never_need_the_scalar_decoder(seed: int, delimiter: str) -> None:
    pipeline = parse_toml(
        'name="u"\n[event]\nkey="k"\nversion="v"\n[rollups]\nr=["a.b","c"]\n[measures]\nm={sum="m",scale=3}\n'
    )
    records = Records(pipeline, Random(seed), odds=0)
    header = records.header()
    block = records.rows(50, header, delimiter)
    decoder, scalar = counting(pipeline)
    read = of_batch(decoder.csv(block, SOURCE, 0, header, delimiter))
    assert_same(csv_by_the_core(pipeline, block, 0, header, delimiter), read)
    assert scalar.calls == 0
    assert sum(event is not None for _, event in read.records) == 50


@given(PIPELINES, SEEDS, DELIMITERS)
@effort(120)
def test_any_records_of_any_pipeline(pipeline: Pipeline, seed: int, delimiter: str) -> None:
    rng = Random(seed)
    records = Records(pipeline, rng, rng.choice([0, 0.003, 0.03]))
    header = records.header()
    assert_as_the_core(pipeline, records.rows(15, header, delimiter), header, delimiter, rng.randrange(1_000))


@given(PIPELINES, SEEDS, DELIMITERS)
@effort(80)
def test_broken_bytes_of_any_pipeline(pipeline: Pipeline, seed: int, delimiter: str) -> None:
    rng = Random(seed)
    records = Records(pipeline, rng, 0.003)
    header = records.header()
    block = mutated(records.rows(15, header, delimiter), rng, rng.choice([1, 5, 20]))
    assert_as_the_core(pipeline, block, header, delimiter)


@given(SEEDS)
@effort(100)
def test_broken_bytes_of_one_pipeline(seed: int) -> None:
    rng = Random(seed)
    block = Records(DAILY, rng, rng.choice([0, 0.01, 0.05])).rows(30, HEADER, ",")
    assert_as_the_core(DAILY, mutated(block, rng, rng.choice([1, 5, 20])))


@given(st.lists(st.sampled_from(ALPHABET), max_size=20).map("".join), st.integers(1, 3))
@effort(500)
def test_quotes_anywhere(text: str, columns: int) -> None:
    """Out of the few pieces that mean something: quotes doubled, out of place, never closed."""
    pipeline = parse_toml('name="q"\n[event]\nkey="a"\n[rollups]\nr=[{ field="b", missing="-" }]\n')
    assert_as_the_core(pipeline, text.encode(), ["a", "b", "x"][:columns])


@given(st.lists(st.sampled_from(ALPHABET), max_size=20).map("".join), st.sampled_from(",a"))
@effort(300)
def test_records_end_where_the_sources_cut_them(text: str, delimiter: str) -> None:
    """Both read bytes by the same rule; a block holds whole records for the scanner too."""
    data = np.frombuffer(text.encode() + b"\n", np.uint8)
    ends, at = [], 0
    while at < len(data):
        end, _ = scan(data, at, at, len(data), 0, ord(delimiter), 1)
        at = end if end >= 0 else len(data)
        ends.append(at)
    assert record_ends(data, ord(delimiter)).tolist() == ends


@given(PIPELINES, SEEDS)
@effort(40)
def test_whole_cut_and_one_by_one_are_the_same(pipeline: Pipeline, seed: int) -> None:
    rng = Random(seed)
    records = Records(pipeline, rng, 0.01)
    header = records.header()
    block = mutated(records.rows(8, header, ","), rng, 2)
    whole = read_csv(pipeline, block, header, offset=100)
    pieces = cut_csv(block, ",")
    single, at = Read([], None, []), 100
    for piece in pieces:
        first, rest = block[: at - 100], block[at - 100 :]
        halves = read_csv(pipeline, first, header, offset=100) + read_csv(pipeline, rest, header, offset=at)
        assert_same(whole, halves)
        single += read_csv(pipeline, piece, header, offset=at)
        at += len(piece)
    assert_same(whole, single)


ROWS = [
    b"", b"\r", b" ", b",", b",,,,,,,", b'""', ROW + b",y", ROW[:-2], ROW + b",", b"," + ROW, b'"' + ROW, ROW + b'"',
    b'"' + ROW + b'"', ROW.replace(b"Norway", b'"Norway"'), ROW.replace(b"Norway", b'"Nor""way"'),
    ROW.replace(b"Norway", b'"Nor"way"'), ROW.replace(b"Norway", b'Nor"way'), ROW.replace(b"Norway", b'Nor""way'),
    ROW.replace(b"Norway", b' "Norway"'), ROW.replace(b"Norway", b'"Norway" '), ROW.replace(b"Norway", b'""'),
    ROW.replace(b"Norway", b'""""'), ROW.replace(b"Norway", b'"Nor\nway"'), ROW.replace(b"Norway", b'"Nor\r\nway"'),
    ROW.replace(b"Norway", b"Nor\rway"), ROW.replace(b"x", b"\r"), ROW.replace(b"x", b'"\r"'), ROW + b"\r",
    ROW.replace(b"Norway", b"Nor\0way"), ROW.replace(b"Norway", b"\xff"), ROW.replace(b"x", b"\xff"),
    ROW.replace(b"Norway", b"\xc3\xa5"), ROW.replace(b"x", b"\xc3\xa5"), ROW.replace(b"Norway", b"\xed\xa0\x80"),
    b"\xef\xbb\xbf" + ROW, ROW.replace(b"Norway", b"a/b\\c"), ROW.replace(b"Norway", b"-0"),
    ROW.replace(b"2021-03-22", b""), ROW.replace(b"2021-03-22", b"2021-02-29"), ROW.replace(b"1616413258", b""),
    ROW.replace(b"17", b"1.5"), ROW.replace(b"17", b" 17"), ROW.replace(b"0.125", b""),
    ROW.replace(b"0.125", b"0.1255"), ROW.replace(b"upsert", b"delete").replace(b"0.125", b"nothing"),
    ROW.replace(b"Norway", b"x" * KEY_BYTES),
    ROW.replace(b"Norway", b"x" * (KEY_BYTES - 11)), ROW.replace(b"Europe", b"x" * LABEL_BYTES),
    ROW.replace(b"Europe", b"x" * (LABEL_BYTES + 1)), ROW.replace(b"x", b"x" * 200_000),
    ROW.replace(b"x", b'"' + b'""' * 100_000 + b'"'), ROW.replace(b"17", b"1" + b"0" * 200_000),
]  # fmt: skip


@pytest.mark.parametrize("end", [b"\n", *in_full("2 s each", b"\r\n", b"\r\r\n")])
def test_every_row_alone_and_together(end: bytes) -> None:
    """Together, one row that is not UTF-8 is next to others that hold more than ASCII."""
    for row in ROWS:
        for block in (row, row + end, row + end + ROW, ROW + end + row, row + end + row):
            assert_as_the_core(DAILY, block, offset=3)
    closed = [row for row in ROWS if row.count(b'"') % 2 == 0]
    read = assert_as_the_core(DAILY, end.join(closed))
    assert len(read.rejects) > 15
    assert sum(event is not None for _, event in read.records) > 15


def test_a_cell_may_be_longer_than_pythons_limit() -> None:
    """The csv module refuses cells of 131,073 characters and more, unless configured; the limit of a record is ours."""
    for row in (ROW.replace(b"x", b"x" * 200_000), ROW.replace(b"x", b'"' + b'""' * 200_000 + b'"')):
        assert not assert_as_the_core(DAILY, row).rejects


A_B, A_DOT_B, ID = FieldPath(("a", "b")), FieldPath(("a.b",)), FieldPath(("id",))
TWO_NAMES = Pipeline(
    "two",
    (ID,),
    (Rollup("r", (Level(A_B, missing="none"), Level(A_DOT_B, missing="nothing"))),),
    (Measure("m", A_B, 0, missing="zero"), Measure("n", A_DOT_B, 0, missing="zero")),
)


def test_two_fields_may_be_one_column() -> None:
    decoder, scalar = counting(TWO_NAMES)
    read = of_batch(decoder.csv(b"k,7\n", SOURCE, 0, ["id", "a.b"]))
    assert scalar.calls == 0
    assert_same(csv_by_the_core(TWO_NAMES, b"k,7\n", 0, ["id", "a.b"], ","), read)
    event = read.records[0][1]
    assert event is not None
    assert event.content.labels == ("7", "7")
    assert event.content.measures == (7, 7)


@pytest.mark.parametrize("twice", ["country", "op", "cases", "note", "unknown"])
def test_a_repeated_column_is_refused_where_it_is_read(twice: str) -> None:
    block = ROW + b",y\n\n" + ROW.replace(b"upsert", b"delete") + b",0\n" + ROW + b"\n\r\n" + ROW + b",17\n"
    read = assert_as_the_core(DAILY, block, [*HEADER, twice])
    reasons = [reject.reason for reject in read.rejects if "twice" in reject.reason]
    assert len(reasons) == {"country": 3, "op": 3, "cases": 2}.get(twice, 0)


@pytest.mark.parametrize("missing", HEADER)
def test_a_column_may_be_missing(missing: str) -> None:
    at = HEADER.index(missing)
    cells = ROW.decode().split(",")
    header, row = HEADER[:at] + HEADER[at + 1 :], of_cells(*cells[:at], *cells[at + 1 :])
    read = assert_as_the_core(DAILY, row + b"\n" + row + ROW, header)
    assert len(read.rejects) == (3 if missing in {"country", "day", "read", "place.continent", "rate"} else 1)


def test_a_header_without_any_field() -> None:
    assert assert_as_the_core(DAILY, b"a\n\nb,c\n", ["x"]).rejects
    assert assert_as_the_core(DAILY, b"a\n\nb,c\n", []).rejects


def test_an_empty_block_holds_nothing() -> None:
    assert read_csv(DAILY, b"", HEADER) == Read([], None, [])


def test_a_reject_keeps_how_to_read_it_again() -> None:
    reject = read_csv(DAILY, b"x;y\r\n", HEADER, ";", 7).rejects[0]
    assert json.loads(reject.context) == [";", *HEADER]
    assert (reject.position, reject.raw, reject.size, reject.format) == (7, b"x;y", 3, "csv")
