"""The cutter: the same records at the same offsets, however the bytes arrive."""

import csv
import io
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oncefold.sources.cut import HEAD_BYTES, Piece, RecordCutter
from tests.sources.tools import BOM, Record, chunks, reference, split
from tests.tools.sizes import examples

tokens = [*b'a|bc| |"|""| "|,"|",|"\n|,|\n|\r\n|\r|\xc3\xa9|\xff|'.split(b"|"), BOM]
texts = st.lists(st.sampled_from(tokens), max_size=40).map(b"".join)
delimiters = st.sampled_from([None, ",", "a"])


def flat(pieces: list[Piece], delimiter: str | None) -> list[Record]:
    records: list[Record] = []
    for piece in pieces:
        records.extend(
            (o.offset, o.length, "longer" if o.reason.startswith("longer") else "a quote") for o in piece.oversize
        )
        records.extend(split(bytes(piece.data), piece.offset, delimiter))
    return records


def cut(
    parts: list[bytes], delimiter: str | None, block: int = 64, limit: int = 64, take_each: bool = True
) -> list[Piece]:
    cutter = RecordCutter(delimiter, block_bytes=block, record_bytes=limit)
    pieces: list[Piece] = []
    for part in parts:
        rest = part
        while rest:
            space = cutter.space()
            put = rest[: len(space)]
            assert put
            space[: len(put)] = put
            cutter.advance(len(put))
            rest = rest[len(put) :]
            if take_each or cutter.full:
                pieces.extend(iter(cutter.take, None))
    return pieces + cutter.finish()


@settings(max_examples=examples(400), deadline=None)
@given(
    data=texts,
    delimiter=delimiters,
    limit=st.integers(1, 30),
    block=st.integers(1, 30),
    cuts=st.lists(st.integers(0, 60)),
    each=st.booleans(),
)
@example(data=b'a\n"b\nc\n"d,\ne\n', delimiter=",", limit=4, block=4, cuts=[], each=True)
@example(data=b'"a\n"\n"' + b"x" * 20, delimiter=",", limit=5, block=3, cuts=[1, 2, 3], each=False)
@example(data=b'a "b\nc""d\n\r"e\n', delimiter=",", limit=9, block=9, cuts=[3], each=True)
def test_however_the_bytes_arrive(
    data: bytes, delimiter: str | None, limit: int, block: int, cuts: list[int], each: bool
) -> None:
    expected = reference(data, delimiter, limit)
    block = min(block, limit)
    assert flat(cut(chunks(data, cuts), delimiter, block, limit, each), delimiter) == expected
    assert flat(cut([data], delimiter, limit, limit), delimiter) == expected
    assert flat(cut([data[i : i + 1] for i in range(len(data))], delimiter, 1, limit), delimiter) == expected


@settings(max_examples=examples(200), deadline=None)
@given(
    rows=st.lists(st.lists(st.text('ab ",\n\r', max_size=6), min_size=2, max_size=3), max_size=8),
    form=st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
    block=st.integers(1, 50),
)
def test_what_csv_writes_is_cut_where_csv_reads(rows: list[list[str]], form: tuple[str, int], block: int) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=form[0], quoting=form[1]).writerows(rows)
    data = out.getvalue().encode()
    pieces = cut([data], ",", block, 2**10)
    parts = [bytes(raw) for _, raw in flat(pieces, ",")]  # type: ignore[misc]
    read = [next(csv.reader(io.StringIO(part.decode(), newline=""))) for part in parts]
    assert read == rows


@settings(max_examples=examples(200), deadline=None)
@given(data=texts, delimiter=delimiters, limit=st.integers(1, 30), block=st.integers(1, 30))
def test_reading_goes_on_from_every_piece(data: bytes, delimiter: str | None, limit: int, block: int) -> None:
    block = min(block, limit)
    pieces = cut([data], delimiter, block, limit)
    expected = reference(data, delimiter, limit)
    for piece in pieces:
        cutter = RecordCutter(delimiter, offset=piece.resume, block_bytes=limit, record_bytes=limit)
        rest: list[Piece] = []
        left = data[piece.resume :]
        while left:
            space = cutter.space()
            put = left[: len(space)]
            space[: len(put)] = put
            cutter.advance(len(put))
            left = left[len(put) :]
            rest.extend(iter(cutter.take, None))
        rest.extend(cutter.finish())
        assert flat(rest, delimiter) == [record for record in expected if record[0] >= piece.resume]


def test_nothing_before_resume_is_missing() -> None:
    pieces = cut([b"a\nbc\nd"], None, 3)
    assert [(bytes(piece.data), piece.offset, piece.resume) for piece in pieces] == [
        (b"a\n", 0, 2),
        (b"bc\n", 2, 5),
        (b"d", 5, 5),
    ]


def test_a_quote_that_never_closes_costs_one_line() -> None:
    data = b"x,1\n" + b'y,"2\n' + b"z,3\n" * 30
    records = flat(cut([data], ",", 16, 32), ",")
    assert (4, 4, "a quote") in records
    assert [record for record in records if len(record) == 2] == [(0, b"x,1\n")] + [
        (9 + 4 * i, b"z,3\n") for i in range(30)
    ]


def test_an_open_quote_at_the_end_is_read_again_from_its_start() -> None:
    pieces = cut([b'a\n"b\nc\nd'], ",")
    assert flat(pieces, ",") == [(0, b"a\n"), (2, 2, "a quote"), (5, b"c\n"), (7, b"d")]
    assert [piece.resume for piece in pieces] == [2, 2, 2]


@pytest.mark.parametrize("delimiter", [None, ","])
def test_a_line_of_200_megabytes_is_not_held(delimiter: str | None) -> None:
    cutter = RecordCutter(delimiter)
    part = b"x" * 2**20
    tracemalloc.start()
    try:
        pieces: list[Piece] = []
        for index in range(200):
            space = cutter.space()
            space[: len(part)] = part
            if index == 199:
                space[len(part) - 3 : len(part)] = b"\ny\n"
            cutter.advance(len(part))
            pieces.extend(iter(cutter.take, None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (piece,) = pieces
    (oversize,) = piece.oversize
    assert (oversize.offset, oversize.length, len(oversize.head)) == (0, 200 * 2**20 - 3, HEAD_BYTES)
    assert bytes(piece.data) == b"y\n"
    assert peak < 64 * 2**20


@pytest.mark.parametrize("delimiter", [None, ","])
@pytest.mark.parametrize("nuls", [1, 31, 32, 33, 1_000])
def test_nul_bytes_in_front_of_a_record_do_not_cost_the_record(delimiter: str | None, nuls: int) -> None:
    pieces = cut([b"x,0\n" + bytes(nuls) + b"a,1\nb,2\n"], delimiter, 16, 32)
    data = b"".join(bytes(piece.data) for piece in pieces)
    passed = [oversize for piece in pieces for oversize in piece.oversize]
    assert data.replace(b"\0", b"") == b"x,0\na,1\nb,2\n"
    assert data.count(b"\0") + sum(oversize.length for oversize in passed) == nuls
    assert all(oversize.reason.startswith("NUL bytes") for oversize in passed)
    assert bool(passed) == (nuls > 28)
