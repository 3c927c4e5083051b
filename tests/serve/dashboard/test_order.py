"""Sorting, the first so many, filters, bars and shares of the children of a node, be they few or very many."""

import pytest
from playwright.sync_api import expect

from tests.serve.dashboard.browsing import visiting
from tests.serve.running import Running
from tests.tools.sizes import full_only

CHILDREN = 1_200

MANY = """
name = "many"
[event]
key = "id"
version = "v"
[rollups]
flat = ["id"]
deep = ["half", "id"]
[measures]
value = { sum = "value", scale = 2 }
lots = { sum = "lots" }
mean = { avg = "rating", scale = 1 }
least = { min = "rating", scale = 0 }
"""


def line(number: int, version: int = 1, value: str | None = None) -> bytes:
    """A child; its value is another order than its name, and every third has no rating."""
    own = value or f"{number * 7919 % CHILDREN}.25"
    rating = "null" if number % 3 == 0 else str(number % 5)
    fields = f'"half": "H{number % 2}", "lots": {number % 10}, "rating": {rating}'
    return f'{{"id": "N{number:04d}", "v": {version}, {fields}, "value": {own}}}\n'.encode()


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    with Running(tmp_path_factory.mktemp("many"), pipeline=MANY) as server:
        assert server.post(b"".join(map(line, range(CHILDREN)))).status == 200
        yield server


@pytest.fixture
def visit(browser, many):
    with visiting(browser, many) as found:
        yield found


def by_value(*, descending: bool = True) -> list[str]:
    order = sorted(range(CHILDREN), key=lambda number: number * 7919 % CHILDREN, reverse=descending)
    return [f"N{number:04d}" for number in order]


def shown(visit, first: int) -> list[str]:
    return [row.get_attribute("data-path") for row in visit.page.locator(".tree .line.node").all()[:first]]


TAGS = """
name = "orders"
[event]
key = "id"
[rollups]
tags = ["region", { each = "tags", missing = "(none)" }]
[measures]
amount = { sum = "amount", scale = 2 }
"""


def heading(visit, name):
    return visit.page.get_by_role("columnheader", name=name, exact=True)


@full_only("a thousand lines four times, 6 s")
def test_the_header_tells_the_truth_of_more_children_than_are_here(visit):
    visit.open("#/totals/flat")
    visit.shows_line("N0000", "0.25")
    expect(heading(visit, "id")).to_have_attribute("aria-sort", "ascending")
    visit.page.get_by_role("button", name="value", exact=True).click()
    expect(visit.line(by_value()[0])).to_be_visible()
    assert shown(visit, 10) == by_value()[:10]
    expect(heading(visit, "value")).to_have_attribute("aria-sort", "descending")
    expect(heading(visit, "id")).to_have_attribute("aria-sort", "none")
    visit.page.get_by_role("button", name="value", exact=True).click()
    expect(visit.line(by_value(descending=False)[0])).to_be_visible()
    assert shown(visit, 10) == by_value(descending=False)[:10]
    expect(heading(visit, "value")).to_have_attribute("aria-sort", "ascending")
    visit.address_has("sort=value&order=ascending")
    visit.page.reload()
    expect(visit.line(by_value(descending=False)[0])).to_be_visible()
    assert shown(visit, 10) == by_value(descending=False)[:10]
    visit.page.get_by_role("button", name="id", exact=True).click()
    expect(heading(visit, "id")).to_have_attribute("aria-sort", "ascending")
    assert shown(visit, 3) == ["N0000", "N0001", "N0002"]
    visit.page.get_by_role("button", name="id", exact=True).click()
    expect(visit.line(f"N{CHILDREN - 1:04d}")).to_be_visible()
    expect(heading(visit, "id")).to_have_attribute("aria-sort", "descending")


@full_only("a thousand lines, 4 s")
def test_more_of_an_order_comes_in_that_order(visit):
    visit.open("#/totals/flat?sort=value")
    expect(visit.line(by_value()[0])).to_be_visible()
    visit.page.keyboard.press("g")
    visit.page.keyboard.press("End")
    button = visit.page.get_by_role("button", name=f"Show more of the {CHILDREN - 500:,} that are left")
    expect(button).to_be_visible()
    visit.page.keyboard.press("Enter")
    expect(visit.line(by_value()[500])).to_be_focused()
    visit.page.keyboard.press("End")
    visit.page.keyboard.press("Enter")
    expect(visit.line(by_value()[1_000])).to_be_focused()
    visit.page.keyboard.press("End")
    expect(visit.line(by_value()[-1])).to_be_focused()


