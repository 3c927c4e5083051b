"""Small stores for the tests of questions: made by the real engine, with a clock that ticks once a commit."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from oncefold.columnar.text import TextDecoder
from oncefold.commit import SourcePosition
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import Event
from oncefold.engine.engine import Engine
from oncefold.store import Store

SECOND = 10**9
BEGAN = 1_772_442_000 * SECOND + 123_456_789
"""2026-03-02T09:00:00.123456789Z, the time of the first commit; the others follow a second apart."""

SHOP = parse_toml("""
name = "shop"
[event]
key = "order"
version = { field = "updated", type = "timestamp" }
time = "updated"
delete = "cancelled"
[rollups]
place = ["country", "city"]
[measures]
amount = { sum = "amount", scale = 2 }
""")

TWO_TREES = parse_toml("""
name = "risk"
[event]
key = ["book", "id"]
version = "v"
delete = "gone"
[rollups]
by_type = ["type", "region"]
by_region = ["region"]
[measures]
value = { sum = "value", scale = 2 }
tiny = { sum = "tiny", scale = 18, missing = "zero" }
""")

MONDAY: list[dict[str, Any]] = [
    {"order": "A-1", "updated": "2026-03-02T09:00:00Z", "country": "FR", "city": "Paris", "amount": 120},
    {"order": "A-2", "updated": "2026-03-02T09:05:00Z", "country": "FR", "city": "Lyon", "amount": "80.50"},
    {"order": "A-3", "updated": "2026-03-02T09:07:00Z", "country": "US", "city": "St. Louis/MO", "amount": "1999.99"},
    {"order": "A-4", "updated": "2026-03-02T09:09:00Z", "country": "US", "city": "Austin", "amount": "12.345"},
    {"order": "A-5", "updated": "2026-03-02T09:11:00Z", "country": "FR", "city": "Paris", "amount": 15},
]
TUESDAY: list[dict[str, Any]] = [
    MONDAY[0],
    {"order": "A-2", "updated": "2026-03-03T08:00:00.250000001Z", "country": "FR", "city": "Paris", "amount": 81},
    {"order": "A-2", "updated": "2026-03-02T09:01:00Z", "country": "FR", "city": "Lyon", "amount": 79},
    {**MONDAY[2], "amount": "1999.98"},
    {"order": "A-5", "updated": "2026-03-03T08:30:00Z", "cancelled": True},
    {"order": "A-6", "updated": "2026-03-03T08:40:00Z", "country": "US", "city": "Austin", "amount": "100000000.01"},
]


def lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Records as JSON Lines."""
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


def build(
    path: Path, pipeline: Pipeline, *commits: bytes, positions: Mapping[int, Sequence[SourcePosition]] | None = None
) -> Path:
    """A store with one commit for each block of JSON Lines."""
    ticks = count(BEGAN, SECOND)
    decoder = TextDecoder(pipeline)
    with Store.open(path, pipeline, clock=lambda: BEGAN) as store:
        engine = Engine(store, lambda: next(ticks))
        for number, block in enumerate(commits, 1):
            engine.fold(decoder.json(block, "events.jsonl", 0), SourcePosition("events.jsonl", '{"line":1}'))
            for position in (positions or {}).get(number, ()):
                engine.fold(decoder.json(b"", position.source, 0), position)
            store.commit(engine.take_commit())
    return path


def shop(folder: Path) -> Path:
    """The store of Monday and Tuesday."""
    return build(folder / "shop.db", SHOP, lines(MONDAY), lines(TUESDAY))


def events(pipeline: Pipeline, *commits: bytes) -> list[Event]:
    """The events that can be read, for the reference model."""
    decoder = Decoder(pipeline)
    found = []
    for line in b"".join(commits).splitlines():
        try:
            found.append(decoder.json(line))
        except InvalidEvent:
            continue
    return found


def alter(path: Path, sql: str, *parameters: Any) -> None:
    """Change a store by hand."""
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(sql, parameters).rowcount == 1
    connection.close()
