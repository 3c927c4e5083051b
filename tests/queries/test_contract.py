"""One document: every query gives the same JSON in Python, on the command line, over HTTP, and of a stack on AWS."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from oncefold.aws.functions.guard import ECONOMY, STANDARD, definition_item
from oncefold.aws.names import Names
from oncefold.aws.reader import open_stack
from oncefold.cli.main import main
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, QueryError
from oncefold.queries import Reader, UnsupportedQueryError
from oncefold.queries.http_reader import HttpReader
from oncefold.queries.model import Answer, SearchResult
from oncefold.queries.render.document import document
from oncefold.queries.render.rows import columns_of, csv_lines, json_lines, pretty_json
from oncefold.queries.store_reader import StoreReader
from tests.aws.conftest import aws, emulator, stack  # noqa: F401 - fixtures
from tests.aws.functions.stacks import functions_of
from tests.aws.functions.stacks import lines as records_of
from tests.aws.reader.stacks import put
from tests.queries.stores import lines
from tests.serve.answers.server import Server, serving
from tests.tools.sizes import in_full

PIPELINE = parse_toml("""
name = "odd"
[event]
key = "order"
version = { field = "updated", type = "timestamp" }
time = "updated"
delete = "cancelled"
[rollups]
place = ["country", "city"]
city = ["city"]
[measures]
amount = { sum = "amount", scale = 2 }
children = { sum = "amount", scale = 2 }
commit = { sum = "amount", scale = 3 }
key = { sum = "one", scale = 0 }
version = { sum = "one", scale = 0 }
leaf = { sum = "one", scale = 0 }
measures = { sum = "one", scale = 0 }
measure_amount = { sum = "one", scale = 0 }
mean = { avg = "amount", scale = 3 }
rating = { avg = "rating", scale = 1 }
rated = { count = "rating" }
large = { count = { tree = [">", ["field", "amount", "number"], ["number", "100"]] } }
""")
"""Its measures have the names of members and columns; `count` and `path` no definition can have, for SQL's sake."""


def event(order: str, day: int, country: str, city: str, amount: str, **other: Any) -> dict[str, Any]:
    place = {"country": country, "city": city, "amount": amount, "one": 1}
    return {"order": order, "updated": f"2026-03-{day:02}T09:00:00.000000001Z", **place, **other}


MONDAY = [
    event("A-1", 2, "FR", "Paris", "120"),
    event("A-2", 2, "FR", "Lyon", "80.50"),
    event("A-3", 2, "US", "St. Louis/MO", "1999.99"),
    event("A-4", 2, "US", "Austin", "12.345"),
    event("A-5", 2, "FR", "Paris", "15"),
]
TUESDAY = [
    MONDAY[0],
    event("A-2", 3, "FR", "Paris", "-81"),
    event("A-2", 1, "FR", "Lyon", "79"),
    event("A-3", 2, "US", "St. Louis/MO", "1999.98"),
    {"order": "A-5", "updated": "2026-03-03T09:00:00Z", "cancelled": True},
    event("A-6", 3, "US", "Austin", "100000000.01"),
]

CLOCK = {"lag_seconds", "behind_seconds"}
"""Members that go on with the clock."""
LOAD = {"events_per_second", "waiting_requests"}
"""Members of a server's status alone."""
OF_STORE = {"commit", "commit_time", "newest_event"}
OF_STACK = {"stack", "time", "pending"}

Query = Callable[[Reader], Answer[Any] | SearchResult]

