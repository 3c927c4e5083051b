"""Several leaves: a key counts once in each of them, and once in every node above."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.core import leafset
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, InvalidEvent
from oncefold.core.fold import Node, Stored, Total, net, nodes_of
from tests.core.strategies import LABELS

TEXT = """
name = "orders"
[event]
key = "id"
[rollups]
tags = ["region", {{ each = "tags"{missing} }}]
items = [{{ each = "items", field = "kind", missing = "-" }}, {{ each = "items", field = "sku", missing = "-" }}]
[measures]
amount = {{ sum = "amount" }}
"""
PIPELINE = parse_toml(TEXT.format(missing=""))
WITH_DEFAULT = parse_toml(TEXT.format(missing=', missing = "(none)"'))


def nodes(pipeline: Pipeline, record: dict[str, object]) -> list[tuple[int, tuple[str, ...]]]:
    event = Decoder(pipeline).record({"id": "k", "region": "EU", "amount": 1, **record})
    assert event.content.labels is not None
    return [(node.rollup, node.labels) for node in nodes_of(pipeline, event.content.labels)]


def test_a_key_counts_once_in_each_node_of_its_leaves() -> None:
    items = [{"kind": "x", "sku": "1"}, {"kind": "x", "sku": 2}, {"sku": 2}]
    assert sorted(nodes(PIPELINE, {"tags": ["red", "big", "red"], "items": items})) == [
        (0, ()),
        (0, ("EU",)),
        (0, ("EU", "big")),
        (0, ("EU", "red")),
        (1, ()),
        (1, ("-",)),
        (1, ("-", "2")),
        (1, ("x",)),
        (1, ("x", "1")),
        (1, ("x", "2")),
    ]


def test_the_order_of_elements_and_repeated_ones_change_nothing() -> None:
    one, other = ({"id": "k", "region": "r", "amount": 1, "tags": tags} for tags in (["b", "a"], ["a", "b", "a"]))
    assert Decoder(PIPELINE).record(one) == Decoder(PIPELINE).record(other)


@pytest.mark.parametrize("tags", [[], None])
def test_an_empty_or_missing_array_is_what_missing_says(tags: object) -> None:
    assert (0, ("EU", "(none)")) in nodes(WITH_DEFAULT, {"tags": tags})
    with pytest.raises(InvalidEvent, match=r"field tags: (missing|an empty array); a level that takes it"):
        nodes(PIPELINE, {"tags": tags})


def test_arrays_of_different_rollups_are_not_combined() -> None:
    tags, items = list(map(str, range(60))), [{"kind": "x", "sku": sku} for sku in range(70)]
    found = nodes(PIPELINE, {"tags": tags, "items": items})
    assert len(found) == (1 + 1 + 60) + (1 + 1 + 70)
    assert len(set(found)) == len(found)


def test_arrays_of_one_rollup_are_combined() -> None:
    both = parse_toml(TEXT.format(missing="").replace('["region", ', '["region", { each = "items", field = "kind" }, '))
    items = [{"kind": "x", "sku": 1}, {"kind": "y", "sku": 2}, {"kind": "x", "sku": 2}]
    found = nodes(both, {"tags": ["a", "b"], "items": items})
    assert {labels for rollup, labels in found if not rollup} == {
        (), ("EU",), ("EU", "x"), ("EU", "y"), *(("EU", kind, tag) for kind in "xy" for tag in "ab")
    }  # fmt: skip
    with pytest.raises(InvalidEvent, match=r"102 leaves of tags \(2 of items times 51 of tags\)"):
        nodes(both, {"tags": list(map(str, range(51))), "items": items[:2]})


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"tags": ["a", None]}, r"field tags\[1\]: null cannot be a label"),
        ({"tags": ["a", 1.5]}, r"field tags\[1\]: '1.5' cannot be a key or label"),
        ({"tags": [["a"]]}, r"field tags\[0\]: an array cannot be a key or label"),
        ({"tags": ["a", "b" * 1024]}, r"field tags\[1\]: the label is longer than 1023 bytes"),
        ({"tags": "red"}, "field tags: 'red' is not an array, nor the JSON text of one"),
        ({"tags": {"a": 1}}, "field tags: an object is not an array"),
        ({"tags": ["a"], "items": ["x"]}, r"field items\[0\]: 'x' is not an object"),
        ({"tags": list(map(str, range(101)))}, r"in 101 leaves of tags \(101 of tags\); 100 is the most"),
    ],
)
def test_what_no_label_can_be_is_refused_with_its_index(record: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason):
        nodes(PIPELINE, record)


def test_a_cell_holds_the_json_text_of_an_array() -> None:
    event = Decoder(PIPELINE).csv(["id", "region", "amount", "tags"], ["k", "EU", "1", '["b", 7]'])
    assert event.content.labels is not None
    assert leafset.by_level(PIPELINE.arrays, event.content.labels) == ("EU", ("7", "b"), ("-",), ("-",))


def test_the_total_of_a_node_is_not_the_sum_of_its_children() -> None:
    event = Decoder(PIPELINE).record({"id": "k", "region": "EU", "amount": 5, "tags": ["a", "b"]})
    deltas = net(PIPELINE, [(None, Stored(0, event.content))])
    assert {deltas[Node(0, ("EU", *tag))] for tag in ((), ("a",), ("b",))} == {Total(1, (5,))}


@given(st.lists(LABELS), st.lists(LABELS))
def test_packed_texts_compare_as_their_lists_do(one: list[str], other: list[str]) -> None:
    assert list(leafset.unpack(leafset.pack(one))) == one
    assert (leafset.pack(one) < leafset.pack(other)) == (one < other)


@pytest.mark.parametrize("level", ['{ each = "a", window = "1d" }', "{ each = 1 }", '{ each = "a", unit = "s" }'])
def test_settings_that_an_array_has_not(level: str) -> None:
    with pytest.raises(DefinitionError):
        parse_toml(f'name = "x"\n[event]\nkey = "k"\n[rollups]\nr = [{level}]')
