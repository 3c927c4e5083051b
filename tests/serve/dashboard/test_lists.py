"""Rejects by reason, what an administrator does with them, named levels, search, and what is said where nothing is."""

import re

import pytest
from playwright.sync_api import expect

from tests.serve.dashboard.browsing import SHOP, event, gone, post, visiting, way
from tests.serve.running import Running
from tests.tools.sizes import full_only

READ, INGEST, ADMIN = "r" * 40, "i" * 40, "a" * 40
GARBAGE = b'{"id": "x"\n'


@pytest.fixture
def filled(server):
    post(server, event("T-1", 1, "10.00"), event("T-1", 2, "20.00", "Delta/FX/APAC"), event("T-2", 1, "5.00"))
    post(server, event("T-2", 1, "6.00"), event("gone", 1, "1.00"), gone("gone", 2))
    post(server, event("a", 1, "1.505"), event("b", 1, "1.50567"), event("c", 1, "2.001"), GARBAGE)
    return server


def reasons(visit):
    return visit.page.get_by_role("table", name="Reasons").locator("tbody tr")


def test_rejects_are_grouped_and_discarded_and_read_again(filled, visit):
    visit.open("#/rejects")
    expect(reasons(visit)).to_have_count(2)
    expect(reasons(visit).first).to_contain_text("field value: ... has more than ... decimal places")
    expect(reasons(visit).first.locator("td").first).to_have_text("3")
    visit.page.get_by_role("link", name="field value: ... has more than ... decimal places").click()
    visit.address_has("reason=")
    listed = visit.page.locator(".list-view .rejects li")
    expect(listed).to_have_count(3)
    listed.first.get_by_role("button", name="Discard").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(visit.page.get_by_role("status").filter(has_text="1 event is off the list.")).to_be_visible()
    expect(listed).to_have_count(2)
    assert filled.get("/rejects").document["total"] == 3
    visit.page.get_by_role("link", name="Show all reasons").click()
    reasons(visit).first.get_by_role("button", name="Discard").click()
    dialog = visit.page.get_by_role("dialog", name="Discard 2 events?")
    dialog.get_by_role("button", name="Cancel").click()
    assert filled.get("/rejects").document["total"] == 3
    reasons(visit).first.get_by_role("button", name="Discard").click()
    dialog.get_by_role("button", name="Discard").click()
    expect(visit.page.get_by_text("2 events off the list.")).to_be_visible()
    expect(reasons(visit)).to_have_count(1)
    visit.page.get_by_role("button", name="Read all of them again").click()
    visit.page.get_by_role("button", name="Read again").click()
    expect(visit.page.get_by_text(re.compile(r"Read again in commit \d+: 1 still rejected\."))).to_be_visible()
    reasons(visit).first.get_by_role("button", name="Discard").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(visit.page.locator(".list-view").get_by_text("No event was rejected.")).to_be_visible()
    expect(visit.page.locator(".activity").get_by_text("No event was rejected.")).to_be_visible()
    expect(visit.page.get_by_role("link", name="No event was rejected.")).to_have_count(0)


@full_only("a server with tokens, 4 s")
def test_changes_ask_for_the_token_of_an_administrator(browser, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"read {READ}\ningest {INGEST}\nadmin {ADMIN}\n")
    tokens.chmod(0o600)
    with Running(tmp_path, "--token-file", tokens, pipeline=SHOP, token=INGEST) as server:
        post(server, GARBAGE)
        with visiting(browser, server) as visit, visit.may_fail("401", "403"):
            visit.page.goto(f"{visit.address}#/rejects")
            token, go = visit.page.get_by_role("textbox", name="Token"), visit.page.get_by_role("button", name="Go on")
            token.fill(READ)
            go.click()

            def discard():
                reasons(visit).first.get_by_role("button", name="Discard").click()
                visit.page.get_by_role("dialog").get_by_role("button", name="Discard").click()

            discard()
            expect(visit.page.get_by_role("dialog")).to_contain_text("needs a token of scope admin")
            visit.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
            expect(visit.page.get_by_text("Nothing was changed")).to_be_visible()
            discard()
            token.fill("w" * 40)
            go.click()
            expect(visit.page.get_by_role("dialog")).to_contain_text("The server does not know this token.")
            token.fill(ADMIN)
            go.click()
            expect(visit.page.locator(".list-view").get_by_text("No event was rejected.")).to_be_visible()
            stored = visit.page.evaluate("Object.values(sessionStorage)")
            assert sorted(stored) == [ADMIN, READ]


