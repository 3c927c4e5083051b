"""docs/SERVE_API.md is true: each request in it is made, and its answer is what the page shows."""

import json
import re
from pathlib import Path

import pytest

from oncefold.queries import series, store_reader
from oncefold.queries.changes import notices
from oncefold.serve.answers import keys, nodes
from oncefold.serve.answers.changes import endpoint
from tests.serve.answers.server import Server

PAGE = (Path(__file__).parents[3] / "docs" / "SERVE_API.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```http\n(GET) (\S+)\n```\n\n```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
ONLY_SOME = {"/status"}
"""Of these the page shows some members."""


@pytest.mark.parametrize(("method", "target", "form", "text"), EXAMPLES, ids=[example[1] for example in EXAMPLES])
def test_the_page_shows_what_comes(shop: Server, method: str, target: str, form: str, text: str) -> None:
    body = shop.ask(target, method=method).body.decode()
    if form != "json":
        assert body == text
        return
    found, shown = json.loads(body), json.loads(text)
    for document in (found, shown):
        document.pop("request_id", None)
    if target in ONLY_SOME:
        found = {name: found[name] for name in shown}
    assert found == shown


def test_the_page_has_an_example_of_each_question(shop: Server) -> None:
    shown = {target.split("/")[1].partition("?")[0] for _, target, _, _ in EXAMPLES}
    assert shown == {"totals", "series", "explain", "history", "search", "rejects", "status", "verify"}


def test_the_page_states_the_limits() -> None:
    words = " ".join(PAGE.split())
    for text in (
        f"at most {nodes.MOST_POINTS}) commits",
        f"1 to {nodes.MOST_PAGE:,}",
        f"up to {nodes.MOST_NODES:,} nodes",
        f"`all` is {nodes.MOST_KEYS:,}",
        f"{series.MOST_DELTAS:,} rows of deltas",
        f"first {store_reader.MOST_SEARCHED:,} nodes",
        f"some {store_reader.NEWEST_KEYS:,} of the newest",
        f"first {keys.RAW_BYTES:,} bytes",
        f"up to {endpoint.MOST_PATHS:,} times",
        f"more than {notices.MOST_ROWS:,} nodes",
        f"after {endpoint.KEEP_ALIVE_SECONDS:.0f} seconds",
    ):
        assert text in words
