"""What every peer shares: its command line, its clock, the tree of totals and the one line it prints.

Standard library only, so that the peers that need nothing else run anywhere.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Leaf = tuple[str, str, str]
"""The labels of a leaf, in the order of `LEVELS`."""
Total = tuple[int, int]
"""Live keys below a node, and the sum of their values in cents."""
Leaves = dict[Leaf, Total]

LEVELS = ("RiskType", "TradeDesk", "Region")

BATCH_BYTES = 16 << 20
"""One micro-batch of the peers that commit per batch: about 90,000 of the benchmark's events."""


@dataclass(frozen=True)
class Peer:
    """What a peer is and promises, beside its speed."""

    peer: str
    version: str
    durable: bool
    """Committed state survives a power cut, because it was synced to the disk."""
    exact: bool
    """No sum went through a binary float."""
    exactly_once_after_crash: str


def arguments(description: str) -> argparse.ArgumentParser:
    """Return the command line every peer has; a peer adds its own switches."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("input", type=Path, help="events as JSON Lines")
    parser.add_argument(
        "--directory",
        type=Path,
        help="keep the durable state here and go on from it (default: a new one beside the input, removed at the end)",
    )
    return parser


def measure(peer: Peer, options: argparse.Namespace, fold: Callable[[Path, Path], Leaves]) -> None:
    """Time `fold(input, directory)` from its first read to every total of the tree, and print the result line.

    The events are counted after the clock has stopped, so that no peer pays for the count.
    """
    kept: Path | None = options.directory
    directory = kept or Path(tempfile.mkdtemp(prefix=f".{peer.peer}-", dir=options.input.resolve().parent))
    directory.mkdir(parents=True, exist_ok=True)
    try:
        started = perf_counter()
        totals = tree(fold(options.input, directory))
        seconds = perf_counter() - started
    finally:
        if kept is None:
            shutil.rmtree(directory, ignore_errors=True)
    result = asdict(peer) | {
        "events": count_events(options.input),
        "seconds": round(seconds, 6),
        "sha256": hashlib.sha256(canonical(totals)).hexdigest(),
    }
    print(json.dumps(result), flush=True)


def tree(leaves: Mapping[Leaf, Total]) -> dict[str, Total]:
    """Sum the leaves along the tree; nodes without live keys are left out, the root never is."""
    totals: dict[str, Total] = {"": (0, 0)}
    for labels, (count, cents) in leaves.items():
        for depth in range(len(labels) + 1):
            path = "/".join(labels[:depth])
            below = totals.get(path, (0, 0))
            totals[path] = (below[0] + count, below[1] + cents)
    return {path: total for path, total in totals.items() if total[0] or not path}


def canonical(totals: Mapping[str, Total]) -> bytes:
    """Return the totals as the text whose hash the peers are compared by."""
    lines = sorted((path.encode(), *total) for path, total in totals.items())
    return b"".join(b"%s\t%d\t%s\n" % (path, count, decimal(cents).encode()) for path, count, cents in lines)


def decimal(cents: int) -> str:
    """Write cents with two decimals."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"


def count_events(path: Path) -> int:
    """Count the lines that hold an event."""
    with path.open("rb") as lines:
        return sum(1 for line in lines if not line.isspace())


def chunks(source: BinaryIO) -> Iterator[bytes]:
    """Read whole lines, about `BATCH_BYTES` at a time; `source.tell()` is then the end of the chunk."""
    while chunk := source.read(BATCH_BYTES):
        yield chunk + source.readline()
