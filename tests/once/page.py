"""Writes the table of costs in docs/ONCE.md: `python -m tests.once.page`."""

from pathlib import Path
from typing import Any

from tests.once.tools import simulated

PAGE = Path(__file__).parents[2] / "docs" / "ONCE.md"
BEGIN, END = "<!-- costs: begin -->\n", "<!-- costs: end -->\n"
RECORDS = 1_000
HEAD = [
    "| way | tree: write units | one: write units | read units | transactions of the tree's batch |",
    "|---|---:|---:|---:|---:|",
]


def tree(number: int) -> dict[str, dict[str, int]]:
    """Three of 18 counters."""
    labels = ("AB"[number % 2], "XY"[number // 2 % 2], "123"[number // 4 % 3])
    return {":".join(labels[:depth]): {"Value": 1} for depth in (1, 2, 3)}


def one(_: int) -> dict[str, dict[str, int]]:
    """The same counter for all."""
    return {"all": {"Value": 1}}


def measured(way: Any, counts: Any, version: int = 1) -> tuple[float, float, int]:
    """Write units and read units of a record, and the transactions, of a batch to tables that have begun."""
    counters = simulated().counters(way)

    def batch(records: range, versions: int) -> Any:
        with counters.batch() as some:
            for number in records:
                more = {"version": versions} if way == "version" else {}
                some.add(f"shard:{number}", counts(number), **more)
        return some.meter

    batch(range(1), 1)
    meter = batch(range(1, RECORDS + 1), 1)
    if version > 1:
        meter = batch(range(1, RECORDS + 1), version)
    return meter.write_units / RECORDS, meter.read_units / RECORDS, meter.transactions


def rows() -> list[str]:
    """The table's lines."""
    lines = [*HEAD]
    for name, way, version in (
        ("`id`", "id", 1),
        ("`version`, new records", "version", 1),
        ("`version`, corrections that change no total", "version", 2),
        ("`position`", "position", 1),
    ):
        wide, read, transactions = measured(way, tree, version)
        narrow, _, _ = measured(way, one, version)
        lines.append(f"| {name} | {wide:.3f} | {narrow:.3f} | {read:.3f} | {transactions} |")
    return lines


def parts() -> tuple[str, str, str]:
    """The page before, within and after the table."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)
    return before, table, after


if __name__ == "__main__":
    before, _, after = parts()
    PAGE.write_text(before + BEGIN + "\n".join(rows()) + "\n" + END + after, encoding="utf-8")
