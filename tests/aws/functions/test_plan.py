"""Every plan writes exactly what is to be written, in transactions that DynamoDB takes, for any tree."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.aws.functions import layout, plan
from oncefold.aws.functions.layout import Delta
from oncefold.aws.functions.plan import Change, Chunk, chunks, group, groups
from oncefold.core.definition import Pipeline
from oncefold.core.event import DELETED, Content
from oncefold.core.fold import Node, Stored, Total, net
from oncefold.core.limits import LABEL_BYTES, PATH_BYTES
from tests.aws.functions.worlds import PIPELINES, contents, pipeline_of
from tests.tools.sizes import examples

WIDE = st.integers(0, 400).map(lambda number: f"label {number}")


def changes_of(pipeline: Pipeline, most: int = 260) -> st.SearchStrategy[list[Change]]:
    stored = st.builds(Stored, st.integers(0, 5), contents(pipeline, WIDE))
    pairs = st.lists(st.tuples(st.none() | stored, stored), max_size=most)
    return pairs.map(lambda some: [Change(f"k{n}", before, after) for n, (before, after) in enumerate(some)])


def item_bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def check_chunk(pipeline: Pipeline, chunk: Chunk) -> None:
    assert len(chunk.changes) + len(chunk.deltas) <= 100
    deltas = [layout.delta_item(pipeline, delta, keys=1, created=1) for delta in chunk.deltas]
    states = [
        {**layout.state_key(change.key), **layout.state_content(pipeline, change.after)} for change in chunk.changes
    ]
    assert all(item_bytes(item) <= 400 * 1024 for item in deltas + states)
    assert sum(map(item_bytes, deltas + states)) <= 4 * 2**20
    assert all(0 < len(delta.nodes) <= 99 for delta in chunk.deltas)


def added(deltas: Sequence[Delta]) -> dict[Node, Total]:
    return group(deltas).nodes


@settings(deadline=None, max_examples=examples(60))
@given(st.data(), st.sampled_from([*PIPELINES, pipeline_of(1), pipeline_of(*[4] * 30)]))
def test_chunks_hold_every_change_once_and_exactly_its_net(data: st.DataObject, pipeline: Pipeline) -> None:
    changes = data.draw(changes_of(pipeline))
    planned = list(chunks(pipeline, changes))
    assert [change for chunk in planned for change in chunk.changes] == changes
    for chunk in planned:
        check_chunk(pipeline, chunk)
        assert added(chunk.deltas) == net(pipeline, [(change.before, change.after) for change in chunk.changes])
    ids = [delta.id for chunk in planned for delta in chunk.deltas]
    assert len(set(ids)) == len(ids)


@settings(deadline=None, max_examples=examples(60))
@given(st.data(), st.sampled_from([PIPELINES[0], pipeline_of(1), pipeline_of(*[4] * 30)]))
def test_groups_apply_every_delta_once(data: st.DataObject, pipeline: Pipeline) -> None:
    deltas = [delta for chunk in chunks(pipeline, data.draw(changes_of(pipeline))) for delta in chunk.deltas]
    planned = list(groups(pipeline, deltas))
    assert sorted(delta.id for some in planned for delta in some.deltas) == sorted(delta.id for delta in deltas)
    for some in planned:
        assert len(some.deltas) + len(some.nodes) <= 100
        assert some.nodes == added(some.deltas)


def test_one_leaf_for_each_event_still_makes_full_chunks() -> None:
    pipeline = pipeline_of(3)
    changes = [Change(f"k{n}", None, Stored(1, Content((f"a{n}", f"b{n}", f"c{n}"), (n,)))) for n in range(1000)]
    planned = list(chunks(pipeline, changes))
    assert len(planned) <= 11


def test_the_root_is_touched_by_few_groups_whatever_the_leaves_are() -> None:
    pipeline = pipeline_of(3)
    changes = [Change(f"k{n}", None, Stored(1, Content((f"a{n}", f"b{n}", f"c{n}"), (n,)))) for n in range(5000)]
    deltas = [delta for chunk in chunks(pipeline, changes) for delta in chunk.deltas]
    root = Node(0)
    assert sum(root in some.nodes for some in groups(pipeline, deltas)) == 1


def test_a_small_tree_takes_one_delta_for_99_events() -> None:
    pipeline = pipeline_of(3)
    changes = [Change(f"k{n}", None, Stored(1, Content(("a", f"b{n % 2}", f"c{n % 6}"), (n,)))) for n in range(198)]
    planned = list(chunks(pipeline, changes))
    assert [(len(chunk.changes), len(chunk.deltas)) for chunk in planned] == [(99, 1), (99, 1)]


def test_a_transition_has_one_name_for_ever() -> None:
    pipeline = pipeline_of(1)
    states = [None, Stored(1, Content(("a",), (1,))), Stored(1, Content(("b",), (1,))), Stored(2, DELETED)]
    changes = [Change("k", before, after) for before, after in pairwise(states) if after is not None]
    ids = [next(chunks(pipeline, [change])).deltas[0].id for change in changes]
    assert len(set(ids)) == 3
    assert ids == [next(chunks(pipeline, [change])).deltas[0].id for change in changes]


LONGEST = ("\x01" * LABEL_BYTES, "ü" * (PATH_BYTES // 2 - LABEL_BYTES // 2 - 40))


@pytest.mark.parametrize("rollups", [1, 20, 40])
def test_the_longest_labels_fit(rollups: int) -> None:
    pipeline = pipeline_of(*[2] * rollups, measures=20)
    content = Content(LONGEST, (10**18 - 1,) * 20)
    moved = Content((LONGEST[1], LONGEST[0]), (-1,) * 20)
    assert plan.refusal(pipeline, "k" * 2000, Stored(1, content)) is None
    changes = [Change(f"{n}".rjust(2000, "k"), Stored(1, content), Stored(2, moved)) for n in range(300)]
    for chunk in chunks(pipeline, changes):
        check_chunk(pipeline, chunk)
        for some in groups(pipeline, chunk.deltas):
            assert len(some.deltas) + len(some.nodes) <= 100


def test_an_event_that_no_transaction_holds_is_refused_in_words() -> None:
    pipeline = pipeline_of(*[2] * 400)
    stored = Stored(1, Content(LONGEST, (1,)))
    assert "nodes take" in str(plan.refusal(pipeline, "k", stored))
    assert plan.may_be_refused(pipeline, 3000)
    assert not plan.may_be_refused(PIPELINES[0], 300)


@given(st.sampled_from(PIPELINES).flatmap(lambda p: st.tuples(st.just(p), contents(p))))
def test_an_event_that_is_not_looked_at_would_not_be_refused(world: tuple[Pipeline, Content]) -> None:
    pipeline, content = world
    size = sum(len(label.encode()) for label in content.labels or ()) + 50
    if not plan.may_be_refused(pipeline, size):
        assert plan.refusal(pipeline, "k", Stored(1, content)) is None
