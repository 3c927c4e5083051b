"""The server as a process: it starts, takes events, and ends as it should."""

from pathlib import Path

from tests.serve.running import Running
from tests.tools.sizes import full_only

EVENT = (
    b'{"TradeID":"a","Value":1.51,"Version":3,"Timestamp":1616413258.8997,'
    b'"Hierarchy":{"RiskType":"PV","Region":"AMER","TradeDesk":"FXSpot"}}'
)


@full_only("two starts of a server, 8 s")
def test_a_server_takes_events_and_ends(tmp_path: Path) -> None:
    with Running(tmp_path) as server:
        answer = server.post(EVENT)
        assert (answer.status, answer.document["counts"]) == (200, {"inserted": 1})
        again = server.post(b"[" + EVENT + b",\n" + EVENT + b"]", content_type="application/json")
        assert again.document["counts"] == {"duplicate": 2}
    with Running(tmp_path) as server:
        assert server.post(EVENT).document == {
            "commit": 3, "events": 1, "counts": {"duplicate": 1}, "rejects": [], "rejects_left_out": 0
        }  # fmt: skip
