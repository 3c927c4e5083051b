"""Live changes: every node that changed is reported, with its newest values, and none is missed."""

import random
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from oncefold.queries.changes import notices
from oncefold.serve.answers.changes import hub as hub_module
from tests.queries.stores import MONDAY, SHOP, TWO_TREES, lines
from tests.serve.answers.server import Server, Stream, serving


def order(number: int, country: str = "FR", city: str = "Paris", amount: int = 1) -> dict[str, Any]:
    return {**MONDAY[0], "order": f"N-{number}", "country": country, "city": city, "amount": amount}


def reported(stream: Stream, commit: int) -> dict[tuple[str, str], tuple[int, str]]:
    """The values of all nodes that are reported up to a commit, the last ones."""
    return {
        (row["rollup"], row["path"]): (row["count"], row["measures"]["amount"])
        for name, _, data in stream.until(commit)
        if name == "commit"
        for row in data["rows"]
    }


def test_hello_and_then_each_commit(shop: Server) -> None:
    stream = shop.stream("/changes?rollup=place&path=FR")
    assert stream.answer.getheader("content-type") == "text/event-stream; charset=utf-8"
    name, id_, data = stream.next()
    assert (name, id_, data["commit"], data["newest_event"]) == ("hello", 2, 2, "2026-03-03T08:40:00Z")
    done = shop.ingest(lines([order(1, amount=5), order(1, amount=5), order(2, "US", "Austin")]))
    name, id_, data = stream.next()
    assert (name, id_, data["counts"]) == ("commit", done.commit, {"inserted": 2, "duplicate": 1})
    assert data["rows"] == [
        {"rollup": "place", "path": "FR", "count": 3, "measures": {"amount": "206.00"}},
        {"rollup": "place", "path": "FR/Paris", "count": 3, "measures": {"amount": "206.00"}},
    ]
    stream.close()


def test_depth_and_several_paths(shop: Server) -> None:
    austin = quote("US/Austin")
    stream = shop.stream(f"/changes?path=FR&path={austin}&depth=0")
    roots = shop.stream("/changes?depth=0")
    every = shop.stream("/changes")
    for one in (stream, roots, every):
        assert one.next()[0] == "hello"
    shop.ingest(lines([order(1), order(2, "US", "Austin")]))
    assert {row["path"] for row in stream.next()[2]["rows"]} == {"FR", "US/Austin"}
    assert {row["path"] for row in roots.next()[2]["rows"]} == {""}
    assert {row["path"] for row in every.next()[2]["rows"]} == {"", "FR", "FR/Paris", "US", "US/Austin"}
    for one in (stream, roots, every):
        one.close()


def test_what_is_not_there_yet_is_told_when_it_comes(shop: Server) -> None:
    stream = shop.stream("/changes?path=DE")
    stream.next()
    shop.ingest(lines([order(1, "DE", "Bonn")]))
    assert {row["path"] for row in stream.next()[2]["rows"]} == {"DE", "DE/Bonn"}
    shop.ingest(lines([order(2, "DE", "Ulm/Donau")]))
    assert {row["path"] for row in stream.next()[2]["rows"]} == {"DE", r"DE/Ulm\/Donau"}
    stream.close()


def test_a_node_that_becomes_empty_is_told(shop: Server) -> None:
    stream = shop.stream("/changes?path=FR")
    stream.next()
    gone = [{"order": key, "updated": "2026-04-01T00:00:00Z", "cancelled": True} for key in ("A-1", "A-2")]
    shop.ingest(lines(gone))
    assert reported(stream, 3) == {("place", "FR"): (0, "0.00"), ("place", "FR/Paris"): (0, "0.00")}
    stream.close()


@pytest.mark.parametrize("as_header", [True, False])
def test_resuming_tells_what_changed_since(shop: Server, as_header: bool) -> None:
    if as_header:
        stream = shop.stream("/changes?last_event_id=0", {"Last-Event-ID": "1"})
    else:
        stream = shop.stream("/changes?last_event_id=1")
    name, id_, data = stream.next()
    assert (name, id_) == ("commit", 2)
    assert data["counts"] == {
        "inserted": 1, "corrected": 1, "deleted": 1, "duplicate": 1, "stale": 1, "conflict_lost": 1,
    }  # fmt: skip
    assert {row["path"]: (row["count"], row["measures"]["amount"]) for row in data["rows"]} == {
        "": (4, "100002201.00"),
        "FR": (2, "201.00"),
        "FR/Lyon": (0, "0.00"),
        "FR/Paris": (2, "201.00"),
        "US": (2, "100002000.00"),
        "US/Austin": (1, "100000000.01"),
    }
    stream.close()


