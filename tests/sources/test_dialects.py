"""The same records in many dialects: whole, cut anywhere and resumed at every block, they are the same records."""

import csv
import io
import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.sources.blocks import Block, Finding, TextBlock
from oncefold.sources.encoding import encoding_of
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.shape import SHAPE_BYTES, shape_of
from oncefold.sources.sources import Sources
from tests.sources.tools import positions_of
from tests.tools.sizes import examples

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["{", "}", "[", "]", ",", '"', "\\", '\\"', "a\nb", "\r", "},\n{", "ä;€", "x\n{}\n"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), min_size=1, max_size=6)


def blocks_of(path: Path, options: ReadOptions, *, stops: bool) -> Iterator[Block | Finding]:
    """All blocks; if `stops`, each block by a run of its own that goes on from the position before."""
    if not stops:
        yield from Sources([str(path)], options).blocks()
        return
    positions: dict[str, str] = {}
    while True:
        found = next(
            (item for item in Sources([str(path)], options, positions).blocks() if isinstance(item, TextBlock)), None
        )
        if found is None:
            return
        yield found
        if positions == (positions := positions_of([found])):
            return


def written(objects: Sequence[dict[str, Any]], shape: str, indent: int | str | None) -> str:
    if shape == "array":
        return json.dumps(objects, indent=indent, ensure_ascii=False)
    return "\n".join(json.dumps(one, indent=indent, ensure_ascii=False) for one in objects)


@settings(deadline=None, max_examples=examples(150))
@given(
    OBJECTS,
    st.sampled_from(["array", "objects"]),
    st.sampled_from([None, 0, 1, 4, "\t"]),
    st.sampled_from(["", "\n", " \r\n", "\ufeff"]),
    st.sampled_from(["", "\n", "\n\n "]),
    st.sampled_from([1, 7, 64, 1 << 20]),
    st.sampled_from(["utf-8", "utf-16", "utf-32"]),
    st.booleans(),
)
def test_json_in_every_shape(
    objects: list[dict[str, Any]],
    shape: str,
    indent: int | str | None,
    before: str,
    after: str,
    block_bytes: int,
    encoding: str,
    stops: bool,
) -> None:
    objects = [{"first": 1}, *objects]  # an empty one is written in one line
    text = (before if encoding == "utf-8" else "") + written(objects, shape, indent) + after
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        path.write_bytes(text.encode(encoding))
        found = list(blocks_of(path, ReadOptions(block_bytes=block_bytes), stops=stops))
    lines = [line for block in found if isinstance(block, TextBlock) for line in bytes(block.data).split(b"\n")]
    assert [json.loads(line) for line in lines if line.strip(b" \r\t")] == objects


CELLS = TEXTS.map(lambda text: text.replace("\r", ""))  # which the writer does not quote
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6)


