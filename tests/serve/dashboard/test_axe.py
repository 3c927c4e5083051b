"""Every view before axe-core: no finding, in light and dark, on a phone and on a desktop."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.serve.dashboard.browsing import DESKTOP, PHONE, SHOP, event, post, visiting
from tests.serve.running import Running
from tests.tools.sizes import full_only

pytestmark = full_only("twenty views or more, 25 s")
WINDOWS = 'months = [{ field = "at", window = "1mo" }, { field = "at", window = "1d" }]\n'

VIEWS = {
    "totals": "",
    "sorted": "#/totals/risk?sort=value&order=ascending&top=10&filter=a",
    "windows": "#/totals/months",
    "keys": "#/totals/risk/Delta?tab=keys",
    "past": "#/totals/risk?as_of=1",
    "key": "#/key/k0?every=1",
    "rejects": "#/rejects",
    "reason": "#/rejects?reason=field%20value%3A%20...%20has%20more%20than%20...%20decimal%20places",
    "conflicts": "#/conflicts",
    "search": "#/search?q=k",
    "missing": "#/totals/risk/Nowhere",
    "wall": "#/wall?node=risk/Delta&node=months",
    "unknown": "#/nowhere",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    definition = SHOP.replace("[rollups]\n", f"[rollups]\n{WINDOWS}")
    with Running(tmp_path_factory.mktemp("axe"), pipeline=definition) as server:
        post(
            server,
            *(event(f"k{number}", 1, f"{number}.50", f"{kind}/FX/EMEA") for number, kind in enumerate(("Delta", "PV"))),
        )
        post(server, event("k0", 2, "100.00"), event("k0", 2, "-90.00"), event("bad", 1, "1.505"))
        yield server


def findings(visit) -> list[str]:
    found = Axe().run(visit.page).response["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(
    ("scheme", "size"),
    [
        pytest.param("light", DESKTOP, id="light-desktop"),
        pytest.param("dark", PHONE, id="dark-phone"),
        pytest.param("dark", DESKTOP, id="dark-desktop"),
        pytest.param("light", PHONE, id="light-phone"),
    ],
)
def test_axe_finds_nothing(browser, filled, scheme, size):
    with visiting(browser, filled, color_scheme=scheme, viewport=size) as visit, visit.may_fail("404"):
        for name, view in VIEWS.items():
            visit.page.goto("about:blank")
            visit.open(view)
            expect(visit.page.locator("main .empty", has_text="Loading")).to_have_count(0)
            assert findings(visit) == [], name
        visit.open()
        visit.page.locator(".menu summary").click()
        visit.page.keyboard.press("Escape")
        for key in ("a", "?"):
            visit.page.keyboard.press(key)
            expect(visit.page.get_by_role("dialog")).to_be_visible()
            assert findings(visit) == [], key
            visit.page.keyboard.press("Escape")
