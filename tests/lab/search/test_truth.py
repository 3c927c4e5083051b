"""The lab's own reference agrees with that of the tests."""

from hypothesis import given
from hypothesis import strategies as st

from oncefold.core.event import Event
from oncefold.core.fold import Node, Total
from oncefold_lab.search import oracle
from tests.aws.functions.worlds import PIPELINES, events
from tests.tools import reference


@given(st.data())
def test_the_two_references_agree(data: st.DataObject) -> None:
    pipeline = data.draw(st.sampled_from(PIPELINES))
    some: list[Event] = data.draw(st.lists(events(pipeline), max_size=20))
    assert reference.differences(reference.totals(pipeline, some), oracle.totals(pipeline, some)) == []
    assert oracle.differences(reference.totals(pipeline, some), oracle.totals(pipeline, some)) == []


def test_differences_are_said_in_words() -> None:
    pipeline = PIPELINES[0]
    expected = {Node(0): Total(1, (150,)), Node(0, ("a",)): Total(1, (150,))}
    actual = {Node(0): Total(1, (250,)), Node(0, ("b",)): Total(0, (0,))}
    text = oracle.node_text(pipeline, expected, actual)
    assert text.startswith("2 nodes are wrong; r0 (root): 1 keys, m0 2.50 instead of 1 keys, m0 1.50; r0 a: nothing")
