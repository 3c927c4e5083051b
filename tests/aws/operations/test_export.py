"""A store that was exported has a stack's keys and totals; loaded into another stack it makes the same tables."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from oncefold.aws.functions.guard import definition_item
from oncefold.aws.names import Names
from oncefold.aws.reader.reader import StackOptions, StackReader
from oncefold.aws.tables import open_tables
from oncefold.cli.aws.export import _difference, _write
from oncefold.cli.main import oncefold
from oncefold.core.fold import Outcome
from oncefold.pipeline_file import pipeline_of
from oncefold.queries.protocol import no_progress
from oncefold.queries.store_reader import StoreReader
from tests.aws.conftest import Run
from tests.aws.functions.conftest import simulated
from tests.aws.functions.stacks import PIPELINE, lines
from tests.aws.operations.rebuilt import MORE, SOME, RebuiltStack, decoded
from tests.aws.operations.test_load import event_lines, load_into
from tests.aws.operations.test_redefinition import NEW, RedefinedStack
from tests.aws.reader.stacks import Filled, numbers, put
from tests.aws.tables import make_tables
from tests.tools.sizes import examples


def exported(stack: RebuiltStack, path: Path) -> str:
    """Export; how the totals differ, as text."""
    opened = open_tables(stack.names, stack.client)
    _write(path, opened, no_progress)
    return _difference(path, StackReader(opened, StackOptions(exact=True)))


def tables(stack: RebuiltStack) -> list[Any]:
    """What is in StateTable and of live nodes in AggregateTable."""
    items = [*stack.scan(stack.names.state_table), *stack.scan(stack.names.aggregate_table)]
    return sorted(numbers(item) for item in items if item.get("count") != {"N": "0"} and "toml" not in item)


@settings(max_examples=examples(8))
@given(events=event_lines(), later=event_lines())
def test_a_round_trip_makes_the_same_tables(
    tmp_path_factory: pytest.TempPathFactory, events: list[str], later: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    stack, other = RebuiltStack.make(), RebuiltStack.make()
    stack.send(events)
    stack.reduce()
    assert exported(stack, folder / "a.db") == ""
    with StoreReader.open(folder / "a.db") as store:
        assert store.verify().exact
        assert store.pipeline == PIPELINE
    load_into(other, folder / "a.db")
    assert tables(other) == tables(stack)
    for one in (stack, other):
        one.send([*events, *later])
        one.reduce()
        one.check_exact(decoded([*events, *later]))
    assert exported(other, folder / "b.db") == ""


ODD = pipeline_of(
    """
    name = "odd"
    [event]
    key = ["shop", "id"]
    version = [{ field = "at", type = "timestamp" }, "n"]
    delete = "gone"
    where = "kind <> 'test'"
    [rollups]
    tags = [{ each = "tags", missing = "(none)" }, "kind"]
    days = [{ field = "at", window = "1d", timezone = "Europe/Berlin" }]
    [measures]
    mean = { avg = "amount", scale = 2 }
    large = { count = "amount > 100" }
    """
)
ODD_EVENTS = [
    {"shop": "a/b", "id": 1, "at": "2026-03-28T23:30:00Z", "n": 1, "kind": "x", "tags": ["t", "u", "t"], "amount": 7.5},
    {"shop": "a/b", "id": 1, "at": "2026-03-28T23:30:00Z", "n": 2, "kind": "y", "tags": [], "amount": None},
    {"shop": "a", "id": 2, "at": "2026-03-29T01:30:00Z", "n": 1, "kind": "x", "tags": ["u", ""], "amount": 250},
    {"shop": "c", "id": 3, "at": "2026-03-29T01:30:00Z", "n": 1, "kind": "test", "tags": ["u"], "amount": 1},
    {"shop": "c", "id": 4, "at": "2026-03-29T01:30:00Z", "n": 1, "kind": "x"},
    {"shop": "c", "id": 4, "at": "2026-03-30T01:30:00Z", "n": 0, "gone": True},
]


def test_sets_of_leaves_wide_versions_and_averages_go_round(tmp_path: Path) -> None:
    made = simulated()
    stack, other = (RebuiltStack(made.client, Names(name), ODD, made.time) for name in ("odd", "odd-copy"))
    make_tables(stack.names, made.client)
    make_tables(other.names, made.client)
    for one in (stack, other):
        made.client.put_item(TableName=one.names.aggregate_table, Item=definition_item(ODD))
    records = lines(map(json.dumps, ODD_EVENTS))
    assert not stack.fold(records).outcomes[Outcome.REJECTED]
    stack.reduce()
    assert exported(stack, tmp_path / "a.db") == ""
    with StoreReader.open(tmp_path / "a.db") as store:
        assert store.verify().exact
    load_into(other, tmp_path / "a.db")
    assert tables(other) == tables(stack)
    other.fold(records)
    assert other.outbox() == []


def test_pending_deltas_are_among_the_totals_that_are_compared(tmp_path: Path) -> None:
    stack = RebuiltStack.make()
    stack.send(SOME)
    assert stack.outbox()
    assert exported(stack, tmp_path / "a.db") == ""


def test_events_that_come_meanwhile_are_noticed(tmp_path: Path) -> None:
    stack = RebuiltStack.make()
    stack.send(SOME)
    opened = open_tables(stack.names, stack.client)
    _write(tmp_path / "a.db", opened, no_progress)
    stack.send(MORE[:1])
    reader = StackReader(opened, StackOptions(exact=True))
    assert _difference(tmp_path / "a.db", reader).startswith("events came meanwhile: 7 nodes of the stack differ now")


def test_a_stack_whose_definition_was_replaced_is_exported_under_the_new_one(tmp_path: Path) -> None:
    stack = RedefinedStack.make()
    stack.send(SOME)
    stack.redefine()
    assert exported(stack, tmp_path / "a.db") == ""
    with StoreReader.open(tmp_path / "a.db") as store:
        assert (store.pipeline, store.verify().exact) == (NEW, True)


def test_the_command_writes_a_store(shop_stack: Filled, run: Run, tmp_path: Path) -> None:
    store = tmp_path / "copy.db"
    status, out, err = run("export", store)
    assert (status, err) == (0, "")
    assert out.splitlines() == [f"5 keys in {store}", f"its totals are those of stack {shop_stack.names.stack}"]
    assert CliRunner().invoke(oncefold, ["verify", "--store", str(store)]).exit_code == 0
    assert run("export", store)[0] == 2
    assert not [path for path in tmp_path.iterdir() if ".part" in path.name]


def test_one_that_fails_leaves_no_file(shop_stack: Filled, run: Run, tmp_path: Path) -> None:
    put(shop_stack.names.state_table, [{"key": {"S": "odd"}, "version": {"S": "?"}}])
    status, _, err = run("export", tmp_path / "copy.db")
    assert (status, "cannot be read" in err) == (2, True)
    assert [*tmp_path.iterdir()] == []
