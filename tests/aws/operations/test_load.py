"""A stack that was loaded is as if it had read every event of the store."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.aws.connect import client
from oncefold.aws.deploy.template import template
from oncefold.aws.functions.guard import ECONOMY, MODES, STANDARD, check_definition, definition_item
from oncefold.aws.functions.layout import DEFINITION_KEY
from oncefold.aws.functions.unread import RETENTION_SECONDS, watch
from oncefold.aws.names import Names
from oncefold.aws.operations import load as module
from oncefold.aws.operations.import_files import MOST_FILES, SUFFIX, write_files
from oncefold.aws.operations.load import StackLoad
from oncefold.aws.operations.load_items import LoadedStore
from oncefold.aws.reader.reader import StackOptions, StackReader
from oncefold.aws.tables import open_tables
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, OncefoldError
from oncefold.core.fold import Node
from oncefold.dynamodb.calls import slices
from oncefold.engine.session import Session
from oncefold.queries.protocol import no_progress
from oncefold.store.reader import StoreFile
from tests.aws.conftest import Run
from tests.aws.functions.stacks import PIPELINE, Interposed, stream_of
from tests.aws.operations.rebuilt import MORE, SOME, RebuiltStack, decoded
from tests.aws.reader.stacks import numbers
from tests.queries.stores import SHOP, shop
from tests.tools import reference
from tests.tools.sizes import examples, in_full

LABELS = st.sampled_from(["Delta", "PV", "", "a/b", "\0", "ü\n"])


def event_lines() -> st.SearchStrategy[list[str]]:
    live = st.builds(
        lambda key, version, kind, desk, cents: json.dumps(
            {"id": key, "v": version, "type": kind, "desk": desk, "value": f"{cents / 100:.2f}"}
        ),
        st.sampled_from(["a", "b", "c", "", "k\0", "long" * 50]), st.integers(1, 4), LABELS, LABELS,
        st.integers(-(10**9), 10**9),
    )  # fmt: skip
    gone = st.builds(
        lambda key, version: json.dumps({"id": key, "v": version, "gone": True}),
        st.sampled_from(["a", "b", "c"]), st.integers(1, 4),
    )  # fmt: skip
    return st.lists(live | gone, max_size=25)


def store_of(folder: Path, events: list[str], name: str = "history.db") -> Path:
    with Session.open(folder / name, PIPELINE) as session:
        session.ingest("\n".join(events))
    return folder / name


empty = RebuiltStack.make


def load_into(stack: RebuiltStack, path: Path, dynamodb: Any = None) -> module.LoadDone:
    opened = stack.opened(dynamodb)
    with StoreFile.open(path) as store:
        loaded = LoadedStore.read(store, no_progress, stack.mode)
        return StackLoad(opened, lambda: "false", stack.time.read, stack.time.sleep).run(loaded, no_progress, map)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=examples(12))
@given(history=event_lines(), later=event_lines(), rebuilds=st.booleans())
def test_it_is_as_if_the_stack_had_read_every_event(
    mode: str, tmp_path_factory: pytest.TempPathFactory, history: list[str], later: list[str], *, rebuilds: bool
) -> None:
    """Of history too: events of the store that come again change nothing, and later ones correct."""
    path = store_of(tmp_path_factory.mktemp("store"), history)
    stack = empty(mode)
    load_into(stack, path)
    stack.check_exact(decoded(history))
    assert StackReader(stack.opened(), StackOptions()).verify().exact
    if rebuilds:
        stack.rebuild()
    before = stack.scan(stack.names.state_table)
    stack.send([*history, *history[::-1]])
    stack.net()
    assert stack.outbox() == []
    assert stack.scan(stack.names.state_table) == before
    stack.send(later)
    stack.reduce()
    stack.check_exact(decoded([*history, *later]))


def test_the_items_are_those_that_the_functions_would_have_written(tmp_path: Path) -> None:
    loaded, read = empty(), empty()
    load_into(loaded, store_of(tmp_path, SOME))
    read.send(SOME)
    read.reduce()
    for table in (read.names.state_table, read.names.aggregate_table):
        found, expected = loaded.scan(table), read.scan(table)
        live = [item for item in expected if item.get("count") != {"N": "0"}]
        assert sorted(map(numbers, found)) == sorted(map(numbers, live))


@pytest.mark.parametrize("mode", MODES)
def test_every_call_may_be_the_last_one(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run goes on; meanwhile no function accepts the tables."""
    monkeypatch.setattr(module, "_TOGETHER", 2)
    path = store_of(tmp_path, [*SOME, *MORE])
    for at in range(200):
        for after in (False, True):
            stack, calls = empty(mode), iter(range(1_000))

            def stop(_: str, calls: Any = calls, at: int = at) -> None:
                if next(calls) == at:
                    raise KeyboardInterrupt

            around: dict[str, Callable[[str], None]] = {"after" if after else "before": stop}
            try:
                load_into(stack, path, Interposed(stack.client, **around))
            except KeyboardInterrupt:
                if "load" in stack.definition():
                    with pytest.raises(DefinitionError, match="made under another definition"):
                        check_definition(PIPELINE, stack.names, stack.client, mode)
                if stack.scan(stack.names.state_table) and "load" not in stack.definition():
                    stack.net()
                    stack.check_exact(decoded([*SOME, *MORE]))
                    continue
                load_into(stack, path)
            else:
                assert at > 10
                return
            assert check_definition(PIPELINE, stack.names, stack.client, mode) == PIPELINE
            stack.net()
            stack.check_exact(decoded([*SOME, *MORE]))


