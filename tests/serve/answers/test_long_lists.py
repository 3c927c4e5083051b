"""Every list has a default limit, a cursor and a bound on its cost; a reader over HTTP still reads all of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from oncefold.core.definition_toml import parse_toml
from oncefold.queries import http_reader
from oncefold.queries.http_reader import HttpReader
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.answers import nodes
from tests.serve.answers.server import HOST, Server, serving

CHILDREN, CONFLICTS, VERSIONS = 2_345, 7, 12
PIPELINE = parse_toml("""
name = "wide"
[event]
key = "id"
version = "version"
[rollups]
tree = ["group", "name"]
[measures]
amount = { sum = "amount", scale = 0 }
""")


def lines(events: list[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def event(key: str, version: int, name: str, amount: int = 1) -> dict[str, object]:
    return {"id": key, "version": version, "group": "g", "name": name, "amount": amount}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A node with many children, a key with many versions, and some conflicts."""
    children = [event(f"k{number}", 1, f"n{number:05}") for number in range(CHILDREN)]
    conflicts = [event(f"k{number}", 1, f"n{number:05}", 2) for number in range(CONFLICTS)]
    versions = [event("much", number, "n00000") for number in range(1, VERSIONS + 1)]
    folder: Path = tmp_path_factory.mktemp("wide")
    with serving(folder / "wide.db", PIPELINE, lines(children), lines(conflicts), lines(versions)) as server:
        yield server


@pytest.fixture
def over_http(wide: Server) -> Iterator[HttpReader]:
    with HttpReader.open(f"http://{HOST}:{wide.port}") as reader:
        yield reader


def test_children_come_page_by_page_also_where_no_limit_is_given(wide: Server) -> None:
    labels: list[str] = []
    target, more = "/totals/tree/g", True
    while more:
        page = wide.ask(target).json()
        labels += [row["label"] for row in page["rows"][1:]]
        more = page["more"]
        assert len(page["rows"]) - 1 == nodes.PAGE or not more
        target = f"/totals/tree/g?after={labels[-1]}"
    assert labels == [f"n{number:05}" for number in range(CHILDREN)]


def test_a_reader_over_http_reads_every_child(
    wide: Server, over_http: HttpReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_reader, "CHILDREN_OF_PAGE", 500)
    with StoreReader.open(wide.session.path) as reader:
        assert over_http.query("g") == reader.query("g")
        for limit, after in ((1_200, None), (700, "n01999"), (3, "n00002")):
            found, expected = (r.query("g", limit=limit, after=after) for r in (over_http, reader))
            assert (found.rows, found.more) == (expected.rows, expected.more)


@pytest.mark.parametrize("target", ["/totals/tree?depth=all", "/totals/tree/g?depth=2", "/totals/tree/g?as_of=1"])
def test_what_is_read_as_a_whole_is_bounded(wide: Server, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(wide.ask(target).json()["rows"]) >= CHILDREN or "as_of" in target
    monkeypatch.setattr(nodes, "MOST_NODES", 2_000)
    answer = wide.ask(f"{target}&form=jsonl")
    assert answer.status == 422
    assert "more than 2,000 nodes would be read" in answer.json()["detail"]
    assert wide.ask("/totals/tree/g?as_of=1&depth=0").status == 200


def test_conflicts_have_a_cursor(wide: Server, over_http: HttpReader, monkeypatch: pytest.MonkeyPatch) -> None:
    first = wide.ask("/conflicts?limit=3").json()["rows"]
    rest = wide.ask(f"/conflicts?after={first[-1]['id']}").json()["rows"]
    ids = [row["id"] for row in first + rest]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == CONFLICTS
    monkeypatch.setattr(http_reader, "LISTED_OF_PAGE", 2)
    with StoreReader.open(wide.session.path) as reader:
        assert over_http.conflicts() == reader.conflicts()
        assert over_http.conflicts(5, after=ids[0]).rows == reader.conflicts(5, after=ids[0]).rows


def test_a_history_comes_page_by_page(wide: Server, over_http: HttpReader, monkeypatch: pytest.MonkeyPatch) -> None:
    page = wide.ask("/history/much?limit=5").json()
    assert ([row["version"] for row in page["rows"]], page["more"]) == ([str(n) for n in range(1, 6)], True)
    page = wide.ask("/history/much?limit=5&after=10").json()
    assert ([row["version"] for row in page["rows"]], page["more"]) == (["11", "12"], False)
    monkeypatch.setattr(http_reader, "ARRIVALS_OF_PAGE", 5)
    with StoreReader.open(wide.session.path) as reader:
        assert over_http.history("much") == reader.history("much")