@settings(deadline=None, max_examples=examples(150))
@given(
    ROWS,
    st.sampled_from([",", ";", "\t", "|"]),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("utf-16-be", None), ("utf-8", "utf8")]),
    st.sampled_from([1, 7, 64, 1 << 20]),
    st.booleans(),
)
def test_csv_in_every_dialect(
    rows: list[list[str]],
    delimiter: str,
    says: bool,
    newline: str,
    quoting: Any,
    encoding: tuple[str, str | None],
    block_bytes: int,
    stops: bool,
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    writer.writerow(["id", "Name, first; last", "a"])
    writer.writerows(rows)
    text = (f"sep={delimiter}{newline}" if says else "") + out.getvalue()
    options = ReadOptions(fields=[FieldPath(("id",)), FieldPath(("a",))], block_bytes=block_bytes, encoding=encoding[1])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes(text.encode(encoding[0]))
        found = [block for block in blocks_of(path, options, stops=stops) if isinstance(block, TextBlock)]
    read: list[list[str]] = []
    for block in found:
        assert (block.header, block.delimiter) == (("id", "Name, first; last", "a"), delimiter)
        data = io.StringIO(bytes(block.data).decode(), newline="")
        read += list(csv.reader(data, delimiter=delimiter))
    assert read == rows


@pytest.mark.parametrize(
    ("head", "shape"),
    [
        (b'[{"k": 1}]', "array"),
        (b' \r\n[\n  {"k": 1},\n', "array"),
        (b"[", "array"),
        (b"[]\n", "array"),
        (b'[]\n{"k": 1}\n', "lines"),
        (b'{\n  "k": 1\n}\n', "objects"),
        (b'{ "k": 1,\n  "v": 2 }\n{}', "objects"),
        (b'{"k": [{\n"x": "' + b"y" * 2 * SHAPE_BYTES, "objects"),
        (b"[1, 2]\n", "lines"),
        (b'{"k": 1}\n[{"k": 2}]', "lines"),
        (b'{"k": \n{"k": 2}\n', "lines"),
        (b'{"k": 1,\n{"k": 2}\n', "lines"),
        (b'{"k": 1,\n', "lines"),
        (b'{"k": 1}', "lines"),
        (b'{"k": 1}\r{"k": 2}\r', "objects"),
        (b'{"k": 1} {"k": 2}\n', "objects"),
        (b'{"k": 1}{"k": 2}\n', "lines"),
        (b'{"k": 1} and more\n', "lines"),
        (b'{"k": 1}\r\n{"k": 2}\r\n', "lines"),
        (b'\x1e{"k": 1}\n\x1e{"k": 2}\n', "objects"),
        (b'{"k": "' + b"y" * 2 * SHAPE_BYTES, "lines"),
        (b'{"k": 1' + b"0" * 5_000 + b"}\n", "lines"),
        (b'{"k":\n1' + b"0" * 5_000 + b"}\n", "objects"),
        (b"{" * 30_000, "lines"),
        (b'{"a":\n' * 9_000, "lines"),
        (b"no JSON\n", "lines"),
        (b"", "lines"),
    ],
)
def test_the_shape_is_told_by_the_beginning_however_much_of_it_is_here(head: bytes, shape: str) -> None:
    assert shape_of(head, whole=True) == shape
    for size in range(0, len(head), max(1, len(head) // 50)):
        assert shape_of(head[:size], whole=False) in {None, shape}


@pytest.mark.parametrize(
    ("magic", "encoding"),
    [
        ("ab".encode("utf-16"), "utf-16-le"),
        ("ab".encode("utf-16-be"), "utf-16-be"),
        ("ab".encode("utf-16-le"), "utf-16-le"),
        ("\ufeffab".encode("utf-16-be"), "utf-16-be"),
        ("a".encode("utf-32"), "utf-32-le"),
        (b"\0\0\0\0", None),
        (b'\0{"i', None),
        (b"abcd", None),
        (b"a", None),
    ],
)
def test_encodings_that_the_first_bytes_tell(magic: bytes, encoding: str | None) -> None:
    assert encoding_of(magic[:4]) == encoding


def piped(pieces: Sequence[bytes]) -> list[Block | Finding]:
    """What a run reads of stdin, each piece of which comes alone."""
    reading, writing = os.pipe()

    def write() -> None:
        for piece in pieces:
            os.write(writing, piece)
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return list(Sources(["-"], ReadOptions(), stdin=reading).blocks())
    finally:
        thread.join()
        os.close(reading)


@pytest.mark.parametrize("size", [1, 2, 9, 1000])
@pytest.mark.parametrize("text", ['{"k":1,\n"v":2}\n{"k":2,\n"v":2}\n', '[{"k":1,\n"v":2},{"k":2,"v":2}]'])
def test_a_pipe_that_gives_a_part_of_the_first_object(text: str, size: int) -> None:
    data = text.encode()
    found = piped([data[at : at + size] for at in range(0, len(data), size)])
    lines = b"".join(bytes(block.data) for block in found if isinstance(block, TextBlock)).splitlines()
    assert [json.loads(line)["k"] for line in lines if line.strip()] == [1, 2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"k":1},,{"k":2}]', "it is not JSON: at byte 9 an element is missing between commas or brackets"),
        ('[{"k":1}] x', "something follows its end"),
        ('[{"k":1},{"k":2}', "its array does not end"),
    ],
)
def test_an_array_that_is_none_is_read_up_to_its_fault(tmp_path: Path, text: str, reason: str) -> None:
    (path := tmp_path / "a.json").write_text(text)
    seen: list[Block | Finding] = []
    with pytest.raises(SourceError, match=reason):
        seen.extend(Sources([str(path)]).blocks())
    assert b"".join(bytes(block.data) for block in seen if isinstance(block, TextBlock)).startswith(b' {"k":1}\n')


def test_text_that_is_not_in_its_encoding_is_reported(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_bytes("id,a\nk,1\n".encode("utf-16") + b"\x00\xd8x")
    seen: list[Block | Finding] = []
    with pytest.raises(SourceError, match=r"it is not utf-16-le|it ends in the middle of a character"):
        seen.extend(Sources([str(path)]).blocks())
    assert b"".join(bytes(block.data) for block in seen if isinstance(block, TextBlock)) == b"k,1\n"
    with pytest.raises(SourceError, match="there is no text encoding 'klingon'"):
        ReadOptions(encoding="klingon")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("id,v,g,amount", "no column amnt; did you mean amount?"),
        ("Id,v,g,amnt", "no column id; did you mean Id? Every event needs it; nothing was read."),
    ],
)
def test_a_column_that_is_not_there_is_said(tmp_path: Path, header: str, said: str) -> None:
    (path := tmp_path / "a.csv").write_text(f"{header}\nk,1,x,2\n")
    fields = [FieldPath((name,)) for name in ("id", "v", "g", "amnt")]
    found: list[Block | Finding] = []
    try:
        found.extend(Sources([str(path)], ReadOptions(fields=fields, needed=fields[:2])).blocks())
    except SourceError:
        assert "needs it" in said
    findings = [item for item in found if isinstance(item, Finding)]
    if "needs it" not in said:
        assert isinstance(found[0], Finding)
        assert findings == [Finding(str(path), "absent", f"{path}: {said}")]
