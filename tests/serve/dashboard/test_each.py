"""Keys of several leaves on the page: the node is said to be no sum, and every leaf is a link."""

import json

import pytest
from playwright.sync_api import expect

from tests.serve.dashboard.browsing import post, visiting
from tests.serve.running import Running
from tests.tools.sizes import full_only

ORDERS = """
name = "orders"
[event]
key = "id"
version = "v"
[rollups]
tags = ["region", { each = "tags", missing = "(none)" }]
plain = ["region"]
[measures]
amount = { sum = "amount", scale = 2 }
"""


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    with Running(tmp_path_factory.mktemp("orders"), pipeline=ORDERS) as running:
        events = [
            {"id": "A", "v": 1, "region": "EU", "tags": ["red", "big"], "amount": 5},
            {"id": "B", "v": 1, "region": "EU", "tags": ["red"], "amount": 7},
        ]
        post(running, *(json.dumps(one).encode() + b"\n" for one in events))
        yield running


@full_only("a server of its own, 3 s")
def test_a_node_is_no_sum_of_its_lines_and_every_leaf_is_a_link(browser, orders):
    with visiting(browser, orders) as visit:
        visit.open("#/totals/tags/EU")
        visit.shows("12.00", "amount")
        visit.shows_line("EU/red", "12.00", "amount")
        visit.shows_line("EU/big", "5.00", "amount")
        said = "A key counts once for each of its tags[], and once in the nodes above: their totals are not the sums"
        expect(visit.page.get_by_text(said)).to_be_visible()
        visit.open("#/totals/tags/EU?tab=keys")
        expect(visit.page.get_by_text("These are all 2 keys; the values add up to the total exactly.")).to_be_visible()
        row = visit.page.locator("tr", has=visit.page.get_by_role("link", name="A", exact=True))
        assert [link.inner_text() for link in row.locator('td[data-head="leaf"] a').all()] == ["big", "red"]
        row.get_by_role("link", name="big").click()
        visit.address_has("#/totals/tags/EU/big")
        visit.shows("5.00", "amount")
        visit.open("#/key/A")
        counts = visit.page.locator(".standing")
        expect(counts.get_by_role("link")).to_have_count(3)
        counts.get_by_role("link", name="red").click()
        visit.address_has("#/totals/tags/EU/red")
        visit.open("#/totals/plain")
        visit.shows_line("EU", "12.00", "amount")
        expect(visit.page.get_by_text("A key counts once for each")).to_have_count(0)
