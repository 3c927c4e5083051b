"""A JSON document as JSON Lines: the same elements, at their own positions, however it is cut; and what is none."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.sources.document import Document, lines_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a"\\{}[],:\n é\u2028'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=3)


def turned(body: bytes, cuts: list[int]) -> tuple[bytes, str]:
    """The body turned in pieces, as far as it is right, and what is wrong."""
    document, done = Document(), b""
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        piece = bytearray(body[start:end])
        count, fault = document.convert(memoryview(piece))
        done += bytes(piece[:count])
        if fault:
            return done, fault
    return done, document.missing()


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 0, 2]), st.lists(st.integers(0, 10_000), max_size=6))
def test_an_array_is_its_elements_in_lines(values: list[object], indent: int | None, cuts: list[int]) -> None:
    body = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    lines, fault = turned(body, cuts)
    assert (fault, len(lines)) == ("", len(body))
    assert [json.loads(line) for line in lines.split(b"\n") if line.strip()] == values
    assert lines_of(body) == lines


@given(
    st.lists(st.lists(VALUES, max_size=3), min_size=1, max_size=4),
    st.sampled_from(["", "\n", "\r\n", " \n\n"]),
    st.lists(st.integers(0, 10_000), max_size=6),
)
def test_arrays_one_after_another_are_all_their_elements(
    arrays: list[list[object]], between: str, cuts: list[int]
) -> None:
    body = between.join(map(json.dumps, arrays)).encode()
    lines, fault = turned(body, cuts)
    assert (fault, len(lines)) == ("", len(body))
    expected = [value for array in arrays for value in array]
    assert [json.loads(line) for line in lines.split(b"\n") if line.strip()] == expected
    assert lines_of(body) == lines


@given(OBJECTS, st.sampled_from([None, 1]), st.lists(st.integers(0, 10_000), max_size=6))
def test_an_object_is_a_line(value: dict[str, object], indent: int | None, cuts: list[int]) -> None:
    body = json.dumps(value, indent=indent).encode() + b"\r\n "
    lines, fault = turned(body, cuts)
    assert not fault
    assert b"\n" not in lines
    assert json.loads(lines) == value


@pytest.mark.parametrize(
    ("body", "whole", "words"),
    [
        (b"", b"", "is empty"),
        (b" \n", b"", "is empty"),
        (b"null", b"", "begins neither"),
        (b'[{"a": 1}, {"a"', b'  {"a": 1}', "does not end"),
        (b'{"a": 1', b"", "does not end"),
        (b'[{"a": 1},]', b' {"a": 1}', "at byte 10 an element is missing"),
        (b"[,]", b"", "an element is missing"),
        (b'[{"a": 1}}', b"", "closes what was not opened"),
        (b'{"a": 1]', b"", "closes what was not opened"),
        (b'[{"a": 1}] [', b' {"a": 1}', "its array does not end"),
        (b'[{"a": 1}] {', b' {"a": 1}', "something follows its end"),
        (b'[{"a": 1}]\n[{"a": 2},]', b' {"a": 1}  {"a": 2}', "at byte 21 an element is missing"),
        (b'{"a": 1}{"a": 2}', b"", "something follows its end"),
    ],
)
def test_what_is_no_document(body: bytes, whole: bytes, words: str) -> None:
    for cuts in ([], list(range(len(body)))):
        lines, fault = turned(body, cuts)
        assert words in fault
        assert b"".join(lines.rpartition(b"\n")[0].split(b"\n")).strip() == whole.strip()
    assert lines_of(body) is None


@pytest.mark.parametrize("body", [b'[{"a": "x\ny"}]', b'{"a": "x\ny"}'])
def test_a_raw_newline_in_a_string_stays_forbidden(body: bytes) -> None:
    lines = lines_of(body)
    assert lines is not None
    with pytest.raises(ValueError, match="control character"):
        json.loads(lines)
