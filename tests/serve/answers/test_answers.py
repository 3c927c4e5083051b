"""StoreReader over HTTP: the contract as a client meets it."""

import io
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pytest

from oncefold.core.definition_toml import parse_toml
from oncefold.queries.render import rows
from oncefold.queries.store_reader import StoreReader
from tests.queries.stores import MONDAY, SHOP, TWO_TREES, lines
from tests.serve.answers.server import Server, serving

SECOND_COMMIT = "2026-03-02T09:00:01.123456789Z"


def test_the_root_and_its_children(shop: Server) -> None:
    answer = shop.ask("/totals/place")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "commit": 2,
        "commit_time": SECOND_COMMIT,
        "newest_event": "2026-03-03T08:40:00Z",
        "lag_seconds": -81_599.877,
        "rollup": "place",
        "path": "",
        "levels": ["country", "city"],
        "scales": {"amount": 2},
        "rows": [
            {"path": "", "depth": 0, "label": "", "count": 4, "children": 2, "measures": {"amount": "100002201.00"}},
            {"path": "FR", "depth": 1, "label": "FR", "count": 2, "children": 1, "measures": {"amount": "201.00"}},
            {
                "path": "US",
                "depth": 1,
                "label": "US",
                "count": 2,
                "children": 2,
                "measures": {"amount": "100002000.00"},
            },
        ],
        "more": False,
    }


def test_how_fresh_an_answer_is_stands_in_its_headers(shop: Server) -> None:
    for target in (
        "/totals/place",
        "/series/place",
        "/explain/place/FR",
        "/history/A-1",
        "/search?q=par",
        "/rejects",
        "/conflicts",
        "/status",
        "/verify",
    ):
        headers = shop.ask(target).headers
        assert headers["oncefold-commit"] == "2", target
        assert headers["oncefold-commit-time"] == SECOND_COMMIT
        assert headers["oncefold-newest-event"] == "2026-03-03T08:40:00Z"
        assert headers["oncefold-lag-seconds"] == "-81599.877"


@pytest.mark.parametrize("path", [r"US/St. Louis\/MO", "US/Austin", "FR", ""])
@pytest.mark.parametrize("safe", ["", "/"])
def test_a_node_is_named_by_its_path_encoded_in_either_way(shop: Server, path: str, safe: str) -> None:
    document = shop.ask(f"/totals/place/{quote(path, safe=safe)}").json()
    assert document["path"] == document["rows"][0]["path"] == path


def test_children_come_page_by_page(shop: Server) -> None:
    def page(query: str) -> tuple[list[tuple[str, int]], bool]:
        document = shop.ask(f"/totals/place?{query}").json()
        return [(row["path"], row["children"]) for row in document["rows"]], document["more"]

    assert page("limit=1") == ([("", 2), ("FR", 1)], True)
    assert page("limit=1&after=FR") == ([("", 2), ("US", 2)], False)
    assert page("after=US") == ([("", 2)], False)
    assert page("limit=1&as_of=1") == ([("", 2), ("FR", 2)], True)


def test_the_past(shop: Server) -> None:
    document = shop.ask("/totals/place/FR?as_of=1").json()
    assert (document["commit"], document["newest_event"]) == (1, "2026-03-02T09:11:00Z")
    assert [(row["path"], row["measures"]["amount"]) for row in document["rows"]] == [
        ("FR", "215.50"), ("FR/Lyon", "80.50"), ("FR/Paris", "135.00"),
    ]  # fmt: skip
    by_time = shop.ask("/totals/place/FR?as_of=2026-03-02T09:00:00.9Z").json()
    assert by_time == document
    assert shop.ask("/totals/place?as_of=0&depth=0").json()["rows"][0]["count"] == 0


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        ("json", "application/json"),
        ("jsonl", "application/x-ndjson"),
        ("csv", "text/csv"),
        ("arrow", "application/vnd.apache.arrow.stream"),
    ],
)
def test_forms_by_name_and_by_accept(shop: Server, form: str, media_type: str) -> None:
    named = shop.ask(f"/totals/place?depth=all&form={form}", {"Accept": "text/html"})
    liked = shop.ask("/totals/place?depth=all", {"Accept": f"text/html, {media_type};q=0.4, */*;q=0.1"})
    assert (
        named.headers["content-type"].partition(";")[0] == liked.headers["content-type"].partition(";")[0] == media_type
    )
    assert named.body == liked.body


def test_rows_are_those_of_the_command_line(shop: Server) -> None:
    with StoreReader.open(shop.session.path) as ask:
        totals = ask.query(depth=None)
        assert shop.ask("/totals/place?depth=all&form=csv").body == b"".join(rows.csv_lines(totals))
        assert shop.ask("/totals/place?depth=all&form=jsonl").body == b"".join(rows.json_lines(totals))
        table = pa.ipc.open_stream(io.BytesIO(shop.ask("/totals/place?depth=all&form=arrow").body)).read_all()
        assert table.equals(totals.to_arrow(), check_metadata=True)


