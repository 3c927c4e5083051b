"""Random events for a definition with every kind of measure, few of each value, and what the engine makes of them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.event import Event
from oncefold.core.fold import Node, Total
from oncefold.engine.session import Session
from oncefold.pipeline_file import parse_pipeline
from oncefold.store import rows
from oncefold.store.reader import StoreFile
from oncefold.store.writer import Store
from tests.tools import reference

MEASURED = parse_pipeline("""
name = "orders"
[event]
key = "id"
version = "v"
delete = "gone"
time = "at"
[rollups]
shops = ["shop", "till"]
days = [{ field = "at", window = "1d", missing = "never" }]
[measures]
buyers = { distinct = "buyer" }
revenue = { sum = "price * qty", scale = 2, missing = "zero" }
smallest = { min = "price", scale = 2 }
mean = { avg = "price", scale = 3 }
biggest = { max = "price", scale = 2 }
large = { count = "price > 5" }
priced = { count = "price" }
words = { distinct = "UPPER(note)" }
opening = { first = "price", scale = 2 }
latest = { last = "price * qty", scale = 2 }
""")

PRICES = (None, "0", "0.50", "5.00", "5.00", "-3.25", "12.75")


def records(rng: Random, number: int, keys: int) -> list[dict[str, Any]]:
    """Inserts, corrections, moves, deletes, duplicates and conflicts of few keys."""
    return [_record(rng, keys) for _ in range(number)]


def _record(rng: Random, keys: int) -> dict[str, Any]:
    found = {
        "id": f"k{rng.randrange(keys)}",
        "v": rng.randint(1, 4),
        "at": rng.choice([None, 10, 10, 86_399, 86_400, 200_000]),
        "shop": rng.choice("ab"),
        "till": rng.choice(["1", "2", "3"]),
        "price": rng.choice(PRICES),
        "qty": rng.choice([1, 2, 3, None]),
        "buyer": rng.choice(["ann", "bob", "", None, 7, "é"]),
        "note": rng.choice(["x", "X", "y", None]),
        "gone": rng.random() < 0.15,
    }
    return {name: value for name, value in found.items() if value is not None}


def lines(events: Sequence[dict[str, Any]]) -> bytes:
    """Records as JSON Lines, prices as numbers."""
    return b"".join(_line(event) for event in events)


def _line(event: dict[str, Any]) -> bytes:
    text = json.dumps({**event, "price": "PRICE"} if "price" in event else event, ensure_ascii=False)
    return text.replace('"PRICE"', str(event.get("price"))).encode() + b"\n"


def decoded(events: Sequence[dict[str, Any]]) -> list[Event]:
    """The same as the scalar decoder reads them."""
    decoder = Decoder(MEASURED)
    return [decoder.json(_line(event)) for event in events]


def live(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records that count: the winners of their keys that are no deletes, as plain Python finds them."""
    pairs = list(zip(decoded(events), events, strict=True))
    winners = reference.winners(event for event, _ in pairs)
    found = {event.key: record for event, record in pairs if event == winners[event.key]}
    return [record for key, record in found.items() if not winners[key].content.deleted]


def totals(path: Path, commit: int | None = None) -> dict[Node, Total]:
    """Every node's amounts as a store answers them."""
    with StoreFile.open(path) as file:
        return {
            Node(index, rows.labels_of(row.path)): Total(row.count, row.sums)
            for index, rollup in enumerate(file.pipeline.rollups)
            for row in file.totals(rollup.name, commit=commit).rows
        }


@contextmanager
def opened(path: Path, pipeline: Pipeline = MEASURED) -> Iterator[Session]:
    """A session on a store of the definition."""
    clock = iter(range(10**18, 10**19, 10**9))
    with Session(Store.open(path, pipeline, clock=lambda: 10**18), lambda: next(clock)) as session:
        yield session
