"""A rebuild under a new definition: what definition an epoch has, for functions that know it or do not."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from oncefold.aws.functions import layout
from oncefold.aws.functions.epochs import EpochCache
from oncefold.aws.functions.guard import ECONOMY, MODES, check_definition
from oncefold.aws.functions.plan import refusal
from oncefold.aws.functions.reduce import ReduceFunction
from oncefold.aws.functions.sweep import sweep
from oncefold.aws.operations.rebuild import Rebuilt
from oncefold.aws.operations.rebuild_item import DRAIN, FIRST, RebuildTakenError, UnderWay
from oncefold.aws.reader.reader import StackOptions, StackReader
from oncefold.core.definition import Pipeline
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, OncefoldError
from oncefold.core.fold import Stored, net
from oncefold.core.view import view_of
from tests.aws.functions.stacks import PIPELINE, Interposed
from tests.aws.operations.rebuilt import MORE, SOME, RebuiltStack, decoded
from tests.tools import reference

NEW = parse_toml(
    to_toml(PIPELINE).replace("[measures]\n", 'types = ["type"]\n[measures]\n')
    + '\nmean = { avg = "value", scale = 2 }\n'
)
WIDER = parse_toml(to_toml(PIPELINE).replace('missing = "reject"', 'missing = "zero"'))


class RedefinedStack(RebuiltStack):
    """Its functions are those of the first definition throughout."""

    def redefine(self, client: object = None, definition: Pipeline | None = NEW, **how: bool) -> Rebuilt:
        return self.process(client, f"{self.time.now}", definition).run(2, **how)

    def reduce_by(self, cache: EpochCache | None = None) -> None:
        self.net(cache)
        items = self.scan(self.names.reduce_table)
        ReduceFunction(PIPELINE, self.names, self.dynamo(), cache or self.environment()).apply_items(items)

    def check(self, definition: Pipeline, events: list[str]) -> None:
        """The totals are those of a definition, and the outbox holds nothing for them."""
        live = self.epochs().live
        waiting = [item for item in self.scan(self.names.reduce_table) if layout.epoch_of(item) == live]
        assert waiting == []
        found = [item for item in self.scan(self.names.aggregate_table) if layout.node_epoch(item) == live]
        totals = dict(layout.parse_node(definition, item) for item in found)
        view = view_of(PIPELINE, definition)
        seen = [(None, view.stored(state)) for state in self.winners(events)]
        reference.assert_equal(net(definition, seen), {n: t for n, t in totals.items() if t}, definition)

    def winners(self, events: list[str]) -> list[Stored]:
        made = RebuiltStack.make()
        made.send(events)
        return list(made.states().values())


@pytest.fixture(params=MODES)
def stack(request: pytest.FixtureRequest) -> RedefinedStack:
    made = RedefinedStack.make(request.param)
    made.send(SOME)
    made.reduce_by()
    return made


def test_the_totals_are_those_of_the_new_definition_from_the_switch_on(stack: RedefinedStack) -> None:
    found = stack.redefine()
    assert (found.switched, found.brought_in) == (True, 4)
    stack.check(NEW, SOME)
    item = stack.definition()
    assert (item["toml"]["S"], item["kept"]["S"]) == (to_toml(NEW), to_toml(PIPELINE))
    assert set(item["fingerprints"]["SS"]) == {NEW.fingerprint, PIPELINE.fingerprint}
    stack.send(MORE)
    stack.send(MORE)
    stack.reduce_by()
    stack.check(NEW, [*SOME, *MORE])


@pytest.mark.parametrize("every", [1, 3, 8, 21])
@pytest.mark.parametrize("fresh", [True, False])
def test_events_go_on_beside_it_whoever_knows_of_it(stack: RedefinedStack, every: int, *, fresh: bool) -> None:
    """Functions, reducers and the sweeper of environments that know the definitions, or do not yet."""
    old = stack.environment()
    stack.send([], old)
    calls = iter(range(1_000_000))
    busy: list[bool] = []

    def sweeping() -> None:
        epochs = stack.environment()
        sweep(PIPELINE, stack.names, stack.dynamo(), stack.time.read, 0.0, epochs=epochs)

    def send(event: str) -> Callable[[], object]:
        return lambda: stack.send([event], stack.environment() if fresh else old)

    work: list[Callable[[], object]] = []
    for event in MORE:
        work += [send(event), lambda: stack.reduce_by(None if fresh else old), send(event), sweeping]

    def beside(_: str) -> None:
        if next(calls) % every == 0 and work and not busy:
            busy.append(True)
            work.pop(0)()
            busy.clear()

    stack.redefine(Interposed(stack.client, before=beside))
    for left in work:
        left()
    stack.reduce_by()
    stack.check(NEW, [*SOME, *MORE])


def test_the_second_new_definition_is_made_of_the_same_states(stack: RedefinedStack) -> None:
    stack.redefine()
    other = replace(NEW, rollups=NEW.rollups[:1], measures=NEW.measures[:1])
    stack.redefine(definition=other)
    stack.send(MORE)
    stack.reduce_by()
    stack.check(other, [*SOME, *MORE])
    assert stack.definition()["kept"]["S"] == to_toml(PIPELINE)
    assert stack.rebuild().switched, "and a plain one keeps the definition"
    stack.check(other, [*SOME, *MORE])


def test_one_that_is_given_up_leaves_no_trace_in_the_totals(stack: RedefinedStack) -> None:
    def interrupt(_: str) -> None:
        under = UnderWay.of(stack.definition())
        if under is not None and under.phase == DRAIN:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stack.redefine(Interposed(stack.client, after=interrupt))
    stack.send(MORE, stack.environment())
    stack.rebuild(abandon=True)
    stack.reduce_by()
    stack.check(PIPELINE, [*SOME, *MORE])
    assert "kept" not in stack.definition()


def test_deltas_of_an_epoch_that_there_is_no_more_are_dropped(stack: RedefinedStack) -> None:
    """A reducer that held them back for long has another definition now, and nobody needs what they say."""
    stack.send(MORE)
    stack.net()
    late = stack.scan(stack.names.reduce_table)
    assert late
    stack.redefine()
    for item in late:
        stack.client.put_item(TableName=stack.names.reduce_table, Item=item)
    stack.reduce_by(stack.cache)
    assert stack.scan(stack.names.reduce_table) == []
    stack.check(NEW, [*SOME, *MORE])


def test_it_goes_on_under_its_own_definition(stack: RedefinedStack) -> None:
    def interrupt(_: str) -> None:
        under = UnderWay.of(stack.definition())
        if under is not None and under.phase == FIRST and under.owner:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stack.redefine(Interposed(stack.client, after=interrupt))
    other = replace(NEW, rollups=NEW.rollups[:2])
    with pytest.raises(OncefoldError, match="under another definition is under way; go on with it without --defin"):
        stack.redefine(definition=other)
    assert stack.redefine(definition=None).resumed
    stack.check(NEW, SOME)
    with pytest.raises(KeyboardInterrupt):
        stack.rebuild(Interposed(stack.client, after=interrupt))
    with pytest.raises(OncefoldError, match="under the definition that the stack has is under way"):
        stack.redefine(definition=other)
    assert not stack.redefine(definition=other, anew=True).resumed
    stack.check(other, SOME)


def test_functions_that_know_no_definitions_of_epochs_are_refused(stack: RedefinedStack) -> None:
    old = {name: value for name, value in stack.definition().items() if name != "protocol"}
    stack.client.put_item(TableName=stack.names.aggregate_table, Item=old)
    with pytest.raises(OncefoldError, match="deploy the definition that it has first"):
        stack.redefine()
    assert stack.rebuild().switched


def test_functions_of_either_zip_keep_states_under_the_first_definition(stack: RedefinedStack) -> None:
    assert check_definition(PIPELINE, stack.names, stack.client, stack.mode) == PIPELINE
    with pytest.raises(DefinitionError, match="made under another definition"):
        check_definition(NEW, stack.names, stack.client, stack.mode)
    stack.redefine()
    assert check_definition(NEW, stack.names, stack.client, stack.mode) == PIPELINE
    assert check_definition(PIPELINE, stack.names, stack.client, stack.mode) == PIPELINE
    with pytest.raises(DefinitionError, match="made under another definition"):
        check_definition(WIDER, stack.names, stack.client, stack.mode)


def opened(stack: RedefinedStack, **options: bool) -> StackReader:
    return StackReader(stack.opened(), StackOptions(**options))


def test_queries_read_the_new_totals_and_what_keys_contribute_to_them(stack: RedefinedStack) -> None:
    before = opened(stack)
    assert before.query(rollup="risk").rows[0].sums.keys() == {"value"}
    stack.redefine()
    with pytest.raises(OncefoldError, match="its definition was replaced since it was opened; query again"):
        before.query(rollup="risk")
    reader = opened(stack)
    assert reader.verify().exact
    assert [(row.path, row.count, str(row.sums["mean"])) for row in reader.query(rollup="types")] == [
        ("", 3, "3.52"), ("\\e", 1, "0.07"), ("Delta", 1, "10.50"), ("PV", 1, "-0.01"),
    ]  # fmt: skip
    assert [key.key for key in reader.explain("Delta", rollup="types").rows] == ["a"]
    stack.send(MORE)
    exact = opened(stack, exact=True)
    assert [(row.path, row.count, str(row.sums["mean"])) for row in exact.query(rollup="types")] == [
        ("", 4, "3.52"), ("\\e", 1, "0.07"), ("PV", 3, "4.67"),
    ]  # fmt: skip
    assert exact.verify().exact


@pytest.mark.parametrize("mode", MODES)
def test_a_key_that_the_new_definition_cannot_hold_keeps_the_old_totals(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function leaves such a key behind, and rejects such an event while the rebuild is under way."""
    stack = RedefinedStack.make(mode)
    monkeypatch.setattr("oncefold.aws.functions.plan.EVENT_NODES", 6)
    wanted = parse_toml(to_toml(PIPELINE).replace("[measures]\n", 'types = ["type"]\n[measures]\n'))
    stack.send(SOME)
    stack.reduce_by()
    with pytest.raises(OncefoldError, match=r"the key '.' could not be held: its 7 nodes.*--abandon"):
        stack.redefine(definition=wanted)
    cache = stack.environment()
    folded = stack.send([MORE[0], SOME[2]], cache)
    assert folded.unfinished is None
    reasons = [item["reason"]["S"] for item in stack.rejects("reject")]
    assert reasons == ["its 7 nodes do not fit one transaction, which takes up to 6"] * 2
    assert set(stack.marks().values()) == {0}
    stack.rebuild(abandon=True)
    stack.check(PIPELINE, SOME)


