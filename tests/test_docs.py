"""The documents are held to the code: their definitions are valid, and what they state is so."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from oncefold.core import limits
from oncefold.core.decode import Decoder
from oncefold.core.definition import RESERVED_NAMES
from oncefold.core.definition_toml import from_dict
from oncefold.expression_sql import parse_sql

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
TABLES = {"name", "keep_events", "fields", "event", "rollups", "measures"}
REST = {"name": "example", "event": {"key": "id", "time": "at"}, "rollups": {"all": []}}
"""What an example that shows only some tables leaves out."""

GUIDE = (ROOT / "docs" / "DEFINITION.md").read_text(encoding="utf-8")


def blocks(page: Path) -> list[tuple[str, int, str]]:
    """The fenced TOML examples of a page: its name, the line they begin on, their text."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```toml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(page.name, text[: match.start()].count("\n") + 2, match[1]) for match in found]


EXAMPLES = [block for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize(("page", "line", "text"), EXAMPLES, ids=[f"{page}:{line}" for page, line, _ in EXAMPLES])
def test_definitions_in_the_documents_are_valid(page: str, line: int, text: str) -> None:
    document: dict[str, Any] = tomllib.loads(text)
    if document.keys() <= TABLES:
        from_dict({**REST, **document}, f"{page}, line {line}", parse_sql)


def test_the_guide_has_an_example_of_everything() -> None:
    assert len([page for page, _, _ in EXAMPLES if page == "DEFINITION.md"]) >= 10
    settings = re.findall(r"(\w+) = ", "".join(text for page, _, text in EXAMPLES if page == "DEFINITION.md"))
    for setting in ("key", "version", "time", "delete", "field", "type", "unit", "equals"):
        assert setting in settings
    for setting in ("window", "missing", "sum", "scale", "round", "envelope", "timezone", "format", "decimal", "group"):
        assert setting in settings


def test_the_guide_states_the_limits() -> None:
    for limit in (limits.KEY_BYTES, limits.LABEL_BYTES, limits.PATH_BYTES, limits.RECORD_BYTES):
        assert f"{limit:,} bytes |" in GUIDE
    assert f"±{limits.VERSION_MAX:,}" in GUIDE
    assert f"| {limits.MEASURE_DIGITS} digits |" in GUIDE
    assert f"| {limits.NESTING} levels |" in GUIDE
    assert f"| {limits.NAME_CHARS} characters |" in GUIDE
    assert all(f"`{name}`" in GUIDE for name in RESERVED_NAMES)


def test_the_guides_numbers_are_read_as_it_says() -> None:
    pipeline = from_dict(
        {
            **REST,
            "measures": {
                "exact": {"sum": "v", "scale": 2},
                "round": {"sum": "v", "scale": 2, "round": "half-even"},
            },
        }
    )
    read = Decoder(pipeline)
    for number in ("12.5", '"12.5"', "1.25e1", '"+12.50"'):
        assert read.json(f'{{"id": 1, "v": {number}}}'.encode()).content.measures == (1250, 1250)


CODE_PAGES = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs" / "ARCHITECTURE.md",
    *sorted((ROOT / "docs" / "adr").glob("*.md")),
]
CODE_ROOTS = ("", "src/oncefold", "packages/oncefold-lab/src", "packages/oncefold-workshop/src")


@pytest.mark.parametrize("page", CODE_PAGES, ids=lambda page: page.name)
def test_files_and_folders_that_the_pages_name_are_there(page: Path) -> None:
    named = re.findall(r"`([\w/-]+(?:\.py|/))`", page.read_text(encoding="utf-8"))
    gone = [name for name in named if not any((ROOT / root / name).exists() for root in CODE_ROOTS)]
    assert not [name for name in gone if name != "site/"]
