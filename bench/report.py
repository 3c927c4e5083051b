"""The report: a table of what was measured beside its target, and where it goes in a document."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

BEGIN: Final = "<!-- benchmark: written by `python -m bench --out`, do not edit -->"
END: Final = "<!-- end of benchmark -->"

_SKELETON: Final = f"""\
# Performance

## What was measured

{BEGIN}
{END}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value."""

    metric: str
    value: str
    target: str = ""
    met: bool | None = None
    """None where there is no target, or the size is too small to say."""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All rows, and tables of details after them."""

    about: str
    rows: list[Row] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The report as markdown."""
        return "\n\n".join([self.about, _table(self.rows), *self.details]) + "\n"


def _table(rows: Sequence[Row]) -> str:
    lines = ["| metric | value | target | met | SHA-256 of the totals |", "|---|--:|--:|---|---|"]
    for row in rows:
        met = {None: "", True: "yes", False: "no"}[row.met]
        sha256 = f"`{row.sha256[:16]}`" if row.sha256 else ""
        lines.append(f"| {row.metric} | {row.value} | {row.target} | {met} | {sha256} |")
    return "\n".join(lines)


def check_place(path: Path) -> None:
    """Raises ValueError if a report cannot be put into this file."""
    if path.exists() and not _has_place(path.read_text(encoding="utf-8")):
        raise ValueError(f"{path}: it has no place for the table; put these two lines into it:\n{BEGIN}\n{END}")


def put(path: Path, text: str) -> None:
    """Put the report between the markers of the file; a file that does not exist is made."""
    check_place(path)
    before = path.read_text(encoding="utf-8") if path.exists() else _SKELETON
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n{text}{END}{tail}", encoding="utf-8")


def _has_place(text: str) -> bool:
    return text.count(BEGIN) == 1 and text.count(END) == 1 and text.index(BEGIN) < text.index(END)