def held_too_much(stack: RedefinedStack, wanted: Pipeline) -> list[str]:
    """Keys that were brought into a new epoch, and that its definition cannot hold."""
    epoch = stack.epochs().building
    found = [layout.parse_marked(PIPELINE, item) for item in stack.scan(stack.names.state_table)]
    return [
        key for key, state in found if epoch and state.mark >= epoch and refusal(wanted, key, state.stored) is not None
    ]


@pytest.mark.parametrize("announced", [True, False])
def test_in_economy_mode_no_key_of_a_new_epoch_is_more_than_its_definition_holds(
    monkeypatch: pytest.MonkeyPatch, *, announced: bool
) -> None:
    """NetLambda could not net it. An environment that knows nothing yet writes unread over one that knows all."""
    monkeypatch.setattr("oncefold.aws.functions.plan.EVENT_NODES", 6)
    if not announced:
        monkeypatch.setattr("oncefold.aws.operations.rebuild.ANNOUNCED", FIRST)
    stack = RedefinedStack.make(ECONOMY)
    wanted = parse_toml(to_toml(PIPELINE).replace("[measures]\n", 'types = ["type"]\n[measures]\n'))
    stack.send(SOME[3:4])
    old = stack.environment()
    versions, too_much, busy = iter(range(1, 100_000)), [], []

    def beside(_: str) -> None:
        if busy:
            return
        busy.append(True)
        for gone, environment in ((True, stack.environment()), (False, old)):
            event = {"id": "a", "v": next(versions), "type": "Delta", "desk": "FX", "value": 1}
            stack.send([json.dumps({**event, **({"gone": True} if gone else {})})], environment)
            too_much.extend(held_too_much(stack, wanted))
        busy.clear()

    with suppress(OncefoldError):
        stack.redefine(Interposed(stack.client, before=beside), wanted)
    assert (too_much == []) is announced


def test_a_process_that_was_held_up_replaces_nothing(stack: RedefinedStack) -> None:
    passed: list[bool] = []

    def another(operation: str) -> None:
        if operation == "update_item" and not passed:
            passed.append(True)
            stack.time.now += 300
            stack.redefine(definition=replace(NEW, rollups=NEW.rollups[:2]))

    with pytest.raises(RebuildTakenError):
        stack.redefine(Interposed(stack.client, before=another))
    stack.check(replace(NEW, rollups=NEW.rollups[:2]), SOME)
    assert decoded(SOME)
