"""A rebuild makes the totals of the keys whatever happens to it, and beside whatever events come meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.aws.functions import layout
from oncefold.aws.functions.epochs import EPOCH_SECONDS, EpochCache, Epochs
from oncefold.aws.functions.guard import definition_item
from oncefold.aws.functions.layout import Delta
from oncefold.aws.functions.plan import Change, chunks
from oncefold.aws.functions.reduce import ReduceFunction
from oncefold.aws.operations.rebuild import SILENCE_SECONDS, Machine
from oncefold.aws.operations.rebuild_item import DRAIN, FIRST, RebuildTakenError, UnderWay
from oncefold.core.errors import OncefoldError
from oncefold.core.event import DELETED, Content
from oncefold.core.fold import Node, Stored, Total, net
from oncefold.dynamodb import items
from tests.aws.functions.stacks import PIPELINE, Interposed
from tests.aws.functions.test_plan import check_chunk
from tests.aws.functions.worlds import PIPELINES, contents
from tests.aws.operations.rebuilt import GRACE, MORE, SOME, RebuiltStack, decoded
from tests.tools import reference
from tests.tools.sizes import examples, sized


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def stack() -> RebuiltStack:
    made = RebuiltStack.make()
    made.send(SOME)
    made.reduce()
    return made


def test_totals_that_are_wrong_are_right_again(stack: RebuiltStack) -> None:
    for item in stack.scan(stack.names.aggregate_table):
        if layout.node_epoch(item) is not None:
            stack.client.put_item(TableName=stack.names.aggregate_table, Item={**item, "value": {"N": "1"}})
    found = stack.rebuild()
    assert (found.switched, found.resumed, found.keys, found.brought_in) == (True, False, 4, 4)
    assert found.deleted == len(reference.totals(PIPELINE, decoded(SOME)))
    stack.check_exact(decoded(SOME))
    assert set(stack.marks().values()) == {found.epoch}
    assert "rebuild" not in stack.definition()
    assert {layout.node_epoch(item) for item in stack.scan(stack.names.aggregate_table)} == {None, found.epoch}


def test_it_waits_for_functions_and_again_before_it_deletes(stack: RebuiltStack) -> None:
    began = stack.time.now
    stack.rebuild()
    assert 2 * GRACE <= stack.time.now - began < 2 * GRACE + 5


def test_a_second_rebuild_has_a_later_epoch_and_the_same_totals(stack: RebuiltStack) -> None:
    first = stack.rebuild()
    stack.send(MORE)
    second = stack.rebuild()
    assert second.epoch > first.epoch
    stack.check_exact(decoded([*SOME, *MORE]))


class Beside:
    """A client of a rebuild beside whose calls other things happen, one after another, in one of the phases."""

    def __init__(self, stack: RebuiltStack, work: list[Callable[[], object]], every: int = 1) -> None:
        self._stack, self._work, self._every, self._calls, self._busy = stack, list(work), every, 0, False

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self._calls += 1
            if not self._busy and self._work and self._calls % self._every == 0:
                self._busy = True
                self._work.pop(0)()
                self._stack.check_all_epochs()
                self._busy = False
            return getattr(self._stack.client, operation)(**request)

        return call


@pytest.mark.parametrize("every", [1, 2, 3, 5, 8, 13, 21, 34])
@pytest.mark.parametrize("fresh", [True, False])
def test_events_go_on_and_count_once(stack: RebuiltStack, every: int, *, fresh: bool) -> None:
    """Beside each call of the rebuild: functions that know of it, or do not yet, reducers, the sweeper."""
    cache = None if fresh else stack.environment()
    if cache is not None:
        stack.send([], cache)

    def send(event: str) -> Callable[[], object]:
        return lambda: stack.send([event], stack.environment() if fresh else cache)

    work: list[Callable[[], object]] = []
    for event in MORE:
        work += [send(event), stack.reduce, send(event), stack.sweep]
    stack.rebuild(Beside(stack, work, every))
    for left in work:
        left()
    stack.reduce()
    stack.check_exact(decoded([*SOME, *MORE]))


def crashing(stack: RebuiltStack, at: int, *, after: bool) -> Interposed:
    calls = iter(range(1_000_000))

    def die(_: str) -> None:
        if next(calls) == at:
            raise Crash

    return Interposed(stack.client, after=die) if after else Interposed(stack.client, before=die)


@pytest.mark.parametrize("after", [False, True])
def test_every_call_may_be_the_last_one(*, after: bool) -> None:
    """The rebuild ends at each of its calls in turn; the same command goes on, and events come between."""
    for at in range(0, 400, sized(4, 1)):
        stack = RebuiltStack.make()
        stack.send(SOME)
        try:
            stack.rebuild(crashing(stack, at, after=after))
        except Crash:
            pass
        else:
            break
        stack.check_all_epochs()
        stack.send(MORE[:2], stack.environment())
        stack.check_all_epochs()
        found = stack.rebuild()
        assert found.resumed or found.switched
        stack.send(MORE[2:])
        stack.reduce()
        stack.check_exact(decoded([*SOME, *MORE]))
    assert 30 < at < 400


def test_a_run_that_crashes_at_every_second_call_gets_through(stack: RebuiltStack) -> None:
    """Beats in long waits are calls, too: each run gets a little further."""
    for runs in range(1, 100):
        try:
            stack.rebuild(crashing(stack, 25 + 3 * runs, after=True))
        except Crash:
            continue
        break
    assert runs > 2
    stack.reduce()
    stack.check_exact(decoded(SOME))


def interrupted_in(stack: RebuiltStack, phase: str) -> None:
    """A rebuild that gets Ctrl-C when it is in a phase."""

    def interrupt(_: str) -> None:
        under = UnderWay.of(stack.definition())
        if under is not None and under.phase == phase and under.owner:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stack.rebuild(Interposed(stack.client, after=interrupt))


@pytest.mark.parametrize("phase", [FIRST, "final", DRAIN, "delete"])
def test_ctrl_c_loses_nothing(stack: RebuiltStack, phase: str) -> None:
    interrupted_in(stack, phase)
    under = UnderWay.of(stack.definition())
    assert under is not None
    began = stack.time.now
    found = stack.rebuild()
    assert found.resumed
    assert (found.epoch, found.switched) == (under.epoch, phase != "delete")
    assert stack.time.now - began < 2 * GRACE + SILENCE_SECONDS + 5
    stack.check_exact(decoded(SOME))


def test_keys_that_are_done_are_not_read_again(stack: RebuiltStack) -> None:
    """The place in each segment is kept in the tables."""
    scans: list[dict[str, Any]] = []

    class Counted:
        def __getattr__(self, operation: str) -> Any:
            return getattr(stack.client, operation)

        def scan(self, **request: Any) -> Any:
            scans.append(request)
            return stack.client.scan(**{**request, "Limit": 1} if "state" in request["TableName"] else request)

    def interrupt(_: str) -> None:
        if len(scans) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stack.rebuild(Interposed(Counted(), before=interrupt), segments=1)
    scans.clear()
    stack.rebuild(Counted(), segments=1)
    assert "ExclusiveStartKey" in scans[0]
    stack.check_exact(decoded(SOME))


def test_another_process_that_lives_is_left_alone(stack: RebuiltStack) -> None:
    interrupted_in(stack, FIRST)
    under = UnderWay.of(stack.definition())
    assert under is not None
    stack.set_under_way(replace(under, owner="first"))

    def beating(seconds: float) -> None:
        """Time passes for both, and the first process shows that it lives."""
        stack.time.sleep(seconds)
        now = UnderWay.of(stack.definition())
        assert now is not None
        stack.set_under_way(replace(now, beat=now.beat + 1))

    other = stack.process(owner="second")
    other._machine = Machine(stack.time.read, stack.time.read, beating, lambda: 0.5, map)
    with pytest.raises(RebuildTakenError, match=r"another process is driving a rebuild .* `first`"):
        other.run(2)
    assert stack.rebuild().resumed, "one that is silent is taken for gone"
    stack.check_exact(decoded(SOME))


def test_a_process_whose_place_was_taken_ends(stack: RebuiltStack) -> None:
    """One that was paused for long wakes up, and finds that another one went on."""
    taken: list[bool] = []

    def take(operation: str) -> None:
        if operation == "transact_write_items" and not taken:
            taken.append(True)
            stack.time.now += 3600
            stack.rebuild()

    with pytest.raises(RebuildTakenError, match="it has just ended"):
        stack.rebuild(Interposed(stack.client, before=take))
    assert taken
    stack.reduce()
    stack.check_exact(decoded(SOME))


@pytest.mark.parametrize("abandon", [False, True])
def test_a_process_that_was_held_up_begins_no_earlier_epoch(stack: RebuiltStack, *, abandon: bool) -> None:
    """It read that none is under way; before it writes so, another one is begun, and ends or is given up."""
    passed: list[bool] = []

    def another(operation: str) -> None:
        if operation == "update_item" and not passed:
            passed.append(True)
            stack.time.now += 300
            if abandon:
                interrupted_in(stack, "final")
            stack.rebuild(abandon=abandon)

    with pytest.raises(RebuildTakenError, match="it has just ended"):
        stack.rebuild(Interposed(stack.client, before=another))
    stack.send(MORE)
    stack.rebuild()
    stack.check_exact(decoded([*SOME, *MORE]))


def test_one_that_is_given_up_leaves_the_totals_as_they_are(stack: RebuiltStack) -> None:
    interrupted_in(stack, DRAIN)
    found = stack.rebuild(abandon=True)
    assert (found.switched, stack.epochs()) == (False, Epochs())
    assert found.deleted == 0, "nothing was drained yet"
    stack.check_exact(decoded(SOME))
    stack.send(MORE)
    stack.rebuild()
    stack.check_exact(decoded([*SOME, *MORE]))
    with pytest.raises(OncefoldError, match="no rebuild is under way"):
        stack.rebuild(abandon=True)


def test_anew_begins_another_epoch(stack: RebuiltStack) -> None:
    interrupted_in(stack, DRAIN)
    before = UnderWay.of(stack.definition())
    found = stack.rebuild(anew=True)
    assert before is not None
    assert found.epoch > before.epoch
    assert not found.resumed
    stack.check_exact(decoded(SOME))


def test_states_of_before_beside_deltas_of_it_are_found_out(stack: RebuiltStack) -> None:
    """As when StateTable is restored to an earlier moment than the outbox: to go on would count keys twice."""
    before = stack.scan(stack.names.state_table)
    interrupted_in(stack, "final")
    for item in before:
        stack.client.put_item(TableName=stack.names.state_table, Item=item)
    with pytest.raises(OncefoldError, match=r"restored to different moments .*; run this with --anew"):
        stack.rebuild()
    assert stack.rebuild(anew=True).switched
    stack.check_exact(decoded(SOME))


def test_tables_of_functions_that_know_no_epochs_are_refused(stack: RebuiltStack) -> None:
    old = {name: value for name, value in definition_item(PIPELINE).items() if name != "epoch"}
    stack.client.put_item(TableName=stack.names.aggregate_table, Item=old)
    with pytest.raises(OncefoldError, match=r"a version that knows no rebuild.* oncefold aws deploy"):
        stack.rebuild()


def test_a_clock_that_is_behind_is_found_out(stack: RebuiltStack) -> None:
    """Keys with marks of the future, and a definition that knows nothing of it, as after a restore of one table."""
    stack.rebuild()
    stack.client.put_item(TableName=stack.names.aggregate_table, Item=definition_item(PIPELINE))
    stack.time.now -= 3600
    with pytest.raises(OncefoldError, match=r"keys of an epoch later than .* the clock"):
        stack.rebuild()
    stack.time.now += 7200
    stack.rebuild(anew=True)
    stack.check_exact(decoded(SOME))


def test_a_delta_that_dynamodb_refuses_keeps_the_old_totals(stack: RebuiltStack) -> None:
    full = items.number(10**38 - 1, 2)

    def fill(operation: str) -> None:
        epoch = stack.epochs().building
        if operation == "transact_write_items" and epoch is not None:
            key = layout.node_key(PIPELINE, Node(0), epoch)
            item = {**key, "count": {"N": "0"}, "value": full}
            stack.client.put_item(TableName=stack.names.aggregate_table, Item=item)

    with pytest.raises(OncefoldError, match="refuses deltas of the new totals"):
        stack.rebuild(Interposed(stack.client, before=fill))
    assert stack.epochs().live == 0
    stack.rebuild(abandon=True)
    stack.check_exact(decoded(SOME))


# what functions do


def test_a_function_that_does_not_know_of_it_never_takes_a_mark_away(stack: RebuiltStack) -> None:
    old = stack.environment()
    stack.send([], old)
    interrupted_in(stack, "final")
    stack.send(MORE[:1], old)  # key a has the new mark: the epochs are read again
    stack.check_all_epochs()
    epoch = stack.epochs().building
    assert stack.marks()["a"] == epoch
    stack.rebuild()
    stack.reduce()
    stack.check_exact(decoded([*SOME, *MORE[:1]]))


def test_what_a_function_wrote_in_ignorance_is_brought_in_by_the_same_record(stack: RebuiltStack) -> None:
    """A zombie, frozen before its write since before the rebuild, goes on when all is over; its record comes again."""

    def freeze(operation: str) -> None:
        if operation == "transact_write_items" and stack.epochs().live == 0:
            stack.rebuild()
            stack.time.now += 60

    stack.send(MORE[1:2], client=Interposed(stack.client, before=freeze))
    assert stack.epochs().live > 0
    assert stack.marks()["e"] == 0
    stack.reduce()
    stack.check_all_epochs()
    stack.send(MORE[1:2])
    assert stack.marks()["e"] == stack.epochs().live
    stack.reduce()
    stack.check_exact(decoded([*SOME, MORE[1]]))


def test_a_zombie_of_a_known_key_is_refused(stack: RebuiltStack) -> None:
    def freeze(operation: str) -> None:
        if operation == "transact_write_items" and stack.epochs().live == 0:
            stack.rebuild()

    stack.send(MORE[:1], client=Interposed(stack.client, before=freeze))
    stack.reduce()
    stack.check_exact(decoded([*SOME, *MORE[:1]]))


def test_epochs_are_known_for_a_while(stack: RebuiltStack) -> None:
    cache, dynamo = stack.environment(), stack.dynamo()
    assert cache.current(dynamo) == Epochs()
    interrupted_in(stack, FIRST)
    assert cache.current(dynamo) == Epochs()
    stack.time.now += EPOCH_SECONDS
    assert cache.current(dynamo).building is not None


def test_a_clock_that_is_set_back_makes_them_old() -> None:
    stack = RebuiltStack.make()
    wall, clock = [100.0], [100.0]
    cache = EpochCache(stack.names, lambda: wall[0], lambda: clock[0])
    cache.current(stack.dynamo())
    stack.client.put_item(
        TableName=stack.names.aggregate_table, Item={**definition_item(PIPELINE), "epoch": {"N": "7"}}
    )
    for change in ([99.0, 100.0], [100.0 + EPOCH_SECONDS, 100.0], [100.0, 100.0 + EPOCH_SECONDS]):
        cache = EpochCache(stack.names, lambda: wall[0], lambda: clock[0])
        cache._known = (100.0, 100.0, Epochs())
        wall[0], clock[0] = change
        assert cache.current(stack.dynamo()) == Epochs(7)


def test_without_a_rebuild_nothing_more_is_written(stack: RebuiltStack) -> None:
    """No attribute, no write, and one read in half a minute."""
    calls: list[str] = []
    cache = stack.environment()
    for _ in range(5):
        stack.send(MORE, cache, Interposed(stack.client, before=calls.append))
    assert calls.count("get_item") == 1
    assert set(calls) == {"get_item", "batch_get_item", "transact_write_items"}
    assert all("epoch" not in item for item in stack.scan(stack.names.state_table))
    assert all("epoch" not in item for item in stack.scan(stack.names.reduce_table))


def test_deltas_come_twice_and_count_once(stack: RebuiltStack) -> None:
    """Stream records of both epochs, again and again, in any order, beside the rebuild and after it."""
    seen: dict[str, Delta] = {}

    def again(operation: str) -> None:
        if operation == "transact_write_items":
            seen.update((delta.id, delta) for delta in stack.outbox())
            ReduceFunction(PIPELINE, stack.names, stack.dynamo()).apply(seen.values())

    client = Interposed(stack.client, after=again)
    stack.send(MORE[:2], stack.environment(), client)
    stack.rebuild(client)
    stack.send(MORE[2:], stack.environment(), client)
    assert len({delta.epoch for delta in seen.values()}) == 2
    ReduceFunction(PIPELINE, stack.names, stack.dynamo()).apply(seen.values())
    stack.check_exact(decoded([*SOME, *MORE]))


# the plan


def marked(pipeline: Any, most: int = 120) -> st.SearchStrategy[list[Change]]:
    labels = st.text(st.sampled_from("abcdef"), min_size=1, max_size=3)
    stored = st.builds(Stored, st.integers(0, 5), contents(pipeline, labels))
    marks = st.sampled_from([0, 5, 9])
    return st.lists(st.tuples(st.none() | stored, stored, marks), max_size=most).map(
        lambda some: [Change(f"k{n}", before, after, mark) for n, (before, after, mark) in enumerate(some)]
    )


@settings(deadline=None, max_examples=examples(40))
@given(st.data(), st.sampled_from(PIPELINES))
def test_chunks_hold_the_net_of_both_epochs(data: st.DataObject, pipeline: Any) -> None:
    changes = data.draw(marked(pipeline))
    epochs = Epochs(5, 9)
    planned = list(chunks(pipeline, changes, epochs))
    assert [change for chunk in planned for change in chunk.changes] == changes
    for chunk in planned:
        check_chunk(pipeline, chunk)
        for epoch in epochs.kept:
            sums: dict[Node, Total] = {}
            for delta in chunk.deltas:
                if delta.epoch == epoch:
                    for node, total in delta.nodes:
                        sums[node] = sums[node] + total if node in sums else total
            pairs = [(c.before if c.mark >= epoch else None, c.after) for c in chunk.changes]
            assert sums == net(pipeline, pairs)
    ids = [delta.id for chunk in planned for delta in chunk.deltas]
    assert len(set(ids)) == len(ids)


def test_the_name_of_a_delta_says_its_epoch_and_the_rebuild() -> None:
    change = Change("k", None, Stored(1, Content(("t", "d"), (1,))))
    names = {
        delta.id
        for epochs in (Epochs(), Epochs(0, 7), Epochs(7), Epochs(7, 9))
        for delta in next(chunks(PIPELINE, [change], epochs)).deltas
    }
    assert len(names) == 5  # live, live beside a rebuild, that of the rebuild, live beside the next, that of the next


def test_a_deleted_key_is_marked_and_counts_nowhere(stack: RebuiltStack) -> None:
    assert stack.states()["b"].content == DELETED
    found = stack.rebuild()
    assert stack.marks()["b"] == found.epoch
