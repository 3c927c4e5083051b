"""Peer: Pathway tables, the newest version per key by `argmax` and the totals per leaf by `groupby` and `reduce`.

Static mode: the whole file is one commit, which is Pathway's fastest; a stream would also pay for retractions.
Without a licence key Pathway sends no telemetry and asks for no network.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# Workers are set before Pathway is imported. Two are a third faster than one with `argmax`; `deduplicate`, whose
# acceptor is a Python function, gains nothing from the second and is slower than that.
os.environ.setdefault("PATHWAY_THREADS", str(min(2, os.cpu_count() or 1)))

import pathway as pw
from peer import LEVELS, Leaves, Peer, arguments, measure

if TYPE_CHECKING:
    from pathlib import Path


class Event(pw.Schema):
    """The fields that are read; the connector decodes JSON in Rust and takes the labels by JSON Pointer."""

    TradeID: str
    Version: int
    Value: float
    RiskType: str
    TradeDesk: str
    Region: str


def main() -> None:
    parser = arguments(str(__doc__))
    parser.add_argument("--persistence", action="store_true", help="keep Pathway's own snapshots on the disk")
    options = parser.parse_args()
    peer = Peer(
        "pathway" + "-persistence" * options.persistence,
        pw.__version__,
        durable=False,
        exact=True,
        exactly_once_after_crash="at least once, and files are not synced: a power cut may lose them"
        if options.persistence
        else "no: nothing survives",
    )
    measure(peer, options, lambda path, directory: fold(path, directory if options.persistence else None))


def fold(path: Path, directory: Path | None) -> Leaves:
    """Run the tables over the file and return the leaves' totals."""
    leaves: Leaves = {}

    def on_change(key: pw.Pointer, row: dict[str, Any], time: int, is_addition: bool) -> None:  # noqa: ARG001, FBT001
        leaf, total = (row["RiskType"], row["TradeDesk"], row["Region"]), (row["live"], row["cents"])
        if is_addition:
            leaves[leaf] = total
        elif leaves.get(leaf) == total:
            del leaves[leaf]

    pw.io.subscribe(totals(path), on_change=on_change)
    persistence = None
    if directory is not None:
        persistence = pw.persistence.Config(pw.persistence.Backend.filesystem(directory))
    pw.run(monitoring_level=pw.MonitoringLevel.NONE, persistence_config=persistence)
    return leaves


def totals(path: Path) -> pw.Table:
    """Build the tables: events, the newest of each key, the sum of each leaf.

    Pathway's JSON reader has no decimals, so a value is a float until it is rounded to cents; sums are integers.
    """
    pointers = {level: f"/Hierarchy/{level}" for level in LEVELS}
    events = pw.io.fs.read(path, format="json", schema=Event, mode="static", json_field_paths=pointers)
    cents = pw.cast(int, (pw.this.Value * 100).num.round(0))
    content = pw.make_tuple(pw.this.RiskType, pw.this.TradeDesk, pw.this.Region, cents)
    newest = events.groupby(pw.this.TradeID).reduce(content=pw.reducers.argmax(pw.this.Version, id=content))
    placed = newest.select(
        RiskType=pw.this.content[0],
        TradeDesk=pw.this.content[1],
        Region=pw.this.content[2],
        cents=pw.this.content[3],
    )
    return placed.groupby(pw.this.RiskType, pw.this.TradeDesk, pw.this.Region).reduce(
        pw.this.RiskType,
        pw.this.TradeDesk,
        pw.this.Region,
        live=pw.reducers.count(),
        cents=pw.reducers.sum(pw.this.cents),
    )


if __name__ == "__main__":
    main()
