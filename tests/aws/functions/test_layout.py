"""What is laid out as an item is read back as it was, and within DynamoDB's rules for keys and numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.aws.functions import layout
from oncefold.aws.functions.layout import Delta
from oncefold.core.decimals import format_decimal
from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Node, Stored, Total
from oncefold.core.limits import LABEL_BYTES
from oncefold.dynamodb import items
from tests.aws.functions.worlds import LABELS, PIPELINES, contents

DIGITS = st.integers(1 - 10**38, 10**38 - 1)
SCALES = st.integers(0, 18)


@given(st.text(alphabet="\0a", max_size=4), st.text(alphabet="\0a", max_size=4))
def test_key_texts_are_never_empty_and_keep_their_order(one: str, other: str) -> None:
    stored, stored_other = layout.key_text(one), layout.key_text(other)
    assert stored
    assert layout.plain_text(stored) == one
    assert (stored < stored_other) == (one < other)


def test_the_longest_label_fits_a_sort_key() -> None:
    assert len(layout.key_text("\0" * LABEL_BYTES).encode()) == 1024


@given(DIGITS, SCALES)
def test_numbers_keep_every_digit(mantissa: int, scale: int) -> None:
    written = items.number(mantissa, scale)
    assert items.mantissa(written, scale) == mantissa
    assert len(written["N"].lstrip("-").replace(".", "").lstrip("0")) <= 38


@pytest.mark.parametrize(
    ("mantissa", "scale", "text"),
    [(0, 0, "0"), (0, 2, "0"), (-5, 2, "-0.05"), (1050, 2, "10.5"), (100, 2, "1"), (100, 0, "100"), (-100, 0, "-100")],
)
def test_numbers_are_written_as_dynamodb_gives_them_back(mantissa: int, scale: int, text: str) -> None:
    assert items.number(mantissa, scale) == {"N": text}


def test_more_than_38_digits_are_refused_in_words() -> None:
    with pytest.raises(OncefoldError, match="more than the 38 digits that DynamoDB keeps"):
        items.number(10**38, 2)


@given(st.sampled_from(PIPELINES).flatmap(lambda p: st.tuples(st.just(p), contents(p))), LABELS, st.integers(-9, 9))
def test_states_are_read_back(world, key: str, version: int) -> None:
    pipeline, content = world
    stored = Stored(version, content)
    item = {**layout.state_key(key), **layout.state_content(pipeline, stored)}
    assert layout.parse_state(pipeline, item) == (key, stored)


@given(st.data(), st.sampled_from(PIPELINES))
def test_deltas_and_nodes_are_read_back(data: st.DataObject, pipeline) -> None:
    rollup = data.draw(st.integers(0, len(pipeline.rollups) - 1))
    depth = data.draw(st.integers(0, len(pipeline.rollup_levels[rollup])))
    node = Node(rollup, data.draw(st.tuples(*[LABELS] * depth)))
    total = Total(data.draw(st.integers(-99, 99)), data.draw(st.tuples(*[DIGITS] * len(pipeline.amounts))))
    delta = Delta("id-0", ((node, total),))
    assert layout.parse_delta(pipeline, layout.delta_item(pipeline, delta, keys=1, created=7)) == delta
    item = layout.node_key(pipeline, node) | {"count": {"N": str(total.count)}}
    for amount, value in zip(pipeline.amounts, total.sums, strict=True):
        item[amount.name] = {"N": format_decimal(value, amount.scale)}
    assert layout.parse_node(pipeline, item) == (node, total)


@given(st.lists(LABELS, max_size=3), st.lists(LABELS, max_size=3))
def test_no_two_nodes_share_a_key(one: list[str], other: list[str]) -> None:
    pipeline = PIPELINES[0]
    keys = [layout.node_key(pipeline, Node(0, tuple(labels))) for labels in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
