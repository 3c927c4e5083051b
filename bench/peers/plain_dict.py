"""Peer: a plain Python dict of the newest version of each key. Nothing survives the process."""

from __future__ import annotations

import gc
import json
import platform
from typing import TYPE_CHECKING, Any

from peer import Leaf, Leaves, Peer, arguments, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Newest = dict[str, tuple[int, Leaf, int]]


def main() -> None:
    parser = arguments(str(__doc__))
    parser.add_argument("--orjson", action="store_true", help="decode with orjson, not with the standard library")
    options = parser.parse_args()
    loads, name, version = json.loads, "dict", f"Python {platform.python_version()}"
    if options.orjson:
        import orjson  # noqa: PLC0415  (only this switch needs it)

        loads, name, version = orjson.loads, "dict-orjson", f"{version}, orjson {orjson.__version__}"
    peer = Peer(name, version, durable=False, exact=True, exactly_once_after_crash="no: nothing survives")
    gc.disable()  # Its scans of millions of tuples find nothing: no cycle is ever made here.
    measure(peer, options, lambda path, _: fold(path, loads))


def fold(path: Path, loads: Callable[[str], Any]) -> Leaves:
    """Keep the newest version of each key, then sum once at the end: the cheapest order."""
    with path.open(encoding="utf-8") as lines:
        newest = latest(map(loads, lines))
    leaves: Leaves = {}
    for _, leaf, cents in newest.values():
        count, total = leaves.get(leaf, (0, 0))
        leaves[leaf] = (count + 1, total + cents)
    return leaves


def latest(events: Iterable[Any]) -> Newest:
    """Return the greatest version of each key, with its leaf and its value in cents.

    The decoder gives the value as a binary float; rounded to cents it is exact up to ten trillion.
    """
    newest: Newest = {}
    for event in events:
        key, version = event["TradeID"], event["Version"]
        known = newest.get(key)
        if known is None or version > known[0]:
            place = event["Hierarchy"]
            leaf = (place["RiskType"], place["TradeDesk"], place["Region"])
            newest[key] = (version, leaf, round(event["Value"] * 100))
    return newest


if __name__ == "__main__":
    main()