def test_resuming_where_nothing_changed_since(shop: Server) -> None:
    stream = shop.stream("/changes", {"Last-Event-ID": "2"})
    assert stream.next()[:2] == ("hello", 2)
    stream.close()


def test_a_commit_that_is_not_known_yet(shop: Server) -> None:
    stream = shop.stream("/changes", {"Last-Event-ID": "3"})
    name, id_, data = stream.next()
    assert (name, id_) == ("reset", 2)
    assert "no such commit" in data["reason"]
    shop.ingest(lines([order(1)]))
    assert stream.next()[:2] == ("commit", 3)
    stream.close()


def test_more_than_a_message_holds(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "MOST_ROWS", 2)
    stream, few = shop.stream("/changes"), shop.stream("/changes?depth=0")
    stream.next(), few.next()
    shop.ingest(lines([order(1)]))
    name, id_, data = stream.next()
    assert (name, id_, data["counts"]) == ("reset", 3, {"inserted": 1})
    assert "request the totals again" in data["reason"]
    assert few.next()[0] == "commit"
    stream.close(), few.close()


def test_a_slow_reader_misses_no_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not read while much happens, and then hears the newest value of every node that changed."""
    monkeypatch.setattr(hub_module, "PACE_SECONDS", 0.01)
    chance = random.Random(7)
    with serving(tmp_path / "s.db", SHOP, lines(MONDAY)) as server:
        slow, quick = server.stream("/changes"), server.stream("/changes?rollup=place&path=C1&path=C2")
        slow.next(), quick.next()
        last = 0
        for number in range(120):
            batch = [order(1_000 * number + i, f"C{chance.randrange(3)}", f"Town {i}", i) for i in range(60)]
            last = server.ingest(lines(batch)).commit
        expected = {}
        for row in server.ask("/totals/place?depth=all").json()["rows"]:
            expected["place", row["path"]] = (row["count"], row["measures"]["amount"])
        received = reported(slow, last)
        assert {node: expected[node] for node in received} == received
        assert set(expected) - set(received) == {("place", "FR"), ("place", "FR/Paris"), ("place", "FR/Lyon"),
                                              ("place", "US"), ("place", r"US/St. Louis\/MO")}  # fmt: skip
        mine = {node: values for node, values in expected.items() if node[1].partition("/")[0] in {"C1", "C2"}}
        assert reported(quick, last) == mine
        slow.close(), quick.close()


def test_counts_add_up_over_all_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "PACE_SECONDS", 0.01)
    with serving(tmp_path / "s.db", SHOP) as server:
        stream = server.stream("/changes?last_event_id=0")
        assert stream.next()[0] == "hello"
        for number in range(50):
            last = server.ingest(lines([order(number), order(0)])).commit
        total: dict[str, int] = {}
        for _, _, data in stream.until(last):
            for outcome, events in data["counts"].items():
                total[outcome] = total.get(outcome, 0) + events
        assert total == {"inserted": 50, "duplicate": 50}
        stream.close()


def test_trees_are_told_apart(tmp_path: Path) -> None:
    with serving(tmp_path / "s.db", TWO_TREES) as server:
        one, both = server.stream("/changes?rollup=by_region"), server.stream("/changes")
        assert server.ask("/changes?path=r").status == 422
        one.next(), both.next()
        server.ingest(b'{"book":"b","id":"1","v":1,"type":"t","region":"r","value":"1.5"}\n')
        assert {(row["rollup"], row["path"]) for row in one.next()[2]["rows"]} == {
            ("by_region", ""),
            ("by_region", "r"),
        }
        assert len(both.next()[2]["rows"]) == 5
        one.close(), both.close()


def test_the_end_of_the_server_ends_the_streams(shop: Server) -> None:
    stream = shop.stream("/changes")
    stream.next()
    shop.end()
    assert stream.answer.read() == b""
    assert shop.ask("/changes").status == 503
    stream.close()