def test_no_form_that_is_liked(shop: Server) -> None:
    answer = shop.ask("/totals/place", {"Accept": "image/png, application/json;q=0"})
    assert answer.status == 406
    assert "text/csv" in answer.json()["detail"]


def test_nothing_is_sent_twice(shop: Server) -> None:
    first = shop.ask("/totals/place")
    again = shop.ask("/totals/place", {"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["oncefold-commit"] == "2"
    for target in ("/totals/place?depth=0", "/totals/place/FR", "/totals/place?form=csv"):
        assert shop.ask(target, {"If-None-Match": first.headers["etag"]}).status == 200
    past = shop.ask("/totals/place?as_of=1").headers["etag"]
    timed = shop.ask("/totals/place?as_of=2026-03-02T09:00:00.9Z").headers["etag"]
    shop.ingest(lines([{**MONDAY[0], "order": "A-7"}]))
    assert shop.ask("/totals/place", {"If-None-Match": first.headers["etag"]}).json()["commit"] == 3
    assert shop.ask("/totals/place?as_of=1", {"If-None-Match": past}).status == 304
    assert shop.ask("/totals/place?as_of=2026-03-02T09:00:00.9Z", {"If-None-Match": timed}).status == 304


def test_an_answer_is_never_older_than_what_was_acknowledged(shop: Server) -> None:
    for number in range(3, 40):
        shop.ingest(lines([{**MONDAY[0], "order": f"B-{number}"}]))
        for target in ("/totals/place?depth=0", "/totals/place?depth=0", "/status"):
            assert int(shop.ask(target).headers["oncefold-commit"]) == number


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("/totals/place/FR/Pariss", 404, "there is no node FR/Pariss; did you mean FR/Paris?"),
        ("/totals/plaice", 404, "there is no rollup 'plaice'; there is: place"),
        ("/totals/place?as_of=3", 404, "there is no commit 3; the last is 2"),
        ("/totals/place?as_of=soon", 422, "'soon' is neither a commit's number nor a time"),
        ("/totals/place/FR%5Cx", 422, r"'FR\\x': \x is not an escape"),
        ("/totals/place/FR//Paris", 422, "has an empty part"),
        ("/totals/place?deep=1", 422, "there is no parameter 'deep'; this route takes depth, as_of"),
        ("/totals/place?depth=-1", 422, "the parameter depth is '-1'; it must be a whole number from 0 to 100, or"),
        ("/totals/place?depth=1&depth=2", 422, "the parameter depth is given 2 times"),
        ("/totals/place?depth=2&limit=5", 422, "with them depth is 1"),
        ("/totals/place?limit=0", 422, "a whole number from 1 to 10000"),
        ("/totals/place?form=xml", 422, "one of json, jsonl, csv, csv-safe, arrow"),
        ("/series/place?points=0", 422, "points"),
        ("/history/A-9", 404, "no event with the key 'A-9' has arrived"),
        ("/search", 422, "the parameter q is missing"),
        ("/changes?rollup=other", 404, "there is no rollup 'other'"),
        ("/changes?last_event_id=x", 422, "last_event_id"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(shop: Server, target: str, status: int, words: str) -> None:
    answer = shop.ask(target)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert problem.keys() == {"title", "status", "detail", "request_id"}
    assert problem["status"] == status
    assert words in problem["detail"]


def test_other_methods(shop: Server) -> None:
    answer = shop.ask("/totals/place", method="DELETE")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert "it takes GET, HEAD" in answer.json()["detail"]
    assert shop.ask("/verify", method="POST").json()["exact"]
    head = shop.ask("/totals/place", method="HEAD")
    assert (head.status, head.body) == (200, b"")


def test_the_keys_behind_a_total(shop: Server) -> None:
    document = shop.ask("/explain/place/FR?limit=1").json()
    assert (document["count"], document["measures"], document["complete"], document["more"]) == (
        2,
        {"amount": "201.00"},
        False,
        True,
    )
    assert [row["key"] for row in document["rows"]] == ["A-1"]
    rest = shop.ask("/explain/place/FR?limit=1&after=1").json()
    assert ([row["key"] for row in rest["rows"]], rest["more"]) == (["A-2"], False)
    whole = shop.ask("/explain/place?limit=all").json()
    assert whole["complete"]
    assert whole["adds_up"]


def test_what_happened_to_a_key(shop: Server) -> None:
    document = shop.ask("/history/A-2?every=true").json()
    assert [row["outcome"] for row in document["rows"]] == ["inserted", "corrected", "stale"]
    assert document["current"] == {
        "deleted": False,
        "version": "2026-03-03T08:00:00.250000001Z",
        "leaf": "FR/Paris",
        "measures": {"amount": "81.00"},
    }


def test_keys_hold_whatever_they_like(tmp_path: Path) -> None:
    keys = ["a/b", "a//b", "100%", "x\ny", "ü?#", "\x00", "%2F", "tail\n"]
    orders = [{**MONDAY[0], "order": key} for key in keys]
    with serving(tmp_path / "s.db", SHOP, lines(orders)) as server:
        for key in keys:
            assert server.ask(f"/history/{quote(key, safe='')}").json()["key"] == key
            found = server.ask(f"/search?q={quote(key, safe='')}").json()["keys"][0]
            assert (found["key"], found["live"]) == (key, True)


def test_rejects_by_page_and_cut(tmp_path: Path) -> None:
    long = ("ä" * 20_000).encode()
    with serving(tmp_path / "s.db", SHOP, b"no\n" + b'{"xy":"' + long + b'"}\n' + b"\xff\n") as server:
        document = server.ask("/rejects?limit=2").json()
        assert document["total"] == 3
        assert [(row["id"], row["unit"]) for row in document["rows"]] == [(1, "byte"), (2, "byte")]
        cut = document["rows"][1]
        assert cut["size"] == len(long) + 9
        assert cut["raw"] == '{"xy":"' + "ä" * ((16_384 - 7) // 2)
        (last,) = server.ask("/rejects?after=2").json()["rows"]
        assert (last["raw"], last["raw_base64"]) == (None, "/w==")
        assert server.ask("/rejects/1", method="DELETE").json() == {"discarded": 1}
        assert server.ask("/rejects").json()["total"] == 2
        gone = server.ask("/rejects/1", method="DELETE")
        assert (gone.status, gone.headers["content-type"]) == (404, "application/problem+json")
        assert server.ask("/rejects/redrive", method="POST").json()["counts"] == {"rejected": 2}


def test_rejects_are_grouped_by_reason_and_discarded_so(tmp_path: Path) -> None:
    odd = [{**MONDAY[0], "order": f"B-{number}", "amount": f"1.{number + 1:04}"} for number in range(5)]
    with serving(tmp_path / "s.db", SHOP, lines(odd) + b"no\n" * 2) as server:
        document = server.ask("/rejects/reasons").json()
        assert document["total"] == 7
        places, garbage = document["rows"]
        assert places["reason"] == "field amount: ... has more than ... decimal places"
        assert {name: places[name] for name in ("events", "newest", "newest_commit")} == {
            "events": 5, "newest": 5, "newest_commit": 1,
        }  # fmt: skip
        assert (garbage["events"], garbage["newest"]) == (2, 7)
        chosen = quote(places["reason"])
        ids = [row["id"] for row in server.ask(f"/rejects?reason={chosen}&order=newest&limit=2").json()["rows"]]
        assert ids == [5, 4]
        assert server.ask("/rejects?reason=another").json()["rows"] == []
        server.ingest(lines([odd[0]]))
        gone = server.ask(f"/rejects/discard?reason={chosen}&up_to=4", method="POST")
        assert gone.json() == {"discarded": 4}
        assert [(row["events"], row["newest"]) for row in server.ask("/rejects/reasons").json()["rows"]] == [
            (2, 8),
            (2, 7),
        ]
        again = server.ask(f"/rejects/discard?reason={chosen}&up_to=4", method="POST")
        assert (again.status, again.json()) == (200, {"discarded": 0})
        assert server.ask("/rejects/discard?up_to=4", method="POST").status == 422


def listed_rejects(server: Server, order: str, limit: int, after: int = 0) -> list[int]:
    """The ids of a page."""
    found = server.ask(f"/rejects?order={order}&limit={limit}&after={after}").json()
    assert found["total"] == 12
    return [row["id"] for row in found["rows"]]


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 13])
def test_rejects_in_either_order_page_by_page(tmp_path: Path, limit: int) -> None:
    with serving(tmp_path / "s.db", SHOP, b"no\n" * 14) as server:
        for id_ in (3, 14):  # gaps, and the newest gone
            assert server.ask(f"/rejects/{id_}", method="DELETE").status == 200
        ids = [id_ for id_ in range(1, 14) if id_ != 3]
        for order, expected in (("oldest", ids), ("newest", ids[::-1])):
            found: list[int] = []
            while page := listed_rejects(server, order, limit, found[-1] if found else 0):
                assert len(page) <= limit
                found += page
            assert found == expected


def test_rejects_from_any_id_both_ways(tmp_path: Path) -> None:
    with serving(tmp_path / "s.db", SHOP, b"no\n" * 12) as server:
        assert listed_rejects(server, "newest", 3, after=7) == [6, 5, 4]
        assert listed_rejects(server, "oldest", 3, after=7) == [8, 9, 10]
        assert listed_rejects(server, "newest", 3, after=1) == []
        assert listed_rejects(server, "newest", 2, after=10**18 - 1) == [12, 11]
        assert listed_rejects(server, "newest", 0) == []
        assert server.ask("/rejects").body == server.ask("/rejects?order=oldest").body


def test_the_newest_rejects_while_more_come(tmp_path: Path) -> None:
    with serving(tmp_path / "s.db", SHOP, b"no\n" * 4) as server:
        first = server.ask("/rejects?order=newest&limit=2")
        server.ingest(b"late\n")
        second = server.ask("/rejects?order=newest&limit=2&after=3")
        newest = server.ask("/rejects?order=newest&limit=2", {"If-None-Match": first.headers["etag"]})
        assert [[row["id"] for row in page.json()["rows"]] for page in (first, second, newest)] == [
            [4, 3],
            [2, 1],
            [5, 4],
        ]
        assert newest.json()["rows"][0]["raw"] == "late"


def test_the_newest_rejects_as_rows(tmp_path: Path) -> None:
    with serving(tmp_path / "s.db", SHOP, b"one\ntwo\n") as server:
        table = pa.ipc.open_stream(server.ask("/rejects?order=newest&form=arrow").body).read_all()
        assert table.column("raw").to_pylist() == [b"two", b"one"]
        lines_of_text = server.ask("/rejects?order=newest&form=csv").body.decode().splitlines()
        assert [line.split(",")[0] for line in lines_of_text] == ["id", "2", "1"]


@pytest.mark.parametrize("query", ["order=new", "order=", "order=NEWEST", "order=newest&order=oldest", "order=desc"])
def test_no_other_order_of_rejects(shop: Server, query: str) -> None:
    answer = shop.ask(f"/rejects?{query}")
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert "order" in answer.json()["detail"]


def test_status_names_what_there_is(shop: Server) -> None:
    shop.waiting_requests = 7
    document = shop.ask("/status").json()
    assert document["rollups"] == [{"name": "place", "levels": ["country", "city"]}]
    assert document["measures"] == [{"name": "amount", "kind": "sum", "scale": 2}]
    assert (document["waiting_requests"], document["events"]) == (7, 11)
    assert document["counts"]["conflict_lost"] == 1
    assert shop.ask("/conflicts").json()["rows"][0]["kept_measures"] == {"amount": "1999.99"}


def test_what_a_part_of_a_name_finds(shop: Server) -> None:
    document = shop.ask("/search?q=au").json()
    austin = {"rollup": "place", "path": "US/Austin", "count": 1, "measures": {"amount": "100000000.01"}}
    assert document["nodes"] == [austin]
    assert [key["key"] for key in shop.ask("/search?q=A-").json()["keys"]] == ["A-6", "A-5", "A-3", "A-2", "A-1"]
    deleted = {"key": "A-5", "live": False, "version": "2026-03-03T08:30:00Z", "leaf": None, "measures": {}}
    assert shop.ask("/search?q=A-5").json()["keys"] == [deleted]
    assert shop.ask("/search?q=" + quote("%")).json()["nodes"] == []


def test_a_measure_named_like_a_member(tmp_path: Path) -> None:
    pipeline = parse_toml("""
        name = "odd"
        [event]
        key = "k"
        [rollups]
        r = ["a"]
        [measures]
        children = { sum = "v", scale = 0 }
        sum_children = { sum = "v", scale = 1 }
        """)
    with serving(tmp_path / "s.db", pipeline, b'{"k":"1","a":"x","v":7}\n') as server:
        document = server.ask("/totals/r").json()
        assert document["scales"] == {"children": 0, "sum_children": 1}
        assert document["rows"][0]["children"] == 1
        assert document["rows"][0]["measures"]["children"] == "7"
        assert server.ask("/series/r").json()["points"][-1]["measures"]["sum_children"] == "7.0"


def test_an_empty_store_and_several_trees(tmp_path: Path) -> None:
    with serving(tmp_path / "s.db", TWO_TREES) as server:
        document = server.ask("/totals/by_region").json()
        assert (document["commit"], document["commit_time"], document["newest_event"]) == (0, None, None)
        assert [(row["count"], row["measures"]["tiny"]) for row in document["rows"]] == [(0, "0.000000000000000000")]
        assert server.ask("/series/by_type").json()["points"][-1]["count"] == 0
        assert server.ask("/search?q=x").json()["nodes"] == []
        server.ingest(b'{"book":"b","id":"1","v":1,"type":"t","region":"r","value":"1.5"}\n')
        assert [row["path"] for row in server.ask("/totals/by_type?depth=all").json()["rows"]] == ["", "t", "t/r"]
        assert Decimal(server.ask("/explain/by_region/r").json()["measures"]["value"]) == Decimal("1.50")
