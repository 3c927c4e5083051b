"""Peer: a Bytewax dataflow that keeps the newest version of each key as state and sums the changes per leaf.

One worker in one process: the file is one partition and the steps are short Python functions. Two workers in a
process share the interpreter lock and were slower; two processes pay for pickling every event and were no faster.
The source's batch size is Bytewax's own 1000; 100 and 10,000 were not faster.
"""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from zlib import crc32

import bytewax.operators as op
import orjson
from bytewax.connectors.files import FileSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from bytewax.testing import TestingSink
from peer import Leaf, Leaves, Peer, Total, arguments, measure
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Version = tuple[int, Leaf, int]
"""A version number, its leaf and its value in cents: the state of a key."""
Change = tuple[Leaf, int, int]
"""What a leaf gains or loses: keys and cents."""

SNAPSHOT_INTERVAL = timedelta(seconds=10)
"""Bytewax's own default. Each key's state is written once per interval in which it changed, so longer is faster,
and what a crash throws away is longer too."""

BUCKETS = 16
BUCKET_NAMES = [str(number) for number in range(BUCKETS)]


def main() -> None:
    parser = arguments(str(__doc__))
    parser.add_argument("--recovery", action="store_true", help="keep recovery snapshots on the disk")
    parser.add_argument("--buckets", action="store_true", help="key by a hash bucket that holds a dict of keys")
    options = parser.parse_args()
    peer = Peer(
        "bytewax" + "-buckets" * options.buckets + "-recovery" * options.recovery,
        version("bytewax"),
        durable=options.recovery,
        exact=True,
        exactly_once_after_crash="state yes, from the last snapshot; its output is repeated from there"
        if options.recovery
        else "no: nothing survives",
    )
    measure(peer, options, lambda path, directory: fold(path, directory if options.recovery else None, options.buckets))


def fold(path: Path, directory: Path | None, by_bucket: bool) -> Leaves:  # noqa: FBT001
    """Run the dataflow to the end of the file and return the leaves' totals."""
    totals: list[tuple[str, tuple[Leaf, Total]]] = []
    flow = dataflow(path, totals, by_bucket=by_bucket)
    recovery = None
    if directory is not None:
        if not any(directory.iterdir()):
            init_db_dir(directory, 1)
        recovery = RecoveryConfig(directory)
    cli_main(flow, workers_per_process=1, epoch_interval=SNAPSHOT_INTERVAL, recovery_config=recovery)
    return dict(total for _, total in totals)


def dataflow(path: Path, totals: list[tuple[str, tuple[Leaf, Total]]], *, by_bucket: bool) -> Dataflow:
    """Lines to events, events to changes per leaf, changes to totals, which come out at the end of the file."""
    flow = Dataflow("newest-version-wins")
    lines = op.input("lines", flow, FileSource(path))
    if by_bucket:
        events = op.flat_map_batch("decode", lines, decode_to_buckets)
        changes = op.stateful_batch("newest", events, NewestOfBucket)
    else:
        events = op.flat_map_batch("decode", lines, decode)
        changes = op.stateful_batch("newest", events, Newest)
    netted = op.flat_map_batch("net", changes, net)
    leaves = op.stateful_batch("leaves", netted, LeafTotal)
    op.output("totals", leaves, TestingSink(totals))
    return flow


def decode(lines: list[str]) -> list[tuple[str, Version]]:
    """Decode a batch of lines; a value is a binary float here, exact again once it is rounded to cents."""
    events = []
    for line in lines:
        event = orjson.loads(line)
        place = event["Hierarchy"]
        leaf = (place["RiskType"], place["TradeDesk"], place["Region"])
        events.append((event["TradeID"], (event["Version"], leaf, round(event["Value"] * 100))))
    return events


def decode_to_buckets(lines: list[str]) -> list[tuple[str, tuple[str, Version]]]:
    """Decode a batch of lines and key each event by the bucket of its key."""
    return [(BUCKET_NAMES[crc32(event[0].encode()) % BUCKETS], event) for event in decode(lines)]


class Newest(op.StatefulBatchLogic[Any, Any, Any]):
    """The newest version of one key: state per key, as Bytewax's documentation writes it."""

    def __init__(self, newest: Version | None) -> None:
        self.newest = newest

    @override
    def on_batch(self, values: list[Version]) -> tuple[Iterable[Change], bool]:
        old, new = self.newest, max(values)
        if old is None:
            self.newest = new
            return [(new[1], 1, new[2])], self.RETAIN
        if new[0] <= old[0]:
            return [], self.RETAIN
        self.newest = new
        return [(old[1], -1, -old[2]), (new[1], 1, new[2])], self.RETAIN

    @override
    def snapshot(self) -> Version | None:
        return self.newest


class NewestOfBucket(op.StatefulBatchLogic[Any, Any, Any]):
    """The newest versions of all keys of a bucket: far fewer calls, but a snapshot writes the whole bucket."""

    def __init__(self, newest: dict[str, Version] | None) -> None:
        self.newest = newest or {}

    @override
    def on_batch(self, values: list[tuple[str, Version]]) -> tuple[Iterable[Change], bool]:
        changes = []
        newest = self.newest
        for key, new in values:
            old = newest.get(key)
            if old is not None:
                if new[0] <= old[0]:
                    continue
                changes.append((old[1], -1, -old[2]))
            newest[key] = new
            changes.append((new[1], 1, new[2]))
        return changes, self.RETAIN

    @override
    def snapshot(self) -> dict[str, Version]:
        return self.newest.copy()


def net(changes: list[tuple[str, Change]]) -> list[tuple[str, tuple[Leaf, Total]]]:
    """Sum a batch of changes per leaf, so that the next step gets a handful of items."""
    sums: Leaves = {}
    for _, (leaf, keys, cents) in changes:
        before = sums.get(leaf, (0, 0))
        sums[leaf] = (before[0] + keys, before[1] + cents)
    return [("/".join(leaf), (leaf, total)) for leaf, total in sums.items()]


class LeafTotal(op.StatefulBatchLogic[Any, Any, Any]):
    """The running total of one leaf, emitted at the end of the input."""

    def __init__(self, total: tuple[Leaf, Total] | None) -> None:
        self.total = total

    @override
    def on_batch(self, values: list[tuple[Leaf, Total]]) -> tuple[Iterable[Any], bool]:
        _, (keys, cents) = self.total or (None, (0, 0))
        for _, (more_keys, more_cents) in values:
            keys += more_keys
            cents += more_cents
        self.total = (values[0][0], (keys, cents))
        return [], self.RETAIN

    @override
    def on_eof(self) -> tuple[Iterable[Any], bool]:
        return [self.total], self.RETAIN

    @override
    def snapshot(self) -> tuple[Leaf, Total] | None:
        return self.total


if __name__ == "__main__":
    main()
