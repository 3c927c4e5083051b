"""The chart of a node, by windows and by commits, with its ranges; and the past, which is one time on the page."""

import json
import re
from datetime import date, timedelta

import pytest
from playwright.sync_api import expect

from tests.serve.dashboard.browsing import event, post, visiting
from tests.serve.running import Running
from tests.tools.sizes import full_only

SALES = """
name = "sales"
[event]
key = "id"
version = "v"
time = "at"
[rollups]
months = [{ field = "at", window = "1mo", missing = "never" }, { field = "at", window = "1d", missing = "never" }]
places = ["country", { field = "at", window = "1w", missing = "never" }]
plain = ["country"]
[measures]
amount = { sum = "amount", scale = 2 }
mean = { avg = "rating", scale = 1 }
"""
FIRST, DAYS = date(2025, 1, 6), 420
"""A Monday, and so many days from it on have an event."""


def sale(number: int, version: int = 1, amount: str = "1000000.00", **fields: object) -> bytes:
    day = FIRST + timedelta(days=number)
    rating = None if day.month == 5 else number % 5
    own = {"at": f"{day}T12:00:00Z", "country": "AB"[number % 2], "rating": rating, **fields}
    return json.dumps({"id": f"S{number}", "v": version, "amount": amount, **own}).encode() + b"\n"


@pytest.fixture(scope="module")
def sales(tmp_path_factory):
    """One year and more, filled in by two commits."""
    with Running(tmp_path_factory.mktemp("sales"), pipeline=SALES) as server:
        half = DAYS // 2
        assert server.post(b"".join(map(sale, range(half)))).status == 200
        late = sale(9_000).replace(b'"at": "20', b'"then": "20')
        assert server.post(b"".join([*map(sale, range(half, DAYS)), late])).status == 200
        yield server


@pytest.fixture
def visit(browser, sales):
    with visiting(browser, sales) as found:
        yield found


def labels(visit) -> list[str]:
    return visit.page.locator(".timeline text").all_text_contents()


def window(visit):
    return visit.page.get_by_role("slider", name="Window")


def months() -> dict[str, int]:
    found: dict[str, int] = {}
    for number in range(DAYS):
        label = str(FIRST + timedelta(days=number))[:7]
        found[label] = found.get(label, 0) + 1
    return found


def test_a_backfill_is_drawn_by_its_windows(visit):
    visit.open("#/totals/months")
    expect(window(visit)).to_have_attribute("max", str(len(months()) - 1))
    expect(visit.page.get_by_text("Not drawn: never.")).to_be_visible()
    shown = labels(visit)
    assert {"0", "20 m"} <= set(shown)
    assert all(re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?( [km])?|[A-Z][a-z]{2} 202[56]|202[56]", text) for text in shown), (
        shown
    )
    window(visit).focus()
    visit.page.keyboard.press("Home")
    for label, days in list(months().items())[:4]:
        expect(window(visit)).to_have_attribute("aria-valuetext", f"amount {days}000000.00 in {label}")
        visit.page.keyboard.press("ArrowRight")
    visit.page.get_by_role("link", name="Show 2025-05").click()
    expect(visit.page.locator("h1")).to_have_text("2025-05")
    expect(window(visit)).to_have_attribute("max", "30")
    expect(visit.page.locator(".timeline .column")).to_have_count(1)


@full_only("2 s")
def test_steps_and_ranges_can_be_chosen_and_stay(visit):
    visit.open("#/totals/months")
    steps, ranges = visit.page.get_by_label("Steps"), visit.page.get_by_label("Range")
    expect(steps.locator("option")).to_have_text(["By month", "By day", "By commit"])
    steps.select_option("By day")
    expect(window(visit)).to_have_attribute("max", str(DAYS - 1))
    ranges.select_option("last 30 days")
    expect(window(visit)).to_have_attribute("max", "29")
    visit.address_has("chart=1d&range=30d")
    visit.page.reload()
    expect(window(visit)).to_have_attribute("max", "29")
    expect(ranges).to_have_value("30d")
    visit.page.get_by_label("Measure").select_option("mean (avg)")
    # Averages of months are no average of their days: by days below several months there is none.
    expect(steps.locator("option")).to_have_text(["By month", "By commit"])


