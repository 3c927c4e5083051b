"""The fold equals the reference for every set of events in every order, and known-wrong folds do not."""

import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from oncefold.core.definition import Level, Pipeline, Rollup
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.fieldpath import FieldPath
from oncefold.core.fold import Node, Outcome, Stored, Total, fold, net, nodes_of
from oncefold.core.measures import Measure
from tests.core.strategies import events
from tests.tools import reference
from tests.tools.sizes import examples

A, B, C = (Level(FieldPath((name,))) for name in "abc")
PIPELINE = Pipeline(
    name="test",
    key=(FieldPath(("id",)),),
    rollups=(Rollup("deep", (A, B)), Rollup("across", (C, A)), Rollup("all", ())),
    measures=(Measure("value", FieldPath(("v",)), 2), Measure("n", FieldPath(("n",)), 0)),
)
BATCHES = st.lists(events(PIPELINE), max_size=12)

Fold = Callable[[Stored | None, Event], tuple[Outcome, Stored]]
Totals = dict[Node, Total]


def run(events: Iterable[Event], fold: Fold = fold) -> tuple[dict[str, Stored], list[Outcome], Totals]:
    """Fold one event after the other, adding each one's net change to the totals."""
    states: dict[str, Stored] = {}
    outcomes: list[Outcome] = []
    totals: Totals = {}
    for event in events:
        before = states.get(event.key)
        outcome, after = fold(before, event)
        states[event.key] = after
        outcomes.append(outcome)
        add(totals, net(PIPELINE, [(before, after)]))
    return states, outcomes, totals


def add(totals: Totals, deltas: Totals) -> None:
    for node, delta in deltas.items():
        totals[node] = totals[node] + delta if node in totals else delta


@given(BATCHES)
def test_equal_to_the_reference(batch: list[Event]) -> None:
    states, _, totals = run(batch)
    reference.assert_equal(reference.totals(PIPELINE, batch), totals, PIPELINE)
    assert states == {key: Stored(event.version, event.content) for key, event in reference.winners(batch).items()}


@given(st.lists(events(PIPELINE, keys=2), max_size=4), st.data())
@settings(max_examples=examples(60))
def test_every_permutation_and_duplication_gives_the_same(batch: list[Event], data: st.DataObject) -> None:
    expected = reference.totals(PIPELINE, batch)
    twice = data.draw(st.lists(st.sampled_from(batch), max_size=1)) if batch else []
    for order in itertools.permutations(batch + twice):
        reference.assert_equal(expected, run(order)[2], PIPELINE)


@given(BATCHES, st.randoms(use_true_random=False))
def test_replays_and_late_events_change_nothing(batch: list[Event], rnd: random.Random) -> None:
    states, _, totals = run(batch)
    replay = rnd.choices(batch, k=20) if batch else []
    for event in replay:
        outcome, after = fold(states[event.key], event)
        assert not outcome.taken
        assert after == states[event.key]
    assert net(PIPELINE, [(states[event.key], states[event.key]) for event in replay]) == {}
    reference.assert_equal(totals, run(batch + replay)[2], PIPELINE)


@given(BATCHES, st.integers(1, 5))
def test_a_batch_nets_to_the_sum_of_its_events(batch: list[Event], size: int) -> None:
    """Whatever the boundaries: the first state before a batch against the last one after it is enough."""
    states: dict[str, Stored] = {}
    totals: Totals = {}
    for start in range(0, len(batch), size):
        before = dict(states)
        for event in batch[start : start + size]:
            states[event.key] = fold(states.get(event.key), event)[1]
        add(totals, net(PIPELINE, [(before.get(key), state) for key, state in states.items()]))
    reference.assert_equal(reference.totals(PIPELINE, batch), totals, PIPELINE)


@given(BATCHES)
def test_outcomes_say_what_happened(batch: list[Event]) -> None:
    seen: dict[str, list[Event]] = {}
    for event, outcome in zip(batch, run(batch)[1], strict=True):
        earlier = seen.setdefault(event.key, [])
        assert outcome == expected_outcome(earlier, event)
        earlier.append(event)


def expected_outcome(earlier: Sequence[Event], event: Event) -> Outcome:
    """The outcome by the text of the rules, from all earlier events of the key."""
    taken = Outcome.DELETED if event.content.deleted else None
    taken = Outcome.FILTERED if event.filtered else taken
    if not earlier:
        return taken or Outcome.INSERTED
    newest = max(other.version for other in earlier)
    if event.version != newest:
        return Outcome.STALE if event.version < newest else taken or Outcome.CORRECTED
    standing = reference.winners(earlier)[event.key].content
    if event.content == standing:
        return Outcome.DUPLICATE
    wins = reference.winners([*earlier, event])[event.key].content == event.content
    return Outcome.CONFLICT_WON if wins else Outcome.CONFLICT_LOST