def test_the_first_so_many_and_a_filter_come_from_the_server(visit):
    visit.open("#/totals/flat?sort=value")
    expect(visit.line(by_value()[0])).to_be_visible()
    visit.page.get_by_label("Show").select_option("first 10")
    tree = visit.page.get_by_role("treegrid")
    expect(tree).to_have_attribute("aria-rowcount", "12")  # and the heading, and what is left
    assert shown(visit, 11) == by_value()[:10]
    with visit.page.expect_request(lambda request: "filter=77" in request.url and "limit=10" in request.url):
        visit.page.get_by_label("Filter by name").fill("77")
    expected = [name for name in by_value() if "77" in name]
    expect(visit.line(expected[0]).locator(".fill")).to_have_attribute("style", "width: 100%;")
    expect(visit.line(expected[0])).to_be_visible()
    expect(visit.line(by_value()[0])).to_have_count(0)
    assert shown(visit, 11) == expected[:10]
    visit.address_has(r"top=10.*|filter=77")
    visit.page.reload()
    expect(visit.line(expected[0])).to_be_visible()
    assert shown(visit, 11) == expected[:10]
    visit.page.get_by_label("Filter by name").fill("nowhere")
    expect(visit.page.get_by_text("Nothing here has this in its name.")).to_be_visible()


@full_only("a thousand lines, 6 s")
def test_an_order_stays_true_while_totals_change(browser, many):
    with visiting(browser, many) as visit:
        visit.open("#/totals/flat?sort=lots&top=10")
        visit.is_live()
        expect(visit.line("N0009")).to_be_visible()
        risen = line(700, 2).replace(b'"lots": 0', b'"lots": 5000')
        assert many.post(risen).status == 200
        expect(visit.line("N0700")).to_be_visible()
        assert shown(visit, 1) == ["N0700"]
        assert many.post(line(700, 3)).status == 200
        expect(visit.line("N0700")).to_have_count(0)


@full_only("2 s")
def test_bars_are_as_long_as_in_comparison_to_the_greatest_of_all_siblings(visit):
    visit.open("#/totals/flat?measure=value")
    visit.shows_line("N0000", "0.25")

    def wide(path):
        return visit.page.evaluate(
            "(path) => parseFloat(document.querySelector(`[data-path=${path}] .fill`).style.width)", path
        )

    greatest = CHILDREN - 1 + 0.25
    own = 3 * 7919 % CHILDREN + 0.25
    expect(visit.line("N0003").locator(".fill")).to_have_attribute("style", f"width: {own * 1e4 // greatest / 100:g}%;")
    assert wide("N0000") < 0.1
    visit.page.get_by_role("button", name="value", exact=True).click()
    first, second = by_value()[:2]
    expect(visit.line(first).locator(".fill")).to_have_attribute("style", "width: 100%;")
    assert 99 < wide(second) < 100
    total = sum(number + 0.25 for number in range(CHILDREN))
    expect(visit.line(first).locator(".percent")).to_have_text(f"{greatest / total * 100:.1f} %")
    expect(heading(visit, "Share of parent")).to_be_visible()


def test_what_does_not_add_up_has_no_share_and_what_is_not_there_is_a_dash(visit):
    visit.open("#/totals/deep?measure=mean")
    expect(visit.line("H0").locator(".percent")).to_have_text("\N{EN DASH}")
    visit.open("#/totals/deep/H0?measure=least&sort=least")
    expect(visit.line("H0/N0004")).to_be_visible()
    expect(visit.value("H0/N0004", "least")).to_have_attribute("data-exact", "4")
    visit.page.get_by_role("button", name="least", exact=True).click()
    expect(heading(visit, "least")).to_have_attribute("aria-sort", "ascending")
    visit.page.keyboard.press("g")
    visit.page.keyboard.press("End")
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("treegrid")).to_have_attribute("aria-rowcount", str(CHILDREN // 2 + 1))
    visit.page.keyboard.press("End")
    last = f"H0/N{max(n for n in range(CHILDREN) if n % 6 == 0):04d}"
    expect(visit.value(last, "least")).to_have_text("\N{EN DASH}")
    expect(visit.value(last, "mean")).to_have_text("\N{EN DASH}")
    expect(visit.line(last).locator(".percent")).to_have_text("\N{EN DASH}")


@full_only("a server of its own, 4 s")
def test_nodes_of_an_array_have_no_share_of_what_is_above_them(browser, tmp_path):
    orders = [
        b'{"id": "1", "region": "north", "tags": ["red", "big"], "amount": 30}',
        b'{"id": "2", "region": "north", "tags": ["red"], "amount": 10}',
        b'{"id": "3", "region": "south", "tags": [], "amount": 60}',
    ]
    with Running(tmp_path, pipeline=TAGS) as server, visiting(browser, server) as visit:
        assert server.post(b"\n".join(orders)).status == 200
        visit.open("#/totals/tags?sort=amount")
        visit.shows("100.00", "amount")
        expect(visit.line("north").locator(".percent")).to_have_text("40.0 %")
        for path, amount in {"north/red": "40.00", "north/big": "30.00"}.items():
            visit.shows_line(path, amount, "amount")
            expect(visit.line(path).locator(".percent")).to_have_text("\N{EN DASH}")
        expect(visit.line("north/red").locator(".fill")).to_have_attribute("style", "width: 100%;")
        expect(visit.line("north/big").locator(".fill")).to_have_attribute("style", "width: 75%;")
        visit.open("#/key/1")
        expect(visit.page.locator(".history .leaf")).to_have_text("region north tags[] (big, red)")
