"""What counts as right, and which node is named first."""

from decimal import Decimal

import pytest

from oncefold.core.event import Content, Event
from oncefold.core.fold import Node
from oncefold_workshop.game.expected import ExpectedTotals, Row, first_wrong, grown
from oncefold_workshop.game.generator import WORKSHOP

LEAF = ("PV", "FXSpot", "EMEA")
OTHER = ("Delta", "FXSpot", "EMEA")


def event(version: int, cents: int, labels: tuple[str, ...] = LEAF) -> Event:
    return Event("t", version, Content(labels, (cents,)))


def test_the_truth_is_the_greatest_version_whatever_came_when() -> None:
    expected = ExpectedTotals(WORKSHOP)
    expected.add([event(4, 700, OTHER), event(2, 100)])
    expected.add([event(3, 200), event(4, 700, OTHER)])
    assert expected.rows()[Node(0, OTHER)] == (Decimal(1), Decimal("7.00"))
    assert expected.rows()[Node(0)] == (Decimal(1), Decimal("7.00"))
    assert not any(any(row) for node, row in expected.rows().items() if node.labels[:1] == ("PV",))


def test_a_round_counts_by_itself() -> None:
    expected = ExpectedTotals(WORKSHOP)
    expected.add([event(1, 100)])
    expected.begin()
    assert not any(any(row) for row in expected.rows().values())
    expected.add([event(2, 350)])
    assert expected.rows()[Node(0, LEAF)] == (Decimal(0), Decimal("2.50"))
    one, other = Node(0, ("PV",)), Node(0, ("Delta",))
    rows = grown({one: (None, Decimal(7))}, {one: (None, Decimal(5)), other: (None, Decimal(1))})
    assert rows == {one: (None, Decimal(2)), other: (None, Decimal(-1))}


@pytest.mark.parametrize(
    ("found", "tolerance", "right"),
    [("7.00", "0", True), ("7.000001", "0", False), ("7.00001", "0.00001", True), ("7.000011", "0.00001", False)],
)
def test_the_tolerance_is_the_scorers(found: str, tolerance: str, right: bool) -> None:
    expected: dict[Node, Row] = {Node(0, ("PV",)): (None, Decimal("7.00"))}
    wrong = first_wrong(expected, {Node(0, ("PV",)): (None, Decimal(found))}, Decimal(tolerance))
    assert (wrong is None) is right


def test_the_first_wrong_node_is_the_first_of_the_tree() -> None:
    expected: dict[Node, Row] = {
        Node(0, path): (None, Decimal(1)) for path in [("PV", "b"), ("Delta", "a"), ("Delta",)]
    }
    wrong = first_wrong(expected, {Node(0, ("Delta",)): (None, Decimal(1))}, Decimal(0))
    assert wrong is not None
    assert (wrong.path, wrong.by) == ("Delta/a", Decimal(-1))


def test_a_node_that_should_not_be_there_is_wrong_and_a_zero_is_not() -> None:
    assert first_wrong({}, {Node(0, ("x",)): (None, Decimal(0))}, Decimal(0)) is None
    assert first_wrong({}, {Node(0, ("x",)): (None, Decimal(1))}, Decimal(0)) is not None
