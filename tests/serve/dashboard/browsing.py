"""A page in a real browser that notes what no page should do, and short names for what tests look at."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

from tests.serve.running import Client

expect.set_options(timeout=20_000)

SHOP = """
name = "shop"
[event]
key = "id"
version = "v"
time = "at"
delete = "gone"
[rollups]
risk = ["type", "desk", "region"]
region = ["region", "type"]
[measures]
value = { sum = "value", scale = 2 }
lots = { sum = "lots" }
"""

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}


def event(key: str, version: int, value: str, place: str = "Delta/FX/EMEA", lots: int = 1) -> bytes:
    """One line; the place is the path in `risk`."""
    kind, desk, region = place.split("/")
    at = f"2026-03-02T09:00:{version % 60:02d}Z"
    rest = json.dumps({"id": key, "v": version, "at": at, "type": kind, "desk": desk, "region": region, "lots": lots})
    return f'{rest[:-1]}, "value": {value}}}\n'.encode()


def gone(key: str, version: int) -> bytes:
    """A delete."""
    return json.dumps({"id": key, "v": version, "gone": True}).encode() + b"\n"


def way(*labels: str) -> str:
    """How the page writes a path."""
    return " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ".join(labels)


def post(server: Client, *lines: bytes) -> Mapping[str, Any]:
    """Send events; what became of them."""
    answer = server.post(b"".join(lines))
    assert answer.status == 200, answer
    return answer.document


class Visit:
    """One page, with shortcuts to what is on it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        self.requests.append(request.url)

    def open(self, view: str = "") -> None:
        """Open a view by its address, and wait until it is there."""
        self.page.goto(f"{self.address}{view}")
        expect(self.page.locator("main h1")).to_be_visible()

    def figure(self, measure: str = "value") -> Locator:
        """The great number of the node that is shown."""
        return self.page.locator(f'.figures [data-name="{measure}"] dd')

    def line(self, path: str) -> Locator:
        """A line of the tree."""
        return self.page.locator(f".tree .line[data-path={json.dumps(path)}]")

    def value(self, path: str, measure: str = "value") -> Locator:
        """A number in a line of the tree."""
        return self.line(path).locator(f'[data-column="{measure}"]')

    def shows(self, total: str, measure: str = "value") -> None:
        """Wait until the node's total is this, exactly."""
        expect(self.figure(measure)).to_have_attribute("data-exact", total)

    def shows_line(self, path: str, total: str, measure: str = "value") -> None:
        """Wait until a line's total is this, exactly."""
        expect(self.value(path, measure)).to_have_attribute("data-exact", total)

    def address_has(self, pattern: str) -> None:
        """Wait until the address matches."""
        self.page.wait_for_url(re.compile(pattern))

    def is_live(self) -> None:
        """Wait until the page follows the changes."""
        expect(self.page.locator("#connection")).to_have_attribute("data-state", "live")

    @contextmanager
    def may_fail(self, *words: str) -> Iterator[None]:
        """Errors with one of these words in them are what the test is about."""
        before = len(self.errors)
        yield
        self.errors[before:] = [text for text in self.errors[before:] if not any(word in text for word in words)]


@contextmanager
def visiting(browser: Browser, server: Client, **options: Any) -> Iterator[Visit]:
    """A page of its own. In the end nothing was complained of, and nobody else was asked for anything."""
    address = f"http://127.0.0.1:{server.port}/"
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    try:
        visit = Visit(context.new_page(), address)
        yield visit
        assert not visit.errors, visit.errors
        assert all(url.startswith(address) for url in visit.requests), visit.requests
    finally:
        context.close()