def test_outcomes_are_stored_and_keep_their_numbers() -> None:
    assert [(outcome.name, outcome.value, outcome.taken) for outcome in Outcome] == [
        ("INSERTED", 0, True),
        ("CORRECTED", 1, True),
        ("DELETED", 2, True),
        ("CONFLICT_WON", 3, True),
        ("DUPLICATE", 4, False),
        ("STALE", 5, False),
        ("CONFLICT_LOST", 6, False),
        ("REJECTED", 7, False),
        ("FILTERED", 8, True),
        ("IGNORED", 9, False),
    ]


@given(BATCHES)
def test_the_order_of_contents_is_that_of_their_bytes(batch: list[Event]) -> None:
    by_rank = sorted((event.content for event in batch), key=lambda content: content.rank)
    assert by_rank == sorted((event.content for event in batch), key=reference._order)


def test_delta_nodes() -> None:
    leaf, other = ("x", "y", "z"), ("x", "q", "z")
    before, after = Stored(1, Content(leaf, (100, 1))), Stored(2, Content(other, (130, 1)))
    assert nodes_of(PIPELINE, leaf) == [
        Node(0),
        Node(0, ("x",)),
        Node(0, ("x", "y")),
        Node(1),
        Node(1, ("z",)),
        Node(1, ("z", "x")),
        Node(2),
    ]
    moved = Total(0, (30, 0))
    assert net(PIPELINE, [(before, after)]) == {
        Node(0): moved,
        Node(0, ("x",)): moved,
        Node(0, ("x", "y")): Total(-1, (-100, -1)),
        Node(0, ("x", "q")): Total(1, (130, 1)),
        Node(1): moved,
        Node(1, ("z",)): moved,
        Node(1, ("z", "x")): moved,
        Node(2): moved,
    }
    assert net(PIPELINE, [(before, before)]) == {}
    assert net(PIPELINE, [(None, None), (None, Stored(3, DELETED)), (Stored(1, DELETED), None)]) == {}
    assert net(PIPELINE, [(None, before), (before, None)]) == {}


def test_totals_add_and_negate() -> None:
    total = Total(2, (10**30, -5))
    assert total + -total == Total(0, (0, 0))
    assert not total + -total
    assert Total(0, (0, 1))
    assert Total(1, ())


# Planted bugs: each of these must be refuted by the property "equal to the reference".


