"""What a person does with the page, from the first event on, in a real browser against a real server."""

import re

import pytest
from playwright.sync_api import expect

from tests.serve.dashboard.browsing import SHOP, event, gone, post, visiting, way
from tests.serve.running import Running
from tests.tools.sizes import full_only

ONE_MORE = full_only("one more server and page, 6 s")
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A server with some of everything; what a test adds to its totals it takes away again."""
    hostile = event(HOSTILE, 1, "2.00", "PV/<b>x<|b>/..".replace("|", "\\u002f")).replace(b"\\\\u002f", b"\\u002f")
    with Running(tmp_path_factory.mktemp("shop"), pipeline=SHOP) as running:
        post(running, event("T-1", 1, "10.00"), event("T-1", 2, "20.00", "Delta/FX/APAC"), event("T-2", 1, "5.00"))
        post(running, event("rate-17", 1, "1.00", "Vega/Rates/EMEA"), event("a/b?#%", 1, "1.00", "PV/FX/EMEA"), hostile)
        yield running


@pytest.fixture
def shop_visit(browser, shop):
    with visiting(browser, shop) as found:
        yield found


def test_totals_change_without_a_reload(server, visit):
    visit.open()
    visit.is_live()
    expect(visit.page.get_by_text("Nothing counts here yet")).to_be_visible()
    visit.page.evaluate("window.same = true")
    post(server, event("a", 1, "120.00"), event("b", 1, "80.50", "PV/FX/AMER"))
    visit.shows("200.50")
    visit.shows("2", "count")
    visit.shows_line("Delta", "120.00")
    visit.shows_line("PV", "80.50")
    post(server, event("a", 2, "9999999999999999.99"), event("b", 1, "80.50", "PV/FX/AMER"))
    visit.shows("10000000000000080.49")
    visit.shows_line("Delta", "9999999999999999.99")
    assert visit.figure().inner_text().replace(",", "") == "10000000000000080.49"
    expect(visit.page.locator(".outcomes tr", has_text="duplicate").locator("td").first).to_have_attribute(
        "data-exact", "1"
    )
    assert visit.page.evaluate("window.same")


@full_only("2 s")
def test_a_node_comes_moves_and_goes(shop, shop_visit):
    visit = shop_visit
    post(shop, event("moves-a", 1, "1.00", "Moves/FX/EMEA"))
    visit.open("#/totals/risk/Moves")
    visit.is_live()
    visit.shows_line("Moves/FX/EMEA", "1.00")
    post(shop, event("moves-b", 1, "2.00", "Moves/FX/APAC"))
    visit.shows_line("Moves/FX/APAC", "2.00")
    assert [row.get_attribute("data-path") for row in visit.page.locator(".tree .line").all()] == [
        "Moves/FX", "Moves/FX/APAC", "Moves/FX/EMEA",
    ]  # fmt: skip
    post(shop, event("moves-b", 2, "2.00", "Moves/Rates/APAC"))
    expect(visit.line("Moves/FX/APAC")).to_have_count(0)
    visit.shows_line("Moves/Rates", "2.00")
    post(shop, gone("moves-b", 3))
    expect(visit.line("Moves/Rates")).to_have_count(0)
    visit.shows("1.00")
    post(shop, gone("moves-a", 2))


def test_down_to_a_key_and_back_by_links(shop_visit):
    visit = shop_visit
    visit.open()
    visit.line("Delta").locator("a.label").click()
    visit.address_has(r"#/totals/risk/Delta")
    expect(visit.page.locator("h1")).to_have_text("Delta")
    visit.page.get_by_role("link", name="Keys", exact=True).click()
    expect(visit.page.get_by_text("These are all 2 keys; the values add up to the total exactly.")).to_be_visible()
    visit.page.get_by_role("link", name="T-1").click()
    visit.address_has(r"#/key/T-1")
    expect(visit.page.locator(".history tbody tr")).to_have_count(2)
    expect(visit.page.locator(".history .outcome").last).to_have_text("corrected")
    visit.page.reload()
    expect(visit.page.locator("h1")).to_have_text("T-1")
    visit.page.get_by_role("link", name=f"risk: {way('Delta', 'FX', 'APAC')}").click()
    visit.address_has(r"#/totals/risk/Delta/FX/APAC")
    visit.shows("20.00")
    visit.page.locator(".crumbs").get_by_role("link", name="FX").click()
    visit.address_has(r"#/totals/risk/Delta/FX$|#/totals/risk/Delta/FX\?")
    visit.shows("25.00")
    visit.page.go_back()
    visit.shows("20.00")
    visit.page.go_back()
    expect(visit.page.locator("h1")).to_have_text("T-1")


@ONE_MORE
def test_a_view_is_the_same_after_a_reload(server, visit):
    places = [f"Delta/D{desk:02d}/R{region}" for desk in range(30) for region in range(2)]
    post(server, *(event(f"k{i}", 1, f"{i}.00", place) for i, place in enumerate(places)))
    visit.open("#/totals/risk/Delta?measure=lots&sort=value")
    visit.line("Delta/D29").locator(".twisty").click()
    visit.shows_line("Delta/D29/R1", "59.00")
    before = [row.get_attribute("data-path") for row in visit.page.locator(".tree .line").all()]
    assert before[:3] == ["Delta/D29", "Delta/D29/R1", "Delta/D29/R0"]
    visit.page.reload()
    visit.shows_line("Delta/D29/R1", "59.00")
    assert [row.get_attribute("data-path") for row in visit.page.locator(".tree .line").all()[:9]] == before[:9]
    expect(visit.page.get_by_label("Measure")).to_have_value("lots")


@ONE_MORE
def test_a_lost_connection_is_seen_and_taken_up(browser, server, tmp_path):
    post(server, event("a", 1, "1.00"))
    port = server.port
    with visiting(browser, server) as visit:
        visit.open()
        visit.is_live()
        with visit.may_fail("ERR_", "503"):
            server.kill()
            expect(visit.page.locator("#connection")).to_have_attribute("data-state", "lost")
            expect(visit.page.locator("#lost")).to_contain_text("Connection lost. What is shown may be old.")
            visit.shows("1.00")
            with Running(tmp_path, "--port", port, pipeline=SHOP, store=server.store) as again:
                post(again, event("b", 1, "2.00", "PV/FX/EMEA"))
                visit.is_live()
                expect(visit.page.locator("#lost")).to_be_hidden()
                visit.shows("3.00")
                visit.shows_line("PV", "2.00")
                visit.page.goto("about:blank")


@full_only("2 s; lists of rejects are in the short form")
def test_rejects_appear_with_their_reason(shop, shop_visit):
    visit = shop_visit
    visit.open()
    visit.is_live()
    post(shop, event("a", 1, "1.505"), b'{"id": "x"\n')
    newest = visit.page.locator(".activity .rejects li")
    expect(newest).to_have_count(2)
    expect(newest.last).to_contain_text("'1.505' has more than 2 decimal places")
    visit.page.get_by_role("link", name="All 2 rejected events").click()
    expect(visit.page.locator(".list-view pre").last).to_contain_text('"value": 1.505')


@ONE_MORE
def test_the_newest_rejects_come_first_though_older_ones_are_gone(server, visit):
    post(server, *[b'{"id": "old-%d"\n' % number for number in range(8)])
    for id_ in (2, 7, 8):
        assert server.ask("DELETE", f"/rejects/{id_}").status == 200
    post(server, b'{"id": "newest"\n')
    visit.open()
    visit.is_live()
    visit.page.get_by_role("link", name="All 6 rejected events").click()
    shown = visit.page.locator(".list-view pre")
    expect(shown).to_have_text(
        [f'{{"id": "{name}"' for name in ("newest", "old-5", "old-4", "old-3", "old-2", "old-0")]
    )


@ONE_MORE
def test_the_past_stands_still(server, visit):
    post(server, event("a", 1, "1.00"))
    post(server, event("a", 2, "2.00"), event("b", 1, "5.00", "PV/FX/EMEA"))
    visit.open()
    visit.shows("7.00")
    visit.page.get_by_role("button", name="As of…").click()
    visit.page.get_by_label("Commit or time").fill("1")
    visit.page.get_by_role("button", name="Show", exact=True).click()
    visit.shows("1.00")
    expect(visit.page.locator("#banner")).to_contain_text("The past. Totals as of commit 1")
    expect(visit.line("PV")).to_have_count(0)
    post(server, event("a", 3, "3.00"))
    expect(visit.page.locator(".activity")).not_to_contain_text("Freshness")
    expect(visit.page.locator(".activity .facts dd").first).to_have_text("1")
    expect(visit.page.locator("#connection")).to_have_text("The past")
    visit.shows("1.00")
    visit.page.reload()
    visit.shows("1.00")
    visit.page.get_by_role("link", name="Back to now").click()
    visit.shows("8.00")
    expect(visit.page.locator("#banner")).to_be_hidden()


@ONE_MORE
def test_a_commit_along_the_line_can_be_gone_to(server, visit):
    for version in range(1, 6):
        post(server, event("a", version, f"{version}.00"))
    visit.open()
    slider = visit.page.get_by_role("slider", name="Commit")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"value 5\.00 as of commit 5,"))
    slider.focus()
    visit.page.keyboard.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"value [0-4]\.00 as of commit [0-4],"))
    shown = visit.page.locator(".over-time output").get_attribute("data-exact")
    visit.page.get_by_role("link", name="See the tree as of this commit").click()
    expect(visit.page.locator("#banner")).to_be_visible()
    visit.shows(shown)


def test_search_finds_nodes_and_keys(shop_visit):
    visit = shop_visit
    visit.open()
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("rate")
    expect(visit.page.get_by_role("link", name=f"risk {way('Vega', 'Rates')}")).to_be_visible()
    expect(visit.page.get_by_role("link", name="rate-17")).to_be_visible()
    visit.address_has(r"#/search\?q=rate")
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("h1")).to_have_text("Rates")
    visit.page.go_back()
    expect(visit.page.get_by_role("searchbox")).to_have_value("rate")


@ONE_MORE
def test_a_token_is_asked_for_once(browser, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("read " + "r" * 40 + "\ningest " + "i" * 40 + "\n")
    tokens.chmod(0o600)
    with Running(tmp_path, "--token-file", tokens, pipeline=SHOP, token="i" * 40) as server:
        post(server, event("a", 1, "1.00"))
        with visiting(browser, server) as visit, visit.may_fail("401"):
            visit.page.goto(visit.address)
            field = visit.page.get_by_role("textbox", name="Token")
            field.fill("w" * 40)
            visit.page.get_by_role("button", name="Go on").click()
            expect(visit.page.get_by_role("dialog")).to_contain_text("The server does not know this token.")
            field.fill("r" * 40)
            visit.page.get_by_role("button", name="Go on").click()
            visit.shows("1.00")
            visit.is_live()
            post(server, event("a", 2, "2.00"))
            visit.shows("2.00")
            visit.page.reload()
            visit.shows("2.00")


def test_labels_and_keys_are_text_whatever_they_say(shop_visit):
    visit = shop_visit
    visit.open("#/totals/risk/PV?tab=keys")
    visit.page.get_by_role("link", name=HOSTILE).click()
    expect(visit.page.locator("h1")).to_have_text(HOSTILE)
    assert visit.page.locator("main img, main b").count() == 0
    visit.page.get_by_role("link", name=f"risk: {way('PV', '<b>x</b>', '..')}").click()
    visit.shows("2.00")
    visit.page.reload()
    visit.shows("2.00")
    visit.open("#/key/a%2Fb%3F%23%25")
    expect(visit.page.locator("h1")).to_have_text("a/b?#%")


@full_only("1 s")
def test_what_does_not_exist_is_said_with_a_way_on(shop_visit):
    visit = shop_visit
    with visit.may_fail("404"):
        visit.page.goto(f"{visit.address}#/totals/risk/Delt")
        expect(visit.page.get_by_role("alert").first).to_contain_text("did you mean Delta?")
        visit.page.goto(f"{visit.address}#/key/zz")
        expect(visit.page.locator("main")).to_contain_text("zz")
        visit.page.goto(f"{visit.address}#/nowhere")
        visit.page.get_by_role("link", name="To the totals").click()
        visit.shows("29.00")
