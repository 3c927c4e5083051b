"""Check the peers on a handful of events whose totals are written here by hand.

Without switches only the peers that need the standard library alone, so that any interpreter can run it; with
`--all`, every peer.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from compare import PEERS, STDLIB_PEERS, Failure, run

# Key, version, value, then the labels of the leaf.
EVENTS = (
    ("a", 1, 10.10, "PV", "FXSpot", "EMEA"),
    ("b", 2, 0.20, "PV", "FXSpot", "EMEA"),
    ("b", 2, 0.20, "PV", "FXSpot", "EMEA"),  # a duplicate
    ("b", 1, 99.99, "Delta", "FXSpot", "EMEA"),  # stale: it arrives after its correction
    ("c", 1, 5.00, "PV", "FXOptions", "APAC"),
    ("c", 2, 7.05, "Delta", "FXOptions", "AMER"),  # moves to another leaf and leaves an empty one behind
    ("a", 3, 10.30, "PV", "FXSpot", "EMEA"),  # a correction
    ("d", 1, 100000.00, "Delta", "FXOptions", "AMER"),
)
TOTALS = b"""\
\t4\t100017.55
Delta\t2\t100007.05
Delta/FXOptions\t2\t100007.05
Delta/FXOptions/AMER\t2\t100007.05
PV\t2\t10.50
PV/FXSpot\t2\t10.50
PV/FXSpot/EMEA\t2\t10.50
"""


def main() -> int:
    expected = hashlib.sha256(TOTALS).hexdigest()
    wrong = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "events.jsonl"
        path.write_text("".join(map(line, EVENTS)), encoding="utf-8")
        for command in PEERS if "--all" in sys.argv[1:] else STDLIB_PEERS:
            result = run(command, path)
            if isinstance(result, Failure):
                wrong.append(f"{result.peer}: {result.error}")
            elif (result["sha256"], result["events"]) != (expected, len(EVENTS)):
                wrong.append(f"{result['peer']}: other totals than those written by hand")
    print("\n".join(wrong) or "every peer gave the totals written by hand")
    return 1 if wrong else 0


def line(event: tuple[str, int, float, str, str, str]) -> str:
    """Write an event as the benchmark's input does."""
    key, version, value, risk, desk, region = event
    place = {"RiskType": risk, "Region": region, "TradeDesk": desk}
    fields = {"TradeID": key, "Value": value, "Version": version, "Timestamp": 1616413258.8997, "Hierarchy": place}
    return json.dumps(fields) + "\n"


if __name__ == "__main__":
    sys.exit(main())