@pytest.mark.parametrize("mode", MODES)
def test_a_process_that_was_held_up_puts_nothing_once_another_ended_the_load(mode: str, tmp_path: Path) -> None:
    path = store_of(tmp_path, SOME)
    stack = empty(mode)
    scans: list[str] = []

    def go_on_elsewhere(operation: str) -> None:
        """All tables are found empty; then this process is held up."""
        if operation != "scan":
            return
        scans.append(operation)
        if len(scans) == 3:
            load_into(stack, path)
            stack.send(MORE)
            stack.reduce()
            stack.time.now += 3600

    with pytest.raises(OncefoldError, match="ended by another process"):
        load_into(stack, path, Interposed(stack.client, after=go_on_elsewhere))
    stack.check_exact(decoded([*SOME, *MORE]))


def interrupted(tmp_path: Path) -> RebuiltStack:
    """A stack into which a load of SOME was begun; it ended before the first put."""
    stack = empty()

    def stop(operation: str) -> None:
        if operation == "batch_write_item":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_into(stack, store_of(tmp_path, SOME), Interposed(stack.client, before=stop))
    return stack


def test_nothing_is_rebuilt_meanwhile(tmp_path: Path) -> None:
    stack = interrupted(tmp_path)
    with pytest.raises(OncefoldError, match="a load is under way"):
        stack.rebuild()


@pytest.mark.parametrize("mode", MODES)
def test_a_stack_that_was_rebuilt_is_loaded_into_its_epoch(mode: str, tmp_path: Path) -> None:
    stack = empty(mode)
    stack.rebuild()
    load_into(stack, store_of(tmp_path, SOME))
    assert set(stack.marks().values()) == {stack.epochs().live} != {0}
    stack.send(MORE)
    stack.reduce()
    stack.check_exact(decoded([*SOME, *MORE]))
    assert StackReader(stack.opened(), StackOptions()).verify().exact


def test_in_economy_mode_it_changes_nothing_in_the_stream_wherever_netting_is(tmp_path: Path) -> None:
    """NetLambda may net some of what is loaded while it is, or all of it long afterwards and beside new events."""
    path = store_of(tmp_path, SOME)
    for at in range(100):
        stack, calls = empty(ECONOMY), iter(range(1_000))

        def net(_: str, stack: RebuiltStack = stack, calls: Any = calls, at: int = at) -> None:
            if next(calls) == at:
                stack.net()

        load_into(stack, path, Interposed(stack.client, after=net))
        assert stack.outbox() == []
        stack.send(MORE)
        found = StackReader(stack.opened(), StackOptions(exact=True))
        total = reference.totals(PIPELINE, decoded([*SOME, *MORE]))[Node(0)]
        assert found.query(rollup="risk")[""].count == total.count
        stack.reduce()
        stack.check_exact(decoded([*SOME, *MORE]))
        if next(calls) <= at:
            return
    pytest.fail("a load makes fewer calls")


