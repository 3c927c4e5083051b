from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.serve.dashboard.browsing import SHOP, Visit, visiting
from tests.serve.running import Running
from tests.tools.programs import CHROMIUM, need


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Closed with its package: while it is open, this thread has an event loop, which other tests must not find."""
    path = need(CHROMIUM)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def server(tmp_path) -> Iterator[Running]:
    """A server of its own, with an empty store."""
    with Running(tmp_path, pipeline=SHOP) as running:
        yield running


@pytest.fixture
def visit(browser, server) -> Iterator[Visit]:
    with visiting(browser, server) as found:
        yield found
