"""The keyed state and the trees do, batch by batch, what the scalar fold does; and known-wrong folds are detected."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.columnar.arrays import read_only
from oncefold.columnar.batch import NOT_AN_EVENT
from oncefold.columnar.leaves import InternTable, Leaves, encode_leaf
from oncefold.columnar.primitives import FIXED_SEED, hash_bytes
from oncefold.columnar.state import KeyedState
from oncefold.core import fold as core
from oncefold.core.definition import Level, Pipeline, Rollup
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.fieldpath import FieldPath
from oncefold.core.fold import Outcome, Stored, Total
from oncefold.core.limits import MEASURE_LIMIT, VERSION_MAX, VERSION_MIN
from oncefold.core.measures import Measure
from tests.columnar.model import ColumnarForm, ScalarForm, compare, hold_together
from tests.columnar.tools import batch_of, effort
from tests.core.strategies import events, pipelines
from tests.tools import reference

A, B, C = (Level(FieldPath((name,))) for name in "abc")
VALUE, WEIGHT = Measure("value", FieldPath(("v",)), 2), Measure("weight", FieldPath(("w",)), 0)
PIPELINE = Pipeline(
    name="test",
    key=(FieldPath(("id",)),),
    rollups=(Rollup("deep", (A, B)), Rollup("across", (C, A)), Rollup("all", ())),
    measures=(VALUE, WEIGHT),
)
BARE = replace(PIPELINE, rollups=(Rollup("all", ()),), measures=())
MANY = replace(
    PIPELINE,
    rollups=tuple(Rollup(f"r{n}", levels) for n, levels in enumerate(itertools.permutations((A, B, C)))),
    measures=tuple(replace(VALUE, name=f"m{n}") for n in range(5)),
)
PIPELINES = st.sampled_from(
    [PIPELINE, PIPELINE, BARE, MANY, replace(PIPELINE, measures=()), replace(BARE, measures=(VALUE,))]
)
HALVES = [0, 1, 2**31, 2**32 - 1, 2**32, 2**33 + 1, MEASURE_LIMIT - 1]


def cut(items: Sequence[Event], at: Sequence[int]) -> list[Sequence[Event]]:
    """The items as batches, cut at these ends; some are empty."""
    ends = [0, *sorted(min(end, len(items)) for end in at), len(items)]
    return [items[a:b] for a, b in itertools.pairwise(ends)]


@st.composite
def streams(draw: st.DrawFn, pipeline: Pipeline | None = None) -> tuple[Pipeline, list[Sequence[Event]]]:
    """A pipeline, and events of few keys, versions and contents in batches cut anyhow."""
    pipeline = draw(PIPELINES) if pipeline is None else pipeline
    stream = draw(st.lists(events(pipeline), max_size=25))
    return pipeline, cut(stream, draw(st.lists(st.integers(0, 25), max_size=4)))


@given(streams())
@effort(200)
def test_equal_to_the_scalar_fold(stream: tuple[Pipeline, list[Sequence[Event]]]) -> None:
    hold_together(*stream)


@given(pipelines(), st.data())
@effort(60)
def test_equal_for_any_pipeline(pipeline: Pipeline, data: st.DataObject) -> None:
    hold_together(*data.draw(streams(pipeline)))


@given(st.integers(0, 2**32 - 1))
@effort(15)
def test_equal_over_long_streams(seed: int) -> None:
    hold_together(*batches_of(seed))


def batches_of(seed: int) -> tuple[Pipeline, list[Sequence[Event]]]:
    """A long stream, cut anyhow."""
    rng = Random(seed)
    pipeline = rng.choice([PIPELINE, MANY, BARE])
    stream = list(long_stream(rng, pipeline, rng.choice([50, 400]), keys=rng.choice([10, 300])))
    return pipeline, cut(stream, [rng.randrange(400) for _ in range(5)])


def long_stream(rng: Random, pipeline: Pipeline, length: int, keys: int, labels: int = 5) -> Iterator[Event]:
    """Events with wide and narrow values of one sign or of both, some of them said twice."""
    past: list[Event] = []
    signs = rng.choice([[-1], [1], [-1, 1]])
    for _ in range(length):
        if past and rng.random() < 0.2:
            yield rng.choice(past)
            continue
        content = DELETED
        if rng.random() < 0.9:
            leaf = tuple(
                rng.choice(["", "a" * rng.randrange(300), "é"]) + str(rng.randrange(labels)) for _ in pipeline.levels
            )
            content = Content(leaf, tuple(rng.choice(signs) * rng.choice(HALVES) for _ in pipeline.measures))
        key = str(rng.randrange(keys)) * rng.choice([1, 1, 5])
        past.append(Event(key, rng.randrange(4), content, filtered=content.deleted and rng.random() < 0.5))
        yield past[-1]


def test_sums_are_wider_than_64_bits() -> None:
    for sign in (-1, 1):
        stream = [Event(str(n), 0, Content(("a", "b", "c"), (sign * (MEASURE_LIMIT - 1), sign))) for n in range(60)]
        columnar = hold_together(
            PIPELINE, [*cut(stream, [7, 30]), [replace(e, version=1, content=DELETED) for e in stream[5:]]]
        )
        assert columnar.trees.totals()[2, ()] == (5, (5 * sign * (MEASURE_LIMIT - 1), 5 * sign))


@pytest.mark.parametrize("step", [2**31, 2**32 - 1, -1, 1 - 2**32])
def test_carries_between_the_halves_are_kept(step: int) -> None:
    stream = [Event(str(n), 0, Content(("a", "b", "c"), (step, -step))) for n in range(9)]
    columnar = hold_together(PIPELINE, [stream[:1], stream[1:4], stream[4:]])
    assert columnar.trees.totals()[0, ("a",)] == (9, (9 * step, -9 * step))


def test_versions_at_both_ends() -> None:
    versions = [VERSION_MIN, VERSION_MAX, VERSION_MIN, 0, VERSION_MAX, -1]
    stream = [Event("k", version, Content((), ())) for version in versions]
    assert hold_together(BARE, [stream]).states() == {"k": Stored(VERSION_MAX, Content((), ()))}


LABELS = ["", "\x00", "a", "aa", "b", "ab" * 200, "b" * 255, "b" * 256, "b" * 257, "\uffff", "\U00010000", "é", "z"]


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(LABELS, 2)))
def test_leaves_compare_by_the_bytes_of_their_labels(one: str, other: str) -> None:
    """Not by their lengths, which are written before them: a long label may be less than a short one."""
    for pair in [
        ((one, "", ""), (other, "", "")),
        (("x", one, "z"), ("x", other, "a")),
        ((one, other, ""), (other, one, "")),
    ]:
        stream = [Event("k", 1, Content(leaf, (0, 0))) for leaf in pair]
        state = hold_together(PIPELINE, [stream]).states()["k"]
        assert state.content.labels == max(pair, key=lambda leaf: [label.encode() for label in leaf])


def test_measures_compare_as_numbers() -> None:
    values = [0, -1, 1, -(2**32), 2**32, MEASURE_LIMIT - 1, 1 - MEASURE_LIMIT]
    contents = [Content(("a", "b", "c"), pair) for pair in itertools.product(values, values)]
    pairs = list(itertools.permutations(contents, 2))
    stream = [Event(str(n), 1, content) for n, pair in enumerate(pairs) for content in pair]
    states = hold_together(PIPELINE, [stream]).states()
    for n, pair in enumerate(pairs):
        assert states[str(n)].content == max(pair, key=lambda content: content.measures)


def test_outcomes_are_those_of_the_specification() -> None:
    """Every outcome occurs, so that equality above is about all of them."""
    leaf, less = Content(("b", "b", "b"), (1, 1)), Content(("a", "b", "b"), (9, 9))
    stream = [
        *[Event("k", 2, leaf), Event("k", 2, leaf), Event("k", 1, less), Event("k", 2, less), Event("k", 3, leaf)],
        *[
            Event("k", 3, DELETED),
            Event("k", 3, leaf),
            Event("k", 4, DELETED),
            Event("n", 0, DELETED),
            Event("n", 1, leaf),
            Event("n", 2, DELETED, filtered=True),
            Event("n", 2, DELETED),
            Event("f", 0, DELETED, filtered=True),
            Event("f", 0, leaf),
        ],
    ]
    changes = ColumnarForm(PIPELINE).step(stream).changes
    assert [change.outcome.name for change in changes] == [
        *["INSERTED", "DUPLICATE", "STALE", "CONFLICT_LOST", "CORRECTED"],
        *["CONFLICT_WON", "CONFLICT_LOST", "DELETED", "DELETED", "CORRECTED"],
        *["FILTERED", "DUPLICATE", "FILTERED", "CONFLICT_LOST"],
    ]
    hold_together(PIPELINE, [stream])


def test_records_that_are_no_events_are_passed_over() -> None:
    columnar, scalar = ColumnarForm(PIPELINE), ScalarForm(PIPELINE)
    stream = [Event(str(n % 3), n % 2, Content(("a", str(n), "c"), (n, n))) for n in range(12)]
    batch = batch_of(PIPELINE, stream)
    batch.leaf[::3] = NOT_AN_EVENT
    scalar.step([event for n, event in enumerate(stream) if n % 3])
    columnar.fold(batch)
    assert columnar.states() == scalar.states


def test_growth_through_many_doublings() -> None:
    rng = Random(7)
    columnar, scalar = ColumnarForm(PIPELINE), ScalarForm(PIPELINE)
    for size in (1, 200, 256, 257, 700, 1, 1_500):
        stream = list(long_stream(rng, PIPELINE, size, keys=40 * size, labels=2 * size))
        compare(scalar.step(stream), columnar.step(stream))
    assert columnar.state.count > 1_800


def test_large_arrays_grow_in_place() -> None:
    """Beyond some size rows and text are moved by realloc; what was there stays."""
    columnar, size = ColumnarForm(BARE), 2_000
    for first in range(0, 12 * size, size):
        keys = [f"{n}".rjust(2_048, "x") for n in range(first, first + size)]
        columnar.fold(batch_of(BARE, [Event(key, n, Content((), ())) for n, key in enumerate(keys)]))
    assert columnar.state.key(12 * size - 1) == str(12 * size - 1).rjust(2_048, "x")
    assert all(columnar.state.key(n).endswith(f"x{n}") for n in range(0, 12 * size, 1_001))
    again = columnar.fold(batch_of(BARE, [Event("5".rjust(2_048, "x"), 0, Content((), ()))]))
    assert again.counts == {Outcome.STALE: 1}


@pytest.mark.parametrize("hash32", [0, 1, 2**32 - 1, 2**31])
def test_keys_of_one_hash_are_kept_apart(hash32: int) -> None:
    """Also at the last slots, from where the probe goes on at the first."""
    rng = Random(hash32)
    stream = list(long_stream(rng, PIPELINE, 700, keys=200))
    for spread in (1, 3):
        columnar = ColumnarForm(PIPELINE, lambda key, spread=spread: (hash32 + len(key) % spread) % 2**32)
        scalar = ScalarForm(PIPELINE)
        for batch in cut(stream, [100, 300]):
            compare(scalar.step(batch), columnar.step(batch))


def colliding_keys() -> list[tuple[str, str]]:
    """Pairs of keys whose 32-bit hashes are equal, found by trying."""
    found, seen = [], {}
    for n in range(300_000):
        key = f"key-{n}"
        number = int(hash_bytes(read_only(np.frombuffer(key.encode(), np.uint8)), 0, len(key), FIXED_SEED))
        if number in seen:
            found.append((seen[number], key))
            if len(found) == 2:
                return found
        seen[number] = key
    raise AssertionError("no collision in 300,000 keys: the hash is not uniform")


def test_keys_that_truly_collide() -> None:
    pairs = colliding_keys()
    stream = [Event(key, version, Content((), ())) for version in (1, 0, 2) for pair in pairs for key in pair]
    columnar = hold_together(BARE, [stream, stream])
    assert restored(columnar).states() == columnar.states()


def restored(columnar: ColumnarForm, pieces: int = 1) -> ColumnarForm:
    """A columnar form made anew from what a store would hold of this one."""
    twin = ColumnarForm(columnar.pipeline)
    state = columnar.state
    keys = pa.array([state.key(row).encode() for row in range(state.count)], pa.large_binary())
    for piece in np.array_split(np.arange(state.count), pieces):
        if len(piece):
            twin.state.add_keys(keys.slice(piece[0], len(piece)))
    twin.state.set_states(0, state.states(0, state.count))
    nothing = columnar.trees.apply(_nothing(columnar), columnar.nodes)[1]
    twin.trees.restore(columnar.leaves, nothing)
    twin.nodes, twin.leaves, twin.keys = columnar.nodes.copy(), columnar.leaves.copy(), columnar.keys.copy()
    twin._totals = columnar._totals.copy()
    return twin


def _nothing(columnar: ColumnarForm) -> Any:
    return columnar.fold(batch_of(columnar.pipeline, [])).accumulated


@given(streams(), st.integers(1, 4), st.data())
@effort(80)
def test_what_is_restored_goes_on_as_before(
    stream: tuple[Pipeline, list[Sequence[Event]]], pieces: int, data: st.DataObject
) -> None:
    pipeline, batches = stream
    scalar = ScalarForm(pipeline)
    columnar = hold_together(pipeline, batches, scalar)
    twin = restored(columnar, pieces)
    assert twin.states() == columnar.states()
    assert twin.trees.totals() == columnar.trees.totals()
    for batch in data.draw(streams(pipeline))[1]:
        compare(scalar.step(batch), twin.step(batch))


def test_a_restored_index_grows_too() -> None:
    scalar = ScalarForm(PIPELINE)
    first, second = (list(long_stream(Random(seed), PIPELINE, 1_500, keys=2_000)) for seed in (1, 2))
    twin = restored(hold_together(PIPELINE, [first], scalar), pieces=3)
    compare(scalar.step(second), twin.step(second))


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_states_are_copies(rows: int) -> None:
    """A page of a snapshot is written while the next batch is folded; one row of it is a column as well."""
    columnar = ColumnarForm(PIPELINE)
    stream = [Event(str(n), 1, Content(("a", "b", "c"), (n, -n))) for n in range(rows)]
    columnar.step(stream)
    states = columnar.state.states(0, 10)
    before = (states.version.tolist(), states.leaf.tolist(), states.measures.tolist())
    columnar.step([replace(event, version=2, content=Content(("d", "e", "f"), (99, 99))) for event in stream])
    assert (states.version.tolist(), states.leaf.tolist(), states.measures.tolist()) == before
    assert states.measures.flags.c_contiguous


def test_states_of_some_rows() -> None:
    columnar = ColumnarForm(PIPELINE)
    columnar.step([Event(str(n), n, Content(("a", "b", "c"), (n, -n))) for n in range(10)])
    assert columnar.state.states(3, 5).version.tolist() == [3, 4]
    assert columnar.state.states(8, 99).measures.tolist() == [[8, 9], [-8, -9]]
    assert len(columnar.state.states(10, 20).version) == 0


def test_an_empty_state_is_restored_empty() -> None:
    state = KeyedState(1)
    state.add_keys(pa.array([], pa.large_binary()))
    state.set_states(0, state.states(0, 0))
    assert state.count == 0


@given(st.lists(st.lists(st.sampled_from(LABELS), max_size=3).map(tuple), max_size=30), st.integers(0, 30))
@effort(100)
def test_leaves_are_numbered_in_order_of_first_appearance(leaves: list[tuple[str, ...]], at: int) -> None:
    table, seen = InternTable(), []
    for part in (leaves[:at], leaves[at:]):
        encoded = [encode_leaf(leaf) for leaf in part]
        offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
        codes = table.intern(Leaves(np.frombuffer(b"".join(encoded), np.uint8), offsets))
        seen += [text for text in dict.fromkeys(encoded) if text not in seen]
        assert [seen[code] for code in codes] == encoded
    assert [table.text(number) for number in range(table.count)] == seen


# Planted bugs: the comparison above must distinguish a wrong fold from the right one.


def stale_accepted(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    return Outcome.CORRECTED if stored else Outcome.INSERTED, Stored(event.version, event.content)


def conflict_by_arrival(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    outcome, after = core.fold(stored, event)
    if outcome is Outcome.CONFLICT_LOST:
        return Outcome.CONFLICT_WON, Stored(event.version, event.content)
    return outcome, after


def conflict_by_length(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    outcome, after = core.fold(stored, event)
    if stored is None or outcome not in {Outcome.CONFLICT_WON, Outcome.CONFLICT_LOST}:
        return outcome, after
    won = _by_length(event.content) > _by_length(stored.content)
    return (Outcome.CONFLICT_WON, Stored(event.version, event.content)) if won else (Outcome.CONFLICT_LOST, stored)


def _by_length(content: Content) -> tuple[Any, ...]:
    labels = () if content.labels is None else content.labels
    return content.deleted, [(len(label.encode()), label.encode()) for label in labels], content.measures


def conflict_as_duplicate(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    outcome, after = core.fold(stored, event)
    return (Outcome.DUPLICATE if outcome is Outcome.CONFLICT_LOST else outcome), after


def delete_forgets_version(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    if stored is not None and stored.content.deleted and not event.content.deleted:
        return Outcome.CORRECTED, Stored(event.version, event.content)
    return core.fold(stored, event)


def delete_as_correction(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    outcome, after = core.fold(stored, event)
    return (Outcome.CORRECTED if outcome is Outcome.DELETED and stored else outcome), after


def old_leaf_not_retracted(pipeline: Pipeline, changes: Any) -> Any:
    pairs = list(changes)
    moved = [(b, a) for b, a in pairs if b and a and not a.content.deleted and b.content.labels != a.content.labels]
    return core.net(pipeline, [(None if pair in moved else pair[0], pair[1]) for pair in pairs])


def delete_not_retracted(pipeline: Pipeline, changes: Any) -> Any:
    return core.net(pipeline, [(None if a and a.content.deleted else b, a) for b, a in changes])


def sums_of_64_bits(one: Total, other: Total) -> Total:
    wide = one + other
    return Total(wide.count, tuple((value + 2**63) % 2**64 - 2**63 for value in wide.sums))


def carry_dropped(one: Total, other: Total) -> Total:
    pairs = zip(one.sums, other.sums, strict=True)
    halves = [((a >> 32) + (b >> 32), (a + b) % 2**32) for a, b in pairs]
    return Total(one.count + other.count, tuple((high << 32) + low for high, low in halves))


def float_sums(one: Total, other: Total) -> Total:
    pairs = zip(one.sums, other.sums, strict=True)
    return Total(one.count + other.count, tuple(int(float(a) + float(b)) for a, b in pairs))


PLANTED = [
    *({"fold": wrong} for wrong in (stale_accepted, conflict_by_arrival, conflict_by_length, conflict_as_duplicate)),
    *({"fold": wrong} for wrong in (delete_forgets_version, delete_as_correction)),
    *({"net": wrong} for wrong in (old_leaf_not_retracted, delete_not_retracted)),
    *({"add": wrong} for wrong in (sums_of_64_bits, carry_dropped, float_sums)),
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: next(iter(planted.values())).__name__)
def test_planted_bugs_are_caught(planted: dict[str, Any]) -> None:
    def differs(pipeline: Pipeline, batches: list[Sequence[Event]]) -> bool:
        try:
            hold_together(pipeline, batches, ScalarForm(pipeline, **planted))
        except AssertionError:
            return True
        return False

    assert any(differs(*batches_of(seed)) for seed in range(15)), "no stream shows the bug"


def test_the_reference_says_the_same() -> None:
    stream = list(long_stream(Random(3), PIPELINE, 400, keys=50))
    columnar = hold_together(PIPELINE, cut(stream, [10, 200]))
    assert columnar.states() == {k: Stored(e.version, e.content) for k, e in reference.winners(stream).items()}
