"""The OpenAPI description is true: schemathesis asks what it says may be asked, and judges the answers by it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.serve.answers.server import HOST, Server
from tests.serve.running import Running
from tests.tools.sizes import full_only

_CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method"
)
_SETTINGS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 414, 415, 422, 431]
"""


def events() -> bytes:
    return b"".join(
        json.dumps(
            {
                "TradeID": f"T-{number}",
                "Value": number / 4,
                "Version": 1,
                "Timestamp": 1_616_413_258.5,
                "Hierarchy": {"RiskType": risk, "Region": "EMEA", "TradeDesk": "FXSpot"},
            }
        ).encode()
        + b"\n"
        for number, risk in enumerate(["Delta", "PV", "", "a/b"])
    )


@full_only("schemathesis, 7 s of examples alone")
def test_answers_are_as_described(tmp_path: Path) -> None:
    """Of the whole server, but for `/changes`, which never ends."""
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(_SETTINGS)
    with Running(tmp_path) as server:
        assert server.post(events() + b"not an event\n").status == 200
        done = judged(f"http://{HOST}:{server.port}/openapi.json", settings)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


def judged(url: str, settings: Path) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", settings, "run", url),
        *("--exclude-path-regex", "^/changes", "--checks", _CHECKS),
        *("--max-examples", "10", "--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color"),
        *("--generation-database", "none", "--request-timeout", "30"),
    ]
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        command, cwd=settings.parent, env=quiet, capture_output=True, text=True, timeout=300, check=False
    )


def test_every_route_is_described(shop: Server) -> None:
    document = shop.ask("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {
        *("/totals/{rollup}", "/totals/{rollup}/{path}", "/series/{rollup}", "/series/{rollup}/{path}"),
        *("/explain/{rollup}", "/explain/{rollup}/{path}", "/history/{key}", "/search", "/rejects", "/rejects/redrive"),
        *(
            "/rejects/{id}",
            "/rejects/reasons",
            "/rejects/discard",
            "/conflicts",
            "/status",
            "/verify",
            "/changes",
            "/events",
            "/redefine",
            "/healthz",
            "/readyz",
            "/metrics",
        ),
        "/openapi.json",
    }
    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names)
    assert all(one["summary"] for one in operations)


def test_the_order_of_rejects_is_described(shop: Server) -> None:
    described = shop.ask("/openapi.json").json()["paths"]["/rejects"]["get"]
    parameters = {parameter["name"]: parameter for parameter in described["parameters"]}
    assert parameters["order"]["schema"] == {"type": "string", "enum": ["oldest", "newest"]}
    assert "oldest, by rising ids, if not given" in parameters["order"]["description"]
    assert not parameters["order"].get("required", False)
    assert "order=newest" in parameters["after"]["description"]
    assert "order=newest" in described["description"]
