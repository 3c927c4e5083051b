"""The page without a mouse, and for those who hear it."""

import pytest
from playwright.sync_api import expect

from tests.serve.dashboard.browsing import PHONE, SHOP, event, post, visiting
from tests.serve.running import Running
from tests.tools.sizes import full_only

pytestmark = full_only("a server and a browser page for each, 8 s")

NAMELESS = """() => [...document.querySelectorAll('a, button, input, select, [tabindex="0"], [role="row"]')]
    .filter((element) => element.checkVisibility() && element.getAttribute('role') !== 'row')
    .filter((element) => !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length))
    .map((element) => element.outerHTML)"""

CONTRASTS = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const parsed = (text) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = text;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return { rgb: [r, g, b], a: a / 255 };
    };
    const light = ({ rgb }) => {
        const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = parsed(getComputedStyle(at).backgroundColor);
            if (colour.a > 0.95) return colour;
        }
        return parsed('white');
    };
    const found = [];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility() || element.closest('.unseen, .skip, option')) continue;
        const [a, b] = [light(parsed(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        const name = element.className || element.tagName;
        if (ratio < 4.5) found.push(`${name}: ${ratio.toFixed(2)} ${element.textContent.slice(0, 30)}`);
    }
    return [...new Set(found)];
}"""


def fill(server):
    """Three levels of nodes, and one of everything else there is to see."""
    places = [
        f"{kind}/{desk}/{region}" for kind in ("Delta", "PV") for desk in ("FX", "Rates") for region in ("APAC", "EMEA")
    ]
    post(server, *(event(f"k{i}", 1, f"{i + 1}.00", place) for i, place in enumerate(places)))
    post(server, event("k0", 2, "100.00", places[0]), event("k0", 2, "90.00", places[0]), event("bad", 1, "1.505"))
    return server


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A server that only is read from."""
    with Running(tmp_path_factory.mktemp("filled"), pipeline=SHOP) as server:
        yield fill(server)


@pytest.fixture
def visit(browser, filled):
    with visiting(browser, filled) as found:
        yield found


@pytest.fixture
def moving(browser, server):
    """A page of a server of its own, to which more is sent."""
    with visiting(browser, fill(server)) as found:
        yield found


def path_with_focus(visit):
    return visit.page.evaluate("document.activeElement.closest('.line')?.dataset.path ?? null")


def press(visit, *keys):
    for key in keys:
        visit.page.keyboard.press(key)


def test_the_tree_is_walked_opened_and_closed_by_keys(visit):
    visit.open("#/totals/risk")
    visit.shows_line("PV/Rates/EMEA", "8.00")
    press(visit, "g")
    assert path_with_focus(visit) == "Delta"
    press(visit, "ArrowDown", "ArrowDown")
    assert path_with_focus(visit) == "Delta/FX/APAC"
    press(visit, "ArrowLeft")
    assert path_with_focus(visit) == "Delta/FX"
    press(visit, "ArrowLeft")
    expect(visit.line("Delta/FX")).to_have_attribute("aria-expanded", "false")
    expect(visit.line("Delta/FX/APAC")).to_have_count(0)
    press(visit, "ArrowRight")
    expect(visit.line("Delta/FX/APAC")).to_have_count(1)
    press(visit, "ArrowRight")
    assert path_with_focus(visit) == "Delta/FX/APAC"
    press(visit, "End")
    assert path_with_focus(visit) == "PV/Rates/EMEA"
    press(visit, "Home")
    assert path_with_focus(visit) == "Delta"
    press(visit, "Space")
    expect(visit.line("Delta")).to_have_attribute("aria-expanded", "false")
    assert path_with_focus(visit) == "Delta"


def test_from_the_tree_to_a_key_by_keys_alone(visit):
    visit.open("#/totals/risk")
    visit.shows_line("PV/Rates/EMEA", "8.00")
    press(visit, "g", "End", "Enter")
    expect(visit.page.locator("h1")).to_have_text("EMEA")
    expect(visit.page.locator("h1")).to_be_focused()
    expect(visit.page.get_by_role("link", name="k7")).to_be_visible()
    for _ in range(12):
        press(visit, "Tab")
        if visit.page.evaluate("document.activeElement.textContent") == "k7":
            break
    press(visit, "Enter")
    expect(visit.page.locator("h1")).to_have_text("k7")
    press(visit, "?")
    expect(visit.page.get_by_role("dialog", name="Keys")).to_be_visible()
    press(visit, "Escape")
    expect(visit.page.get_by_role("dialog")).to_have_count(0)
    press(visit, "g")
    expect(visit.page.locator("h1")).to_have_text("Total")


def test_focus_stays_where_it_is_while_totals_change(server, moving):
    moving.open("#/totals/risk")
    moving.shows_line("PV/Rates/EMEA", "8.00")
    moving.is_live()
    press(moving, "g", "ArrowDown")
    post(server, event("new", 1, "5.00", "Delta/AA/APAC"), event("k7", 2, "9.00", "PV/Rates/EMEA"))
    moving.shows_line("Delta/AA", "5.00")
    assert path_with_focus(moving) == "Delta/FX"


def test_lines_say_where_they_are(visit):
    visit.open("#/totals/risk")
    visit.shows_line("PV/Rates/EMEA", "8.00")
    tree = visit.page.get_by_role("treegrid", name="Nodes and their totals")
    expect(tree).to_have_attribute("aria-rowcount", "15")
    found = visit.line("Delta/Rates")
    for name, value in {"aria-level": "2", "aria-posinset": "2", "aria-setsize": "2", "aria-expanded": "true"}.items():
        expect(found).to_have_attribute(name, value)
    assert visit.page.locator('.tree .line[tabindex="0"]').count() == 1
    expect(visit.line("Delta/Rates/EMEA")).not_to_have_attribute("aria-expanded", "true")


def test_changes_are_told_politely_and_seldom(server, moving):
    moving.open()
    moving.is_live()
    moving.page.evaluate("""() => {
        window.said = [];
        new MutationObserver(() => window.said.push(document.querySelector('#speaker').textContent))
            .observe(document.querySelector('#speaker'), { childList: true });
    }""")
    for version in range(2, 8):
        post(server, event("k1", version, f"{version}00.00", "Delta/FX/EMEA"))
        moving.shows_line("Delta/FX/EMEA", f"{version}00.00")
    said = moving.page.evaluate("window.said")
    assert len(said) == 1
    assert said[0].startswith("risk: value ")


VIEWS = [
    "",
    "#/totals/risk/Delta?tab=keys",
    "#/totals/risk?as_of=1",
    "#/key/k0?every=1",
    "#/rejects",
    "#/conflicts",
    "#/search?q=k",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_and_can_be_read(filled, browser, scheme):
    for size in ({}, {"viewport": PHONE}):
        with visiting(browser, filled, color_scheme=scheme, **size) as visit:
            for view in VIEWS:
                visit.page.goto("about:blank")
                visit.open(view)
                visit.is_live()
                expect(visit.page.locator("main .empty", has_text="Loading")).to_have_count(0)
                assert visit.page.evaluate(NAMELESS) == [], view
                assert visit.page.evaluate(CONTRASTS) == [], view
                assert visit.page.locator("h1").count() == 1, view
                assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


def test_numbers_are_copied_exactly(server, moving):
    post(server, event("big", 1, "1234567.80", "Delta/FX/EMEA"))
    moving.open("#/totals/risk/Delta/FX/EMEA")
    moving.shows("1234569.80")
    copied = moving.page.evaluate("""() => {
        getSelection().selectAllChildren(document.querySelector('.figures [data-name="value"] dd'));
        return String(getSelection());
    }""")
    assert copied == "1234569.80"


def test_colours_can_be_chosen_and_stay(visit):
    visit.open()
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = visit.page.evaluate(paper)
    press(visit, "t", "t")
    dark = visit.page.evaluate(paper)
    assert dark != light
    visit.page.reload()
    assert visit.page.evaluate(paper) == dark
    expect(visit.page.locator("#theme")).to_have_attribute("aria-label", "Colours: dark")
    press(visit, "t")
    assert visit.page.evaluate(paper) == light
