"""Figures on the wall, a page that uses a wide screen, and what is seen taken away as CSV and as a picture."""

import csv
import io
import json
import struct
import xml.etree.ElementTree as ET

import pytest
from playwright.sync_api import expect

from tests.serve.dashboard.browsing import SHOP, event, post, visiting
from tests.serve.running import Running
from tests.tools.sizes import full_only, in_full

WIDE = {"width": 1920, "height": 1080}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with Running(tmp_path_factory.mktemp("wall"), pipeline=SHOP) as server:
        post(
            server,
            event("a", 1, "10.00"),
            event("b", 1, "-2.50", "=SUM(A1)/FX/EMEA"),
            event("c", 1, "5.00", "PV/Rates/APAC"),
        )
        post(server, event("d", 1, "20.25", "Delta/FX/AMER"))
        yield server


def test_a_wall_has_large_figures_side_by_side_and_nothing_else(browser, server):
    post(server, event("a", 1, "10.00"), event("b", 1, "7.00", "PV/FX/EMEA"))
    with visiting(browser, server, viewport=WIDE, color_scheme="light") as visit:
        visit.open("#/wall?node=risk/Delta&node=risk/PV&node=region&measure=value")
        tiles = visit.page.locator(".tile")
        expect(tiles).to_have_count(3)
        figures = visit.page.locator(".tile-figure")
        for index, value in enumerate(["10.00", "7.00", "17.00"]):
            expect(figures.nth(index)).to_have_attribute("data-exact", value)
        for hidden in ("header.top", ".activity", "#banner"):
            expect(visit.page.locator(hidden)).to_be_hidden()
        boxes = [tile.bounding_box() for tile in tiles.all()]
        assert len({box["y"] for box in boxes}) == 1
        assert boxes[-1]["x"] + boxes[-1]["width"] > 0.95 * WIDE["width"]
        assert boxes[0]["x"] < 0.05 * WIDE["width"]
        assert boxes[0]["height"] > 0.8 * WIDE["height"]
        assert float(figures.first.evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)")) > 60
        assert visit.page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
        assert visit.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        post(server, event("a", 2, "11.50"))
        expect(figures.first).to_have_attribute("data-exact", "11.50")
        expect(figures.nth(2)).to_have_attribute("data-exact", "18.50")
        visit.page.keyboard.press("Escape")
        expect(visit.page.locator("h1")).to_have_text("Delta")
        expect(visit.page.locator("header.top")).to_be_visible()
        visit.page.keyboard.press("w")
        expect(figures).to_have_count(1)
        expect(figures.first).to_have_attribute("data-exact", "11.50")


@full_only("1 s")
def test_a_wall_names_a_node_that_is_not_there(browser, shop):
    with visiting(browser, shop) as visit, visit.may_fail("404"):
        visit.open("#/wall?node=risk/Nowhere&node=risk/PV")
        expect(visit.page.locator(".tile.failed")).to_contain_text("there is no node Nowhere")
        expect(visit.page.locator(".tile-figure").nth(1)).to_have_attribute("data-exact", "5.00")


@pytest.mark.parametrize("width", [1280, *in_full("2 s each", 1920, 2560)])
def test_the_page_uses_the_screen(browser, shop, width):
    with visiting(browser, shop, viewport={"width": width, "height": 1080}) as visit:
        visit.open("#/totals/risk")
        visit.shows_line("PV", "5.00")
        expect(visit.page.locator(".timeline .trace")).to_be_attached()
        card, side = (visit.page.locator(name).bounding_box() for name in (".list.card", ".activity"))
        assert card["x"] < 48
        assert side["x"] + side["width"] > width - 64
        assert card["width"] + side["width"] > 0.9 * width


def saved(visit, name):
    visit.page.locator(".menu summary").click()
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name=name).click()
    assert visit.page.locator(".menu").get_attribute("open") is None
    return download.value.suggested_filename, download.value.path().read_bytes()


@full_only("2 s")
def test_what_is_seen_is_exported_as_csv_for_spreadsheets(browser, shop):
    with visiting(browser, shop) as visit:
        visit.open("#/totals/risk?sort=value")
        visit.shows_line("PV", "5.00")
        visit.line("PV").locator(".twisty").click()
        expect(visit.line("PV/Rates")).to_have_count(0)
        name, content = saved(visit, "CSV of the list")
        assert name == "shop-risk-commit-2.csv"
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert [row["label"] for row in rows] == ["", "Delta", "FX", "AMER", "EMEA", "PV", "'=SUM(A1)", "FX", "EMEA"]
        assert [row["path"] for row in rows if row["label"].startswith("'")] == ["'=SUM(A1)"]
        server = {
            row["path"]: row
            for row in csv.DictReader(io.StringIO(shop.get("/totals/risk?depth=all&form=csv-safe").body.decode()))
        }
        assert rows == [server[row["path"]] for row in rows]
        visit.open("#/totals/risk/Delta?tab=keys")
        expect(visit.page.get_by_role("link", name="a", exact=True)).to_be_visible()
        _, content = saved(visit, "CSV of the list")
        keys = list(csv.DictReader(io.StringIO(content.decode())))
        assert [(row["key"], row["leaf"], row["measure_value"]) for row in keys] == [
            ("a", "Delta/FX/EMEA", "10.00"), ("d", "Delta/FX/AMER", "20.25"),
        ]  # fmt: skip


@full_only("4 s")
def test_what_is_seen_is_exported_as_a_picture(browser, shop):
    with visiting(browser, shop) as visit:
        visit.open("#/totals/risk?sort=value")
        visit.shows_line("PV", "5.00")
        expect(visit.page.locator(".timeline .trace")).to_be_attached()
        name, content = saved(visit, "SVG picture")
        assert name == "shop-risk-commit-2.svg"
        root = ET.fromstring(content)
        texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        assert {"32.75", "Delta", "30.25", "=SUM(A1)", "-2.50"} <= set(texts)
        assert any(text.startswith("value, 4 keys, as of commit 2,") for text in texts)
        assert root.find("{http://www.w3.org/2000/svg}path") is not None
        name, content = saved(visit, "PNG picture")
        assert content.startswith(b"\x89PNG\r\n")
        width, height = struct.unpack(">II", content[16:24])
        assert width == 2400
        assert height > 600
        colours = visit.page.evaluate(
            """async (bytes) => {
                const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
                const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext('2d');
                context.drawImage(image, 0, 0);
                return new Set(new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer)).size;
            }""",
            list(content),
        )
        assert colours > 10, "nothing is drawn"
        assert json.dumps(visit.errors) == "[]"
