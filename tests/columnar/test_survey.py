"""What a block is surveyed for in one pass: newlines, backslashes, bytes beyond ASCII."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oncefold.columnar.primitives import survey


def surveyed(data: bytes) -> tuple[int, int, bool]:
    newlines, backslashes, ascii_only = survey(np.frombuffer(data, np.uint8))
    return newlines, backslashes, ascii_only


@given(st.lists(st.sampled_from([b"\n", b"\\", b"\x0b", b"\x8a", b"\xdc", b"[", b"\0", b"\xff", b"a"]), max_size=60))
def test_any_bytes(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert surveyed(data) == (data.count(b"\n"), data.count(b"\\"), data.isascii())


def test_more_words_than_a_byte_counts() -> None:
    for count in (8 * 254, 8 * 255, 8 * 256, 8 * 511 + 3, 100_003):
        assert surveyed(b"\n" * count) == (count, 0, True)
        assert surveyed(b"\\" * count) == (0, count, True)
        assert surveyed(b"\n\\" * count + b"\x80") == (count, count, False)
