"""Running servers for the tests of questions over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.queries.stores import MONDAY, SHOP, TUESDAY, lines
from tests.serve.answers.server import Server, serving


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Server]:
    """The shop, Monday and Tuesday."""
    with serving(tmp_path / "shop.db", SHOP, lines(MONDAY), lines(TUESDAY)) as server:
        yield server
