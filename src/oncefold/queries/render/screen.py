"""Tables and lines for people: dressed up on a terminal, plain text elsewhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = "  "
_DRESSED_ROWS = 2_000
"""Longer tables are plain on a terminal too: dressing them takes longer than anyone waits."""


@dataclass(slots=True)
class Grid:
    """A table: headings, which of them are numbers, and rows of text."""

    headings: Sequence[str]
    numbers: frozenset[str] = frozenset()
    """Headings of columns that stand to the right and are never broken."""
    rows: list[Sequence[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Add a row."""
        self.rows.append(cells)


class Screen:
    """Where an answer is shown."""

    def __init__(self, file: IO[str] | None = None) -> None:
        """On this file, or on standard output."""
        self._file = sys.stdout if file is None else file
        self._dressed = file is None and sys.stdout.isatty()

    def line(self, text: str = "", style: str = "") -> None:
        """Show one line; the style is for terminals."""
        if not self._dressed:
            self._write(text)
            return
        from rich.console import Console
        from rich.text import Text

        Console(file=self._file).print(Text(text, style), soft_wrap=True)

    def grid(self, grid: Grid) -> None:
        """Show a table."""
        if self._dressed and len(grid.rows) <= _DRESSED_ROWS:
            self._dressed_grid(grid)
        else:
            self._plain_grid(grid)

    def _dressed_grid(self, grid: Grid) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in grid.headings:
            right = heading in grid.numbers
            table.add_column(Text(heading), justify="right" if right else "left", no_wrap=right, overflow="fold")
        for row in grid.rows:
            table.add_row(*map(Text, row))
        Console(file=self._file).print(table)

    def _plain_grid(self, grid: Grid) -> None:
        from rich.cells import cell_len

        lines = [grid.headings, *grid.rows]
        widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
        right = [heading in grid.numbers for heading in grid.headings]
        for line in lines:
            cells = []
            for cell, width, to_right in zip(line, widths, right, strict=True):
                padding = " " * (width - cell_len(cell))
                cells.append(padding + cell if to_right else cell + padding)
            self._write(_GAP.join(cells).rstrip())

    def _write(self, line: str) -> None:
        encoding = getattr(self._file, "encoding", None) or "utf-8"
        self._file.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
