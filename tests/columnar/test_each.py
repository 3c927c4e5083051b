"""Arrays are read by kernels as the scalar decoder reads them, and their nodes are those of the core."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.columnar.leaves import decode_all
from oncefold.columnar.table import TableDecoder
from oncefold.columnar.text import TextDecoder
from oncefold.columnar.trees import Trees
from oncefold.core.decode import Decoder
from oncefold.core.errors import InvalidEvent
from oncefold.core.fold import nodes_of
from tests.core.test_each import PIPELINE, WITH_DEFAULT
from tests.tools.sizes import examples

_LABELS = st.sampled_from(["", "a", "b", "ab", "\0", "\0\1", "é", '"', "a" * 300]) | st.integers(-1, 12)
_ODD = st.sampled_from([None, 1.5, "x", {}, [], True])
_ITEMS = st.fixed_dictionaries({}, optional={"kind": _LABELS, "sku": _LABELS, "more": st.sampled_from([[{}], "}", 1])})
_RECORDS = st.fixed_dictionaries(
    {"id": st.integers(0, 9), "amount": st.integers(0, 9), "region": st.sampled_from(["EU", "US"])},
    optional={
        "tags": st.lists(_LABELS, max_size=5) | st.lists(_LABELS | _ODD, max_size=3) | _ODD,
        "items": st.lists(_ITEMS, max_size=4) | _ODD,
    },
)


@given(st.lists(_RECORDS, min_size=1, max_size=6), st.booleans(), st.sampled_from([None, (", ", " : ")]))
@settings(max_examples=examples(60))
def test_kernels_read_what_the_scalar_decoder_reads(
    records: list[dict[str, Any]], has_default: bool, separators: tuple[str, str] | None
) -> None:
    pipeline = WITH_DEFAULT if has_default else PIPELINE
    lines = [json.dumps(one, ensure_ascii=False, separators=separators).encode() for one in records]
    expected: list[Any] = []
    for line in lines:
        try:
            expected.append(Decoder(pipeline).json(line).content.labels)
        except InvalidEvent as error:
            expected.append(str(error))
    batch = TextDecoder(pipeline).json(b"".join(line + b"\n" for line in lines), "s", 0)
    labels = decode_all(batch.leaves, 0, len(pipeline.levels))
    reasons = iter([batch.rejects.reasons[i] for i in batch.rejects.reason] if len(batch.rejects) else [])
    assert [labels[leaf] if leaf >= 0 else next(reasons) for leaf in batch.leaf.tolist()] == expected

    trees = Trees(pipeline)
    trees.intern(batch.leaves)
    leaves, nodes = trees.new_leaves_and_nodes()
    ends, found = trees.nodes_of_leaves()
    for number, leaf in enumerate(leaves):
        listed = [(nodes[i].rollup, nodes[i].labels) for i in found[ends[number] : ends[number + 1]].tolist()]
        assert sorted(listed) == sorted((node.rollup, node.labels) for node in nodes_of(pipeline, leaf))


_TEXTS = st.sampled_from(["", "a", "b", "é", '"', "\\", "\n", "\0", "a" * 300])
_OBJECTS = st.fixed_dictionaries({"kind": _TEXTS | st.none(), "sku": st.integers(-2, 3) | st.none(), "n": st.just(1)})
_ROWS = st.fixed_dictionaries(
    {
        "id": st.integers(0, 9),
        "amount": st.integers(0, 9),
        "region": st.sampled_from(["EU", "US"]),
        "tags": st.none() | st.lists(_TEXTS | st.none(), max_size=4) | st.lists(st.sampled_from("ab"), max_size=3),
        "items": st.none()
        | st.lists(
            st.none()
            | st.fixed_dictionaries(
                {"kind": _TEXTS | st.none(), "sku": st.integers(-2, 3) | st.none(), "n": st.just(1)}
            ),
            max_size=3,
        ),
    }
)
_ITEM = pa.struct({"kind": pa.string(), "sku": pa.int32(), "n": pa.int8()})


@given(
    st.lists(_ROWS, min_size=1, max_size=8),
    st.booleans(),
    st.sampled_from([pa.list_, pa.large_list]),
    st.sampled_from([pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]),
    st.integers(0, 2),
)
@settings(max_examples=examples(60))
def test_lists_of_tables_are_read_as_the_scalar_decoder_reads_them(
    rows: list[dict[str, Any]], has_default: bool, list_of: Any, text: pa.DataType, cut: int
) -> None:
    pipeline = WITH_DEFAULT if has_default else PIPELINE
    schema = pa.schema({"id": pa.int64(), "amount": pa.int64(), "region": pa.string(), "tags": list_of(text),
                        "items": list_of(_ITEM)})  # fmt: skip
    table = pa.Table.from_pylist(rows, schema).combine_chunks().to_batches()[0].slice(cut)
    expected: list[Any] = []
    for row in rows[cut:]:
        try:
            record = {name: value for name, value in row.items() if value is not None}
            expected.append(Decoder(pipeline).record(record).content.labels)
        except InvalidEvent as error:
            expected.append(str(error))
    batch = TableDecoder(pipeline).decode(table, "s", cut)
    labels = decode_all(batch.leaves, 0, len(pipeline.levels))
    reasons = iter([reject.reason for reject in batch.rejects])
    assert [labels[leaf] if leaf >= 0 else next(reasons) for leaf in batch.leaf.tolist()] == expected


def test_plain_lists_need_no_scalar_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Decoder, "flat", None)
    items = [{"kind": "x", "sku": 1}, {"kind": "y", "sku": 2}]
    rows = [{"id": n, "amount": 1, "region": "EU", "tags": ["b", "a"], "items": items} for n in range(5)]
    batch = TableDecoder(WITH_DEFAULT).decode(pa.RecordBatch.from_pylist(rows), "s", 0)
    assert batch.leaf.tolist() == [0] * 5
