"""The contents of conflicts as kernels write them are the text that `json.dumps` writes."""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from oncefold.columnar.conflicts import conflict_columns, gathered
from oncefold.columnar.leaves import encode_leaf, leaves_of
from oncefold.commit import NO_LEAF
from oncefold.core.decimals import format_decimal
from oncefold.core.measures import NO_VALUE
from tests.columnar.tools import effort

LABELS = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["", '"', "\\", "\x00\x1f\x7f", "\n\r\t\b\f"]
)
AMOUNTS = st.integers(-(10**18) + 1, 10**18 - 1) | st.sampled_from([0, -1, 5, -5, 10, 99, 100, NO_VALUE])


def text_of(labels: Sequence[str] | None, columns: Sequence[int], scales: Sequence[int], texts: Sequence[str]) -> str:
    """The specification; the columns beyond the scales are codes of texts."""
    if labels is None:
        return "null"
    pairs = zip(columns, scales, strict=False)
    measures = [None if amount == NO_VALUE else format_decimal(amount, scale) for amount, scale in pairs]
    of_keys = [None if code < 0 else texts[code] for code in columns[len(scales) :]]
    document = {"labels": labels, "measures": measures, **({"texts": of_keys} if of_keys else {})}
    return json.dumps(document, ensure_ascii=False)


@effort(300)
@given(st.data())
def test_contents_are_as_json_dumps_writes_them(data):
    levels = data.draw(st.integers(0, 3))
    scales = data.draw(st.lists(st.integers(0, 18), max_size=3))
    leaves = data.draw(st.lists(st.tuples(*[LABELS] * levels), min_size=1, max_size=4, unique=True))
    texts = data.draw(st.lists(LABELS, min_size=1, max_size=3, unique=True))
    codes = [st.integers(-1, len(texts) - 1)] * data.draw(st.integers(0, 2))
    columns = st.tuples(*[AMOUNTS] * len(scales), *codes)
    states = st.tuples(st.integers(NO_LEAF, len(leaves) - 1), columns)
    conflicts = data.draw(st.lists(st.tuples(LABELS, st.integers(-5, 5), states, states), max_size=6))
    encoded = leaves_of([encode_leaf(leaf) for leaf in leaves])
    keys = [key.encode() for key, *_ in conflicts]
    starts = np.cumsum([0, *map(len, keys)], dtype=np.int64)

    def content(side: int) -> tuple[np.ndarray, np.ndarray]:
        leaf = np.array([conflict[side][0] for conflict in conflicts], np.int32)
        return leaf, np.array([conflict[side][1] for conflict in conflicts], np.int64).reshape(
            len(conflicts), len(scales) + len(codes)
        )

    ends = np.cumsum([0, *(len(text.encode()) for text in texts)], dtype=np.int64)
    found_columns = conflict_columns(
        (np.frombuffer(b"".join(keys) + bytes(8), np.uint8), starts[:-1], np.diff(starts)),
        np.array([version for _, version, *_ in conflicts], np.int64),
        content(2),
        content(3),
        (encoded.data, encoded.offsets),
        (np.frombuffer("".join(texts).encode() + bytes(8), np.uint8), ends),
        np.array(scales, np.int64),
    )
    for found, (key, version, *both) in zip(found_columns, conflicts, strict=True):
        assert (found.key, found.version) == (key, version)
        wanted = [text_of(None if leaf < 0 else leaves[leaf], values, scales, texts) for leaf, values in both]
        assert [found.kept, found.dropped] == wanted


def test_spans_are_gathered_in_memory_of_their_own():
    data = np.frombuffer(b"0123456789" * 3, np.uint8)
    found = gathered(data, np.array([3, 0, 25], np.int64), np.array([4, 0, 5], np.int64))
    assert found == pa.array([b"3456", b"", b"56789"], pa.large_binary())
    assert gathered(data, np.zeros(0, np.int64), np.zeros(0, np.int64)).to_pylist() == []
