"""Makes the pictures of docs/DASHBOARD.md: `python -m tests.serve.dashboard.pictures`."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from examples.covid19.series import FOLDER as COVID19
from examples.covid19.series import HEADER, Event, read_events
from playwright.sync_api import Browser, expect, sync_playwright

import oncefold
from oncefold.core.definition_toml import parse_toml
from oncefold.pipeline_file import load_pipeline
from tests.serve.dashboard.browsing import visiting
from tests.serve.running import Running
from tests.tools.programs import CHROMIUM, need

ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 220_000
DAYS_A_COMMIT = 20
DESKTOP = {"width": 1280, "height": 800}
WIDE = {"width": 1920, "height": 1080}
PHONE = {"width": 390, "height": 844}
SETTLED = 700
"""Milliseconds until nothing moves."""
VERY_MANY = 100_000
FLAT = """
name = "sensors"
[event]
key = "id"
version = "v"
[rollups]
sensors = ["id"]
[measures]
value = { sum = "value", scale = 2 }
"""

SALES = """
name = "sales"
[event]
key = "id"
time = "at"
[rollups]
months = [{ field = "at", window = "1mo" }, { field = "at", window = "1d" }]
shops = ["shop", { field = "at", window = "1w" }]
[measures]
revenue = { sum = "revenue", scale = 2 }
mean = { avg = "revenue", scale = 2 }
best = { max = "revenue", scale = 2 }
buyers = { distinct = "buyer" }
"""
SOLD_DAYS = 700

Size = dict[str, int]


@dataclass(frozen=True)
class Picture:
    """One picture: its name, what it is of, and how."""

    name: str
    view: str
    scheme: Literal["light", "dark"]
    size: Size
    ready: str = ".tree .sparkline .trace"
    """What must be there."""


COVID_PICTURES = (
    Picture("desktop-light", "#/totals/world?sort=confirmed", "light", DESKTOP),
    Picture("phone-dark", "#/totals/world?sort=confirmed", "dark", PHONE),
    Picture("wide-dark", "#/totals/world?sort=confirmed", "dark", WIDE),
    Picture("past-light", "#/totals/world?sort=confirmed&as_of=12", "light", DESKTOP),
    Picture(
        "wall",
        "#/wall?node=world&node=world/China&node=world/United%20Kingdom&node=world/Canada",
        "dark",
        WIDE,
        ".tile .timeline .trace",
    ),
)
SALES_PICTURES = (Picture("windows-light", "#/totals/months", "light", DESKTOP, ".timeline .column"),)
LARGE_PICTURES = (Picture("large-light", "#/totals/sensors?sort=value&top=50", "light", DESKTOP),)


def make() -> None:
    """The real COVID-19 series, folded day by day, an example with windows, and very many nodes."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=need(CHROMIUM), args=["--no-sandbox", "--hide-scrollbars"])
        folder = Path(name)
        definition = COVID19 / "pipeline.toml"
        _fold(folder / "covid19.db", definition)
        _take(browser, folder, "covid19", definition.read_text(), COVID_PICTURES)
        with oncefold.open(folder / "sales.db", parse_toml(SALES)) as session:
            session.ingest(_sales())
        _take(browser, folder, "sales", SALES, SALES_PICTURES)
        with oncefold.open(folder / "large.db", parse_toml(FLAT)) as session:
            session.ingest(_sensors())
        _take(browser, folder, "large", FLAT, LARGE_PICTURES)
        browser.close()


def _take(browser: Browser, folder: Path, store: str, definition: str, pictures: Sequence[Picture]) -> None:
    with Running(folder, pipeline=definition, store=folder / f"{store}.db") as server:
        for picture in pictures:
            with visiting(browser, server, color_scheme=picture.scheme, viewport=picture.size) as visit:
                visit.open(picture.view)
                # A browser without scrollbars leaves their room empty.
                visit.page.evaluate("document.documentElement.style.scrollbarGutter = 'auto'")
                expect(visit.page.locator(picture.ready).first).to_be_attached()
                expect(visit.page.locator(".line .sparkline:not(:has(.trace))")).to_have_count(0)
                visit.page.wait_for_timeout(SETTLED)
                content = visit.page.screenshot(path=IMAGES / f"dashboard-{picture.name}.png")
                assert len(content) < MOST_BYTES, picture.name


def _sales() -> Iterator[dict[str, object]]:
    """So many days of sales, more of them in summer and before the end of a year; all in one commit."""
    first = date(2024, 11, 4)
    for number in range(SOLD_DAYS * 12):
        day = first + timedelta(days=number // 12)
        season = 100 + 12 * min(day.month, 13 - day.month) + (60 if day.month == 12 else 0)
        cents = season * (40 + number * 7919 % 97)
        buyer, shop = f"B{number * 31 % 53}", ("Lyon", "Porto", "Turin")[number % 3]
        yield {"id": number, "at": f"{day}T10:00:00Z", "shop": shop, "buyer": buyer, "revenue": f"{cents / 100:.2f}"}


def _sensors() -> bytes:
    rows = ((number, 10**12 // (number * 7919 % VERY_MANY + 40)) for number in range(VERY_MANY))
    return b"".join(
        f'{{"id": "S-{number:06d}", "v": 1, "value": {value // 100}.{value % 100:02d}}}\n'.encode()
        for number, value in rows
    )


def _fold(store: Path, definition: Path) -> None:
    events = read_events()
    days = sorted({event.day for event in events})
    with oncefold.open(store, load_pipeline(definition)) as session:
        for first in range(0, len(days), DAYS_A_COMMIT):
            chosen = set(days[first : first + DAYS_A_COMMIT])
            session.ingest(_fields(event) for event in events if event.day in chosen)


def _fields(event: Event) -> dict[str, str]:
    """The event by its columns; a number that was not reported is left out."""
    return {name: text for name, text in zip(HEADER, event, strict=True) if text or name == "Province/State"}


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    make()