def stale_accepted(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    return Outcome.CORRECTED, Stored(event.version, event.content)


def conflict_by_arrival(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    if stored is not None and event.version == stored.version:
        return Outcome.DUPLICATE, stored
    return fold(stored, event)


def conflict_to_the_last(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    if stored is not None and event.version == stored.version:
        return Outcome.CONFLICT_WON, Stored(event.version, event.content)
    return fold(stored, event)


def duplicate_is_a_new_version(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    if stored is not None and event.content == stored.content:
        return Outcome.DUPLICATE, stored
    return fold(stored, event)


def conflict_by_measures_alone(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    if stored is not None and event.version == stored.version:
        if event.content.deleted or event.content.measures > stored.content.measures:
            return Outcome.CONFLICT_WON, Stored(event.version, event.content)
        return Outcome.CONFLICT_LOST, stored
    return fold(stored, event)


def conflict_by_utf_16(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    if stored is not None and event.version == stored.version:
        if utf_16(event.content) > utf_16(stored.content):
            return Outcome.CONFLICT_WON, Stored(event.version, event.content)
        return Outcome.CONFLICT_LOST, stored
    return fold(stored, event)


def utf_16(content: Content) -> tuple[bool, list[bytes], tuple[int, ...]]:
    return content.deleted, [label.encode("utf-16-be") for label in content.labels or ()], content.measures


def live_wins_over_delete(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    if stored is not None and event.version == stored.version and event.content.deleted:
        return Outcome.CONFLICT_LOST, stored
    return fold(stored, event)


def delete_forgets_its_version(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    outcome, after = fold(stored, event)
    return outcome, replace(after, version=-(2**63)) if after.content.deleted else after


def delete_by_an_older_version(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    if event.content.deleted:
        return Outcome.DELETED, Stored(max(event.version, stored.version if stored else event.version), DELETED)
    return fold(stored, event)


def deleted_is_final(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    if stored is not None and stored.content.deleted:
        return Outcome.STALE, stored
    return fold(stored, event)


def move_keeps_the_old_leaf(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    """The new numbers at the position of the first event."""
    outcome, after = fold(stored, event)
    if stored is not None and stored.content.labels is not None and after.content.labels is not None:
        after = replace(after, content=replace(after.content, labels=stored.content.labels))
    return outcome, after


WRONG_FOLDS: list[Fold] = [
    stale_accepted,
    conflict_by_arrival,
    conflict_to_the_last,
    duplicate_is_a_new_version,
    conflict_by_measures_alone,
    conflict_by_utf_16,
    live_wins_over_delete,
    delete_forgets_its_version,
    delete_by_an_older_version,
    deleted_is_final,
    move_keeps_the_old_leaf,
]


def equals_reference(batch: list[Event], totals: Totals) -> bool:
    return not reference.differences(reference.totals(PIPELINE, batch), totals)


def refute(wrong: Callable[[list[Event]], Totals]) -> list[Event]:
    """Events of one key at which the totals differ from the reference."""
    return find(
        st.lists(events(PIPELINE, keys=1), min_size=1, max_size=3),
        lambda batch: not equals_reference(batch, wrong(batch)),
        settings=settings(max_examples=2000, derandomize=True, database=None, phases=[Phase.generate]),
    )


@pytest.mark.parametrize("wrong", WRONG_FOLDS, ids=lambda wrong: wrong.__name__)
def test_wrong_folds_are_refuted(wrong: Fold) -> None:
    counterexample = refute(lambda batch: run(batch, wrong)[2])
    assert len(counterexample) > 1
    assert equals_reference(counterexample, run(counterexample)[2])


def test_the_right_fold_is_not_refuted() -> None:
    with pytest.raises(NoSuchExample):
        find(BATCHES, lambda batch: not equals_reference(batch, run(batch)[2]), settings=settings(database=None))


Net = Callable[[Stored | None, Stored | None], Totals]


def old_leaf_not_retracted(before: Stored | None, after: Stored | None) -> Totals:
    if before and after and before.content.labels != after.content.labels:
        return net(PIPELINE, [(None, after)])
    return net(PIPELINE, [(before, after)])


def old_parents_not_retracted(before: Stored | None, after: Stored | None) -> Totals:
    """Only the leaves' own nodes lose the old contribution."""
    lost = {n: t for n, t in net(PIPELINE, [(before, None)]).items() if len(n.labels) == 2}
    gained = net(PIPELINE, [(None, after)])
    add(gained, lost)
    return gained


def correction_counts_again(before: Stored | None, after: Stored | None) -> Totals:
    delta = net(PIPELINE, [(before, after)])
    return {node: Total(max(total.count, 1), total.sums) for node, total in delta.items()} if after != before else delta


def delete_leaves_the_sums(before: Stored | None, after: Stored | None) -> Totals:
    delta = net(PIPELINE, [(before, after)])
    if after is not None and after.content.deleted:
        return {node: Total(total.count, (0, 0)) for node, total in delta.items()}
    return delta


def second_rollup_forgotten_on_a_move(before: Stored | None, after: Stored | None) -> Totals:
    delta = net(PIPELINE, [(before, after)])
    if before is not None:
        return {node: total for node, total in delta.items() if node.rollup != 1}
    return delta


def sums_as_floats(before: Stored | None, after: Stored | None) -> Totals:
    delta = net(PIPELINE, [(before, after)])
    return {node: Total(t.count, tuple(int(float(value)) for value in t.sums)) for node, t in delta.items()}


def sums_that_overflow(before: Stored | None, after: Stored | None) -> Totals:
    """In 60 bits, so that two events are enough."""

    def wrap(value: int) -> int:
        return (value + 2**59) % 2**60 - 2**59

    delta = net(PIPELINE, [(before, after)])
    return {node: Total(t.count, tuple(map(wrap, t.sums))) for node, t in delta.items()}


WRONG_NETS: list[Net] = [
    old_leaf_not_retracted,
    old_parents_not_retracted,
    correction_counts_again,
    delete_leaves_the_sums,
    second_rollup_forgotten_on_a_move,
    sums_as_floats,
    sums_that_overflow,
]


@pytest.mark.parametrize("wrong", WRONG_NETS, ids=lambda wrong: wrong.__name__)
def test_wrong_deltas_are_refuted(wrong: Net) -> None:
    def totals(batch: list[Event]) -> Totals:
        states: dict[str, Stored] = {}
        result: Totals = {}
        for event in batch:
            before = states.get(event.key)
            states[event.key] = fold(before, event)[1]
            add(result, wrong(before, states[event.key]))
        return result

    assert refute(totals)


def test_the_reference_names_what_differs() -> None:
    batch = [Event("k", 1, Content(("x", "y/", ""), (150, 1))), Event("gone", 1, DELETED)]
    expected = reference.totals(PIPELINE, batch)
    assert expected.keys() == set(nodes_of(PIPELINE, ("x", "y/", "")))
    assert reference.totals(PIPELINE, batch[1:]) == {}
    reference.assert_equal(expected, {**expected, Node(0, ("empty",)): Total(0, (0, 0))}, PIPELINE)
    wrong = {**expected, Node(0, ("x",)): Total(1, (149, 1)), Node(1, ("new",)): Total(1, (0, 0))}
    del wrong[Node(2)]
    assert reference.differences(expected, wrong) == [Node(0, ("x",)), Node(1, ("new",)), Node(2)]
    with pytest.raises(AssertionError) as error:
        reference.assert_equal(expected, wrong, PIPELINE)
    assert str(error.value).splitlines() == [
        "3 nodes differ from the reference",
        "  deep x: expected 1 keys, value 1.50, n 1, got 1 keys, value 1.49, n 1",
        "  across new: expected nothing, got 1 keys, value 0.00, n 0",
        "  all (root): expected 1 keys, value 1.50, n 1, got nothing",
    ]