@full_only("2 s")
def test_history_and_conflicts_name_their_levels(filled, visit):
    visit.open("#/key/T-1")
    leaf = visit.page.locator(".history .leaf").last
    expect(leaf).to_have_text(re.compile("type Delta\\s*desk FX\\s*region APAC"))
    visit.open("#/conflicts")
    expect(visit.page.locator(".pairs .leaf").first).to_have_text(re.compile("type Delta\\s*desk FX\\s*region EMEA"))


def test_what_is_found_has_its_value_version_and_place_and_is_a_link(filled, visit):
    visit.open("#/search?q=T-")
    row = visit.page.get_by_role("row").filter(has=visit.page.get_by_role("link", name="T-1"))
    expect(row).to_contain_text(re.compile("type Delta.*desk FX.*region APAC"))
    expect(row.locator(".version")).to_have_text("2")
    expect(row.locator(".num .num")).to_have_attribute("data-exact", "20.00")
    underlined = "(link) => getComputedStyle(link).textDecorationLine"
    assert row.get_by_role("link").evaluate(underlined) == "underline"
    visit.open("#/search?q=FX&measure=lots")
    row = visit.page.get_by_role("row").filter(
        has=visit.page.get_by_role("link", name=f"risk {way('Delta', 'FX')}", exact=True)
    )
    expect(row.locator(".num .num").first).to_have_attribute("data-exact", "2")
    expect(row).to_contain_text("desk")
    visit.open("#/search?q=gone")
    expect(visit.page.get_by_role("row").filter(has_text="gone")).to_contain_text("deleted")


@full_only("1 s")
def test_an_empty_store_says_how_to_send_events(browser, server):
    with visiting(browser, server, permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.open()
        command = f'curl --data-binary @events.jsonl -H "Content-Type: application/x-ndjson" {visit.address}events'
        expect(visit.page.locator(".command code")).to_have_text(command)
        visit.page.get_by_role("button", name="Copy").click()
        expect(visit.page.get_by_role("button", name="Copied")).to_be_visible()
        assert visit.page.evaluate("navigator.clipboard.readText()") == command
        visit.is_live()
        post(server, event("a", 1, "1.00"))
        visit.shows_line("Delta", "1.00")
        expect(visit.page.locator(".command")).to_be_hidden()


@full_only("2 s")
def test_a_node_that_is_not_there_leads_to_those_that_are(filled, visit):
    with visit.may_fail("404"):
        visit.open("#/totals/risk/Delta/FXX/EMEA")
        expect(visit.page.get_by_role("alert").first).to_contain_text("did you mean Delta/FX?")
        links = visit.page.locator(".ways a")
        expect(links).to_have_text(["Delta itself", "FX"])
        links.last.click()
        expect(visit.page.locator("h1")).to_have_text("FX")
        visit.open("#/totals/another/Delta")
        expect(visit.page.locator(".ways a")).to_have_text(["risk", "region"])
        visit.page.goto(f"{visit.address}#/key/T-9")
        visit.page.get_by_role("link", name="Search for nodes and keys like it").click()
        visit.address_has("q=T-9")


@full_only("one more server with ten thousand rejects, 10 s")
def test_very_many_rejects_of_a_reason_go_at_once(server, visit):
    post(server, *(event(f"k{number}", 1, f"1.{number:05d}1") for number in range(10_000)))
    visit.open("#/rejects")
    expect(reasons(visit)).to_have_count(1)
    reasons(visit).first.get_by_role("button", name="Discard").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(visit.page.get_by_text("10,000 events off the list.")).to_be_visible()
    assert server.get("/rejects").document["total"] == 0
