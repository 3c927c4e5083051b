"""Writes the table of planted mistakes in docs/LAB.md: `python -m tests.lab.planted.page`."""

from pathlib import Path

from oncefold_lab.planted.catalogue import PLANTED

PAGE = Path(__file__).parents[3] / "docs" / "LAB.md"
BEGIN, END = "<!-- planted: begin -->\n", "<!-- planted: end -->\n"


def rows() -> list[str]:
    lines = ["| mistake | what it does | found by seed | within |", "|---|---|---|---|"]
    for planted in PLANTED:
        name = f"{planted.system.__module__.rpartition('.')[2]}:{planted.system.__name__}"
        lines.append(f"| `{name}` | {planted.description} | {planted.first_seed()} | {planted.within} |")
    return lines


def parts() -> tuple[str, str, str]:
    """The page before, within and after the table."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)
    return before, table, after


if __name__ == "__main__":
    before, _, after = parts()
    PAGE.write_text(before + BEGIN + "\n".join(rows()) + "\n" + END + after, encoding="utf-8")