def test_commits_have_times_and_come_from_the_server_for_the_range(visit):
    with visit.page.expect_request(lambda request: "/series/plain" in request.url and "since=" in request.url):
        visit.open("#/totals/plain/A?chart=commits&range=1h")
    slider = visit.page.get_by_role("slider", name="Commit")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"amount 211000000\.00 as of commit 2,"))
    assert any(re.search(r"[0-9]{1,2} [A-Z][a-z]{2} [0-9]{2}:[0-9]{2}", text) for text in labels(visit))
    expect(visit.page.get_by_label("Range")).to_have_value("1h")


@full_only("1 s")
def test_the_root_is_drawn_by_windows_of_another_tree(visit):
    visit.open("#/totals/plain")
    expect(visit.page.get_by_label("Steps").locator("option")).to_have_text(["By month", "By commit"])
    expect(window(visit)).to_have_attribute("max", str(len(months()) - 1))
    visit.open("#/totals/places")
    visit.page.get_by_label("Steps").select_option("By week")
    expect(window(visit)).to_have_attribute("max", str(DAYS // 7 - 1))
    expect(window(visit)).to_have_attribute("aria-valuetext", re.compile(r"amount 7000000\.00 in 2026-"))


@full_only("1 s")
def test_a_window_without_a_value_is_a_gap_and_a_dash(visit):
    visit.open("#/totals/months?measure=mean")
    window(visit).focus()
    visit.page.keyboard.press("Home")
    for _ in range(4):
        visit.page.keyboard.press("ArrowRight")
    expect(window(visit)).to_have_attribute("aria-valuetext", "mean \N{EN DASH} in 2025-05")
    expect(visit.page.locator(".over-time output")).to_have_text("\N{EN DASH}")
    expect(visit.value("2025-05", "mean")).to_have_text("\N{EN DASH}")


@full_only("6 s")
def test_windows_go_on_while_events_come(browser, tmp_path):
    with Running(tmp_path, pipeline=SALES) as server, visiting(browser, server) as visit:
        post(server, sale(0), sale(40))
        visit.open("#/totals/months")
        visit.is_live()
        expect(window(visit)).to_have_attribute("max", "1")
        post(server, sale(70), sale(0, 2, "5.00"))
        expect(window(visit)).to_have_attribute("max", "2")
        window(visit).focus()
        visit.page.keyboard.press("Home")
        expect(window(visit)).to_have_attribute("aria-valuetext", "amount 5.00 in 2025-01")


@full_only("2 s")
def test_the_past_is_one_time_on_the_page(visit):
    visit.open("#/totals/months")
    visit.page.get_by_role("button", name="As of…").click()
    visit.page.get_by_label("Commit or time").fill("1")
    visit.page.get_by_role("button", name="Show", exact=True).click()
    half = DAYS // 2
    visit.shows(f"{half}000000.00", "amount")
    banner, side = visit.page.locator("#banner"), visit.page.get_by_role("complementary", name="Activity")
    expect(banner).to_contain_text("Totals as of commit 1")
    expect(side.locator("dd").first).to_have_text("1")
    expect(side).not_to_contain_text("Newest rejects")
    expect(side).not_to_contain_text("per second")
    time = banner.locator("time").get_attribute("datetime")
    expect(side.locator("time")).to_have_attribute("datetime", time)
    expect(visit.page.locator("#connection")).to_have_text("The past")
    last = str(FIRST + timedelta(days=half - 1))[:7]
    expect(window(visit)).to_have_attribute("aria-valuetext", re.compile(rf"in {last}$"))
    visit.page.get_by_role("link", name="Back to now").click()
    expect(side).to_contain_text("Newest rejects")
    expect(visit.page.locator("#connection")).to_have_text("Live")


@full_only("a server of its own, 4 s")
def test_a_date_can_be_picked_beside_the_commit(browser, server):
    with visiting(browser, server) as visit:
        post(server, event("a", 1, "1.00"))
        post(server, event("a", 2, "2.00"))
        visit.open("#/totals/risk?as_of=1")
        visit.shows("1.00")
        banner = visit.page.locator("#banner")
        banner.get_by_label("Commit").fill("2")
        banner.get_by_label("Commit").press("Tab")
        visit.shows("2.00")
        visit.address_has("as_of=2")
        banner.get_by_label("Date and time, UTC").fill("2020-01-01T00:00:00")
        banner.get_by_label("Date and time, UTC").press("Tab")
        visit.shows("0.00")
        expect(banner).to_contain_text("commit 0")
        visit.page.get_by_role("button", name="As of…").click()
        visit.page.get_by_label("Pick a date and time, UTC").fill("2100-01-01T00:00:00")
        expect(visit.page.get_by_label("Commit or time")).to_have_value("2100-01-01T00:00:00Z")
