"""Makes the pictures of docs/DASHBOARD.md: `python -m tests.serve.dashboard.pictures`."""

import tempfile
from pathlib import Path

from examples.covid19.series import FOLDER as COVID19
from examples.covid19.series import HEADER, Event, read_events
from playwright.sync_api import expect, sync_playwright

import oncefold
from oncefold.pipeline_file import load_pipeline
from tests.serve.dashboard.browsing import PHONE, visiting
from tests.serve.running import Running
from tests.tools.programs import CHROMIUM, need

IMAGES = Path(__file__).parents[3] / "docs" / "images"
MOST_BYTES = 150_000
DAYS_A_COMMIT = 20
DESKTOP = {"width": 1280, "height": 800}


def make() -> None:
    """The real COVID-19 series, folded day by day, as the page shows it."""
    definition = COVID19 / "pipeline.toml"
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "covid19.db"
        _fold(store, definition)
        with Running(Path(folder), pipeline=definition.read_text(), store=store) as server, sync_playwright() as tool:
            browser = tool.chromium.launch(executable_path=need(CHROMIUM), args=["--no-sandbox", "--hide-scrollbars"])
            for name, scheme, size in (("desktop-light", "light", DESKTOP), ("phone-dark", "dark", PHONE)):
                with visiting(browser, server, color_scheme=scheme, viewport=size) as visit:
                    visit.open("#/totals/world?sort=confirmed")
                    visit.is_live()
                    expect(visit.page.locator(".tree .sparkline .trace").nth(7)).to_be_attached()
                    picture = visit.page.screenshot(path=IMAGES / f"dashboard-{name}.png")
                    assert len(picture) < MOST_BYTES, name
            browser.close()


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