QUERIES: dict[str, tuple[Query, list[str] | None, str]] = {
    "root": (lambda r: r.query(rollup="place"), ["query", "--rollup", "place"], "/totals/place"),
    "all": (
        lambda r: r.query(rollup="place", depth=None),
        ["query", "--rollup", "place", "--depth", "all"],
        "/totals/place?depth=all",
    ),
    "node": (
        lambda r: r.query(("US", "St. Louis/MO"), rollup="place"),
        ["query", r"US/St. Louis\/MO", "--rollup", "place"],
        "/totals/place/" + quote(r"US/St. Louis\/MO"),
    ),
    "two levels": (
        lambda r: r.query("US", rollup="place", depth=2),
        ["query", "US", "--rollup", "place", "--depth", "2"],
        "/totals/place/US?depth=2",
    ),
    "greatest": (
        lambda r: r.query(rollup="city", sort="amount", limit=2),
        ["query", "--rollup", "city", "--sort", "amount", "--limit", "2"],
        "/totals/city?sort=amount&limit=2",
    ),
    "least rating": (
        lambda r: r.query(rollup="city", sort="rating", ascending=True),
        ["query", "--rollup", "city", "--sort", "rating", "--ascending"],
        "/totals/city?sort=rating&order=ascending",
    ),
    "labels descending": (
        lambda r: r.query("US", rollup="place", ascending=False),
        ["query", "US", "--rollup", "place", "--descending"],
        "/totals/place/US?order=descending",
    ),
    "filtered": (
        lambda r: r.query(rollup="city", matching="IS", sort="count"),
        ["query", "--rollup", "city", "--filter", "IS", "--sort", "count"],
        "/totals/city?filter=IS&sort=count",
    ),
    "past": (
        lambda r: r.query(rollup="city", as_of=1),
        ["query", "--rollup", "city", "--as-of", "1"],
        "/totals/city?as_of=1",
    ),
    "page": (
        lambda r: r.query(rollup="city", after="A", limit=1),
        ["query", "--rollup", "city", "--after", "A", "--limit", "1"],
        "/totals/city?after=A&limit=1",
    ),
    "explain": (
        lambda r: r.explain("", rollup="place", limit=None),
        ["explain", "", "--rollup", "place", "--limit", "all"],
        "/explain/place?limit=all",
    ),
    "explain some": (
        lambda r: r.explain("FR", rollup="place", limit=1),
        ["explain", "FR", "--rollup", "place", "--limit", "1"],
        "/explain/place/FR?limit=1",
    ),
    "history": (lambda r: r.history("A-2"), ["history", "A-2"], "/history/A-2"),
    "history of a deleted key": (
        lambda r: r.history("A-5", every=True),
        ["history", "A-5", "--every"],
        "/history/A-5?every=true",
    ),
    "rejects": (lambda r: r.rejects(), ["rejects", "list", "--limit", "all"], "/rejects?limit=1000"),
    "conflicts": (lambda r: r.conflicts(), ["conflicts", "--limit", "all"], "/conflicts?limit=1000"),
    "verify": (lambda r: r.verify(), ["verify"], "/verify"),
    "status": (lambda r: r.status(), ["status"], "/status"),
    "series": (lambda r: r.series("US", rollup="place"), None, "/series/place/US"),
    "search": (lambda r: r.search("A"), None, "/search?q=A"),
}
"""By name: the query in Python, as a command, and as a route."""

EVERY_WAY = [(STANDARD, True), (ECONOMY, False), *in_full("2 s each", (STANDARD, False), (ECONOMY, True))]
"""A stack's mode, and whether everything is in its totals: else the last events are in the outbox or, in economy mode,
in the stream of states alone."""

OF_NO_STACK = {"past", "history", "history of a deleted key", "series", "search"}
OF_A_STACK = [name for name in QUERIES if name not in OF_NO_STACK | {"root", "page", "rejects", "conflicts", "status"}]
"""Queries with the documents of a store. The others say what only one of both has: how many children the nodes at the
end of what is read have, and lists and the status."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the store of both days."""
    path = tmp_path_factory.mktemp("contract") / "odd.db"
    with serving(path, PIPELINE, lines(MONDAY), lines(TUESDAY)) as running:
        yield running


def plain(found: Answer[Any] | SearchResult) -> dict[str, Any]:
    """The document of an answer in Python, as JSON has it."""
    read: dict[str, Any] = json.loads(pretty_json(document(found, time.time_ns())))
    return read


def without(found: dict[str, Any], *names: set[str]) -> dict[str, Any]:
    left_out = set().union(*names)
    return {name: value for name, value in found.items() if name not in left_out}