def test_in_economy_mode_a_sweep_before_is_no_event_and_a_load_is_no_loss(tmp_path: Path) -> None:
    stack = empty(ECONOMY)
    stream = stream_of(stack)
    assert not watch(stack.dynamo(), stack.names, stream, stack.time.read).lost
    stack.time.now += 2 * RETENTION_SECONDS
    load_into(stack, store_of(tmp_path, SOME))
    stack.time.now += 2 * RETENTION_SECONDS
    assert not watch(stack.dynamo(), stack.names, stream, stack.time.read).lost
    stack.reduce()
    stack.check_exact(decoded(SOME))


def test_functions_that_would_count_a_load_twice_are_refused(tmp_path: Path) -> None:
    stack = empty(ECONOMY)
    old = {**stack.definition(), "protocol": {"N": "2"}}
    stack.client.put_item(TableName=stack.names.aggregate_table, Item=old)
    with pytest.raises(OncefoldError, match="would count what is loaded once more; deploy first"):
        load_into(stack, store_of(tmp_path, SOME))
    assert stack.states() == {}


def test_what_is_in_the_way_is_said(tmp_path: Path) -> None:
    path = store_of(tmp_path, SOME)
    stack = empty()
    stack.send(SOME[:1])
    with pytest.raises(OncefoldError, match="sim-state has items; only a stack without any event"):
        load_into(stack, path)
    assert check_definition(PIPELINE, stack.names, stack.client) == PIPELINE, "and its functions go on"
    with StoreFile.open(path) as store:
        loaded = LoadedStore.read(store, no_progress)
        opened = open_tables(stack.names, stack.client)
        with pytest.raises(OncefoldError, match="its functions are at work"):
            StackLoad(opened, lambda: "true").run(loaded, no_progress, map)


def test_a_key_that_dynamodb_cannot_hold_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oncefold.aws.functions.plan.EVENT_NODES", 4)
    stack = empty()
    with pytest.raises(OncefoldError, match=r"the key 'a' cannot be held: its 5 nodes do not fit one transaction"):
        load_into(stack, store_of(tmp_path, SOME))
    assert "load" not in stack.definition()
    assert stack.states() == {}


def test_another_store_is_no_continuation(tmp_path: Path) -> None:
    stack = interrupted(tmp_path)
    with pytest.raises(OncefoldError, match="a load of another store, or of other contents"):
        load_into(stack, store_of(tmp_path, MORE, "other.db"))


def test_a_store_that_is_written_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = store_of(tmp_path, SOME)
    stack = empty()
    with StoreFile.open(path) as store:
        loaded = LoadedStore.read(store, no_progress)
        with Session.open(path, PIPELINE) as session:
            session.ingest(MORE[0])
        work = StackLoad(open_tables(stack.names, stack.client), lambda: "false")
        with pytest.raises(OncefoldError, match="it was written while it was read"):
            work.run(loaded, no_progress, map)
    assert "load" in stack.definition()


# files


