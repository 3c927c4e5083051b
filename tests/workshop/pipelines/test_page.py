"""docs/WORKSHOP.md names tests that there are: of each way in which the workshop fails, of each row of its parts."""

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE.parents[2] / "docs" / "WORKSHOP.md").read_text(encoding="utf-8")
TESTS = {
    name
    for path in HERE.parent.glob("*/test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert named <= TESTS


def test_the_page_names_the_test_of_every_way() -> None:
    ways = {name for name in TESTS if name.startswith("test_way_")}
    assert {name[len("test_way_")] for name in ways} == set("123456")
    assert all(f"`{name}`" in PAGE for name in ways)


def test_every_part_is_held_by_a_test() -> None:
    table = PAGE.partition("## Theirs and ours")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for row in rows:
        part, theirs, ours, held = (cell.strip() for cell in row.strip("|").split(" | "))
        assert all((part, theirs, ours))
        assert re.search(r"`test_\w+`", held), part