@pytest.mark.parametrize("name", QUERIES)
def test_a_store_and_its_server_give_one_document(
    name: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    query, command, route = QUERIES[name]
    url = f"http://127.0.0.1:{server.port}"
    with StoreReader.open(server.session.path) as store, HttpReader.open(url) as remote:
        expected = without(plain(query(store)), CLOCK)
        assert without(plain(query(remote)), CLOCK, LOAD) == expected
        answers = query(store), query(remote)
        if not isinstance(answers[0], SearchResult) and not isinstance(answers[1], SearchResult):
            assert columns_of(answers[0]) == columns_of(answers[1])
            assert list(csv_lines(answers[0])) == list(csv_lines(answers[1]))
            assert list(json_lines(answers[0])) == list(json_lines(answers[1]))
            assert answers[0].to_arrow().equals(answers[1].to_arrow(), check_metadata=True)
    assert without(server.ask(route).json(), CLOCK, LOAD) == expected
    for backend in (["--store", str(server.session.path)], ["--server", url]):
        if command is None:
            continue
        assert main([*command, "--format", "json", *backend]) == 0
        assert without(json.loads(capsys.readouterr().out), CLOCK, LOAD) == expected


@pytest.mark.parametrize("name", ["root", "explain", "history", "rejects", "conflicts", "verify"])
def test_tables_are_the_same(name: str, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    _, command, _ = QUERIES[name]
    assert command is not None
    shown = []
    for backend in (["--store", str(server.session.path)], ["--server", f"http://127.0.0.1:{server.port}"]):
        assert main([*command, *backend]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


def fill_stack(names: Names, mode: str = STANDARD, *, settled: bool = True) -> None:
    """Both days in a stack; if it is not settled, the second one waits to be added to the totals."""
    functions = functions_of(names, PIPELINE, mode)
    put(names.aggregate_table, [definition_item(PIPELINE, mode=mode)])
    for day in (MONDAY, TUESDAY):
        functions.fold(records_of(lines(day).decode().splitlines()))
        if settled or day is MONDAY:
            functions.settle()


@pytest.mark.parametrize(("mode", "settled"), EVERY_WAY)
def test_a_stack_gives_the_documents_of_a_store(
    server: Server,
    mode: str,
    stack: Names,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    *,
    settled: bool,
) -> None:
    fill_stack(stack, mode, settled=settled)
    with StoreReader.open(server.session.path) as store, open_stack(stack.stack, exact=not settled) as reader:
        for name in OF_A_STACK:
            query, command, _ = QUERIES[name]
            expected = without(plain(query(store)), CLOCK, OF_STORE)
            found = plain(query(reader))
            assert OF_STACK - {"pending"} <= found.keys(), name
            assert without(found, OF_STACK) == expected, name
            assert command is not None
            exact = ["--exact"] if command[0] == "query" and not settled else []
            assert main([*command, *exact, "--format", "json", "--stack", stack.stack]) == 0
            assert without(json.loads(capsys.readouterr().out), OF_STACK) == expected, name
        shape = ("pipeline", "fingerprint", "version_type", "rollups", "measures")
        mine, its = plain(store.status()), plain(reader.status())
        assert {each: its[each] for each in shape} == {each: mine[each] for each in shape}
        for name in OF_NO_STACK:
            with pytest.raises(UnsupportedQueryError):
                QUERIES[name][0](reader)
            if (command := QUERIES[name][1]) is not None:
                assert main([*command, "--stack", stack.stack]) == 2
                assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_old_spelling_is_the_same_command(
    stack: Names,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill_stack(stack)
    query = ["query", "US", "--rollup", "place", "--format", "json"]
    shown = []
    for command in ([*query, "--stack", stack.stack], ["aws", *query, "--stack", stack.stack]):
        assert main(command) == 0
        shown.append(without(json.loads(capsys.readouterr().out), {"time"}))
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (lambda r: r.query("FR/Pariss", rollup="place"), "did you mean FR/Paris?"),
        (lambda r: r.query(), "there are several rollups: place, city; name the one you mean"),
        (lambda r: r.query(rollup="x"), "there is no rollup 'x'; there is: place, city"),
        (lambda r: r.query("FR//", rollup="place"), "has an empty part"),
        (lambda r: r.query(rollup="place", depth=-1), "depth is -1"),
        (lambda r: r.query(rollup="place", as_of=9), "there is no commit 9; the last is 2"),
        (lambda r: r.explain("X", rollup="place"), "at the top there is FR, US"),
        (lambda r: r.history("nobody"), "no event with the key 'nobody' has arrived"),
    ],
)
def test_what_does_not_exist_is_said_alike(server: Server, query: Callable[[Reader], object], message: str) -> None:
    with StoreReader.open(server.session.path) as store, HttpReader.open(f"http://127.0.0.1:{server.port}") as remote:
        for reader in (store, remote):
            with pytest.raises(QueryError) as error:
                query(reader)
            assert message in str(error.value)


@pytest.mark.parametrize("name", ["count", "path", "rollup", "depth", "label"])
def test_columns_of_the_sql_view_are_no_names_of_measures(name: str) -> None:
    text = f'name = "p"\n[event]\nkey = "k"\n[rollups]\nall = []\n[measures]\n{name} = {{ sum = "a" }}\n'
    with pytest.raises(DefinitionError, match="is taken by a column"):
        parse_toml(text)
    rollup = text.replace("all", name).replace(f"{name} = {{", "m = {")
    if name != "count":
        assert [one.name for one in parse_toml(rollup).rollups] == [name]


def test_one_backend_is_named(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{server.port}"
    assert main(["query", "--store", str(server.session.path), "--server", url]) == 2
    assert "give one of --store, --server and --stack" in capsys.readouterr().err
    assert main(["query", "--exact", "--rollup", "place", "--server", url]) == 2
    assert "--exact: only for a stack" in capsys.readouterr().err
    assert main(["query", "--token-file", str(tmp_path / "token"), "--store", str(server.session.path)]) == 2
    assert "--token-file is for a server" in capsys.readouterr().err
    assert main(["query", "--server", "http://127.0.0.1:1"]) == 2
    assert "no server answers there" in capsys.readouterr().err
