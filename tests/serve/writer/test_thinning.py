"""Blocks of very many short records are cut further, at the ends of records, and nothing else changes."""

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.commit import SourcePosition
from oncefold.serve.writer import reading
from oncefold.sources.blocks import Oversize, TextBlock

LINES = st.lists(st.sampled_from([b"\n", b"a\n", b'"x\ny",b\n', b"abc,d\r\n"]), max_size=60)


@pytest.mark.parametrize("form", ["json", "csv"])
@given(lines=LINES, ends=st.booleans())
def test_the_parts_are_the_block(form: str, lines: list[bytes], ends: bool) -> None:
    data = b"".join(lines) if ends else b"".join(lines) + b"last"
    oversize = (Oversize(0, 9, b"", "long"),)
    block = TextBlock("s", form, memoryview(data), 7, SourcePosition("", ""), 0, ("x", "y"), ",", oversize)  # type: ignore[arg-type]
    with patch.object(reading, "MOST_ROWS", 4):
        parts = list(reading.thinned(block))
    assert b"".join(part.data for part in parts) == data
    assert [part.offset for part in parts] == [7 + sum(len(p.data) for p in parts[:n]) for n in range(len(parts))]
    assert [part.oversize for part in parts] == [oversize] + [()] * (len(parts) - 1)
    records = lines if form == "csv" else data.splitlines(keepends=True)
    edges = {sum(map(len, records[:n])) for n in range(len(records) + 1)} | {len(data)}
    assert {part.offset - 7 for part in parts} <= edges
    assert all(part.data.tobytes().count(b"\n") <= 4 * 2 for part in parts)
