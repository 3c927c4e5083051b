"""Arrow arrays by their buffers are those of pyarrow's own converters; a process without frames imports no pandas."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from oncefold.arrow import (
    binary_of,
    binary_scalar,
    bytearray_list,
    filled_numbers_of,
    index_of,
    long_offsets_of,
    nulls_of,
    numbers_of,
    strs_at,
    texts_at,
)


@pytest.mark.parametrize("kind", [pa.uint8(), pa.int8(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()])
def test_numbers_are_those_of_the_array_or_its_part(kind: pa.DataType) -> None:
    whole = pa.array(range(100), kind)
    for part in (whole, whole[7:31], whole[:0], pa.array([], kind)):
        found = numbers_of(part)
        assert found.dtype == part.to_numpy().dtype
        assert found.tolist() == part.to_pylist()


def test_nulls_are_no_numbers() -> None:
    with pytest.raises(pa.ArrowInvalid, match="nulls"):
        numbers_of(pa.array([1, None], pa.int64()))


@pytest.mark.parametrize("kind", [pa.uint8(), pa.int32(), pa.int64(), pa.float64()])
def test_nulls_are_told_and_filled(kind: pa.DataType) -> None:
    whole = pa.array([None if number % 3 == 1 else number for number in range(60)], kind)
    for part in (whole, whole[7:31], whole[:0], whole[:1], pa.nulls(9, kind)):
        assert nulls_of(part).tolist() == part.is_null().to_pylist()
        assert filled_numbers_of(part).tolist() == [value or 0 for value in part.to_pylist()]


@pytest.mark.parametrize("whole", [pa.nulls(9), pa.array([True, None]), pa.array(["a", None, "b"]).dictionary_encode()])
def test_nulls_of_other_types_are_told(whole: pa.Array) -> None:
    for part in (whole, whole[1:]):
        assert nulls_of(part).tolist() == part.is_null().to_pylist()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_texts_have_long_offsets(kind: pa.DataType) -> None:
    whole = pa.array(["ab", "", "é", "x" * 300], kind)
    for part in (whole, whole[1:3], whole[:0], pa.array([], kind)):
        found = long_offsets_of(part)
        found.validate(full=True)
        assert found.equals(part.cast(pa.large_string()))


@pytest.mark.parametrize("texts", [[], [""], ["a", "", "bc"], ["a", "é", "", "€" * 9]])
def test_texts_are_a_list(texts: list[str]) -> None:
    whole = pa.array(["x", *texts], pa.large_string())
    for part, held in ((whole, ["x", *texts]), (whole[1:], texts)):
        rows = np.arange(len(part))
        for some in (rows, rows[1:], rows[::2]):
            assert strs_at(part, some) == [held[row] for row in some]
        assert bytearray_list(part.view(pa.large_binary())) == [text.encode() for text in held]


@pytest.mark.parametrize("texts", [[], [b""], [b"a", b"", "é".encode(), b"\0" * 9]])
def test_texts_are_binary(texts: list[bytes]) -> None:
    found = binary_of(texts)
    found.validate(full=True)
    assert found.equals(pa.array(texts, pa.large_binary()))
    assert [binary_scalar(text) for text in texts] == list(pa.array(texts, pa.large_binary()))


@pytest.mark.parametrize("texts", [[b""], [b"ab", b"a", b"", b"b", b"a"], [bytes([n, n % 7]) for n in range(256)]])
def test_texts_are_found_and_given_by_row(texts: list[bytes]) -> None:
    whole = pa.array([b"ab", *texts, b"a"], pa.large_binary())
    for part, held in ((whole, [b"ab", *texts, b"a"]), (whole[1:-1], texts), (whole[:0], [])):
        for text in {*texts, b"ab", b"zz", b"abc"}:
            assert index_of(part, text) == (held.index(text) if text in held else -1)
        rows = np.arange(len(held))[::2]
        assert texts_at(part, rows) == held[::2]


def assert_prints(wanted: str, program: str, folder: Path) -> None:
    """What a program prints that is given a pipeline and a store, in a process of its own."""
    pipeline = folder / "p.toml"
    pipeline.write_text(
        'name = "p"\n[event]\nkey = "k"\n[rollups]\nr = ["l"]\n[measures]\nm = { sum = "m", scale = 2 }\n'
    )
    command = [sys.executable, "-c", program, str(pipeline), str(folder / "s.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == (wanted, 0), done.stderr


SESSION = """
import sys, oncefold
pipeline, store = sys.argv[1:]
for _ in range(2):
    with oncefold.open(store, pipeline) as session:
        session.ingest([{"k": "a", "l": "x", "m": "1.5"}])
        session.ingest(b'{"k": "b", "l": "y", "m": 2.5}')
        assert session.totals("x").node.count == 1
with oncefold.open_reader(store) as reader:
    assert reader.history("a").rows and list(reader.explain("x")) and reader.verify().exact
print(sorted({name.partition(".")[0] for name in sys.modules} & {"numba", "pandas"}))
"""


def test_a_session_without_frames_imports_no_pandas(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    assert_prints("[]", SESSION, tmp_path)


TABLE = """
import sys, oncefold, pyarrow as pa
from decimal import Decimal
from oncefold.no_pandas import without_pandas
without_pandas()
pipeline, store = sys.argv[1:]
columns = {"k": pa.array(["a", "b", "a"]), "l": pa.array(["x", "y", "x"]), "m": pa.array([Decimal("1.50")] * 3)}
labels = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), pa.array(["x", "y"]))
with oncefold.open(store, pipeline) as session:
    session.ingest(pa.table({**columns, "l": labels}))
    assert session.totals("x").node.count == 1
print("pyarrow.compute" in sys.modules)
"""


def test_a_table_of_common_types_imports_no_compute_functions(tmp_path: Path) -> None:
    assert_prints("False", TABLE, tmp_path)