def test_files_are_what_an_import_takes(tmp_path: Path) -> None:
    """Lines of one `Item` each, gzipped, in objects of mid size below a prefix; and tables as the template has them."""
    names = Names("filed")
    with StoreFile.open(store_of(tmp_path, [*SOME, *MORE])) as store:
        loaded = LoadedStore.read(store, no_progress)
        folder = tmp_path / "import"
        written = write_files(loaded, names, "a-bucket", folder, no_progress, file_items=3)
        again = write_files(loaded, names, "a-bucket", tmp_path / "again", no_progress, file_items=3)
        with pytest.raises(OncefoldError, match="it is there and not empty"):
            write_files(loaded, names, "a-bucket", folder, no_progress)
    assert [table.files for table in written] == [2, -(-(loaded.sizes.nodes + 1) // 3)]
    size = 0
    resources = template(PIPELINE, names)["Resources"]
    for logical, table in zip(("StateTable", "AggregateTable"), written, strict=True):
        paths = sorted((folder / table.table).iterdir())
        assert len(paths) == table.files <= MOST_FILES
        count = 0
        for path in paths:
            assert path.name.endswith(SUFFIX)
            assert path.read_bytes() == (tmp_path / "again" / table.table / path.name).read_bytes()
            for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines(keepends=True):
                assert line.endswith("\n")
                document = json.loads(line)
                assert document.keys() == {"Item"}
                assert all(len(value) == 1 for value in document["Item"].values())
                count += 1
                size += len(line.encode()) if "definition" not in line else 0
        assert count == table.items
        request = json.loads(table.request.read_text())
        made, properties = request["TableCreationParameters"], resources[logical]["Properties"]
        assert all(made[name] == properties[name] for name in made)
        assert made.keys() == {"TableName", "AttributeDefinitions", "KeySchema", "BillingMode"}
        assert (request["InputFormat"], request["InputCompressionType"]) == ("DYNAMODB_JSON", "GZIP")
        assert request["S3BucketSource"] == {"S3Bucket": "a-bucket", "S3KeyPrefix": f"filed/{table.table}/"}
        shape = get_session().get_service_model("dynamodb").operation_model("ImportTable").input_shape
        assert not ParamValidator().validate(request, shape).has_errors()
    assert size == loaded.sizes.line_bytes
    assert again[0].items == written[0].items


@pytest.mark.parametrize("mode", MODES)
def test_tables_of_the_files_are_those_of_a_stack_that_read_all(mode: str, tmp_path: Path) -> None:
    """As an import makes them: every item is put as its line says."""
    stack = RebuiltStack.make(mode)
    stack.client.delete_item(TableName=stack.names.aggregate_table, Key=DEFINITION_KEY)
    with StoreFile.open(store_of(tmp_path, SOME)) as store:
        loaded = LoadedStore.read(store, no_progress, mode)
        written = write_files(loaded, stack.names, "b", tmp_path / "import", no_progress)
    for table in written:
        for path in (tmp_path / "import" / table.table).iterdir():
            items = [json.loads(line)["Item"] for line in gzip.decompress(path.read_bytes()).splitlines()]
            for some in slices(items, 25):
                stack.dynamo().put(table.table, some)
    stack.check_exact(decoded(SOME))
    assert check_definition(PIPELINE, stack.names, stack.client, mode) == PIPELINE
    stack.send([*SOME, *MORE])
    stack.reduce()
    stack.check_exact(decoded([*SOME, *MORE]))


# the command


@pytest.mark.parametrize("mode", [STANDARD, *in_full("2 s", ECONOMY)])
def test_the_command_loads_a_stack(
    mode: str, stack: Names, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StackLoad, "of", classmethod(lambda cls, found: cls(found, lambda: "false")))
    shop(tmp_path)
    store = tmp_path / "shop.db"
    client("dynamodb").put_item(TableName=stack.aggregate_table, Item=definition_item(SHOP, mode=mode))
    status, out, err = run("load", store, "--dry-run")
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "5 keys, 6 nodes"
    assert out.splitlines()[1].startswith("put into a stack: 11 write units at most, $0.00; as files for an import: ")
    assert out.splitlines()[2] == "would load them"
    status, out, err = run("load", store)
    assert (status, err) == (0, "")
    assert f"oncefold aws verify --stack {stack.stack}" in out
    assert run("verify")[1].splitlines()[-1] == "exact"
    assert "100,002,201.00" in run("query")[1]
    status, _, err = run("load", store)
    assert (status, "has items" in err) == (2, True)
    status, out, _ = run("load", store, "--files", tmp_path / "files", "--bucket", "bucket")
    assert status == 0
    assert f"aws s3 cp --recursive {tmp_path / 'files'} s3://bucket/{stack.stack}" in out
    assert "update-table" not in out
    assert run("load", store, "--files", tmp_path / "more")[0] == 2
    assert run("load", store, "--mode", ECONOMY)[0] == 2
    _, out, _ = run("load", store, "--files", tmp_path / "economy", "--bucket", "bucket", "--mode", ECONOMY)
    assert f"update-table --table-name {stack.state_table} --stream-specification StreamEnabled=true" in out
    assert out.splitlines()[-1].startswith(f"  oncefold aws deploy PIPELINE.toml --stack {stack.stack} --mode economy ")


def test_a_stack_of_another_definition_is_refused(stack: Names, run: Run, tmp_path: Path) -> None:
    shop(tmp_path)
    other = parse_toml(to_toml(SHOP).replace("scale = 2", "scale = 3"))
    client("dynamodb").put_item(TableName=stack.aggregate_table, Item=definition_item(other))
    status, _, err = run("load", tmp_path / "shop.db", "--dry-run")
    assert (status, "its definition is not that of the store: [measures] amount" in err) == (2, True)
    assert client("dynamodb").get_item(TableName=stack.aggregate_table, Key=DEFINITION_KEY)["Item"]
