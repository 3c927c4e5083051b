"""What arrives: pipelines of every shape, and events of few keys that collide in every way.

The workload is cut into steps. A step is one commit: a batch handed to the session, or a block of a source.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, Final, Literal

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml

_PLACES = '[{ field = "region"%s }, "desk"]'
_DAYS = '[{ field = "t", window = "1d", missing = "never" }, "desk"]'
_ROLLUPS = ("places", "days", "all")


def shape(rng: Random) -> str:
    """A definition, as text."""
    event = ['key = "id"']
    event += ['version = "v"'] if rng.random() < 0.85 else []
    event += ['delete = "gone"'] if rng.random() < 0.8 else []
    event += ['time = "t"'] if rng.random() < 0.5 else []
    missing = rng.choice(("", ', missing = "nowhere"'))
    written = {"places": _PLACES % missing, "days": _DAYS, "all": "[]"}
    rollups = rng.sample(_ROLLUPS, rng.randint(1, len(_ROLLUPS)))
    measures = [f'value = {{ sum = "value", scale = {rng.choice((0, 2, 9))} }}'] if rng.random() < 0.9 else []
    measures += ['fee = { sum = "fee", missing = "zero" }'] if rng.random() < 0.6 else []
    tables = (
        ("event", event),
        ("rollups", [f"{name} = {written[name]}" for name in rollups]),
        ("measures", measures),
    )
    return 'name = "lab"\n' + "".join(f"[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in tables)


def pipeline_of(text: str) -> Pipeline:
    """The pipeline of a shape."""
    return parse_toml(text)


Form = Literal["json", "mappings", "table"]
EventKind = Literal["json", "csv"]
FORMS: Final[tuple[Form, ...]] = ("json", "mappings", "table")
SESSION: Final = "session"
"""The source under which batches are handed in."""

HEADER: Final = ("id", "v", "region", "desk", "value", "fee", "gone", "t")
_GARBAGE = ("not an event", '{"id": "a", "v": 1', '{"id": "a", "v": 1, "v": 2}', "[1]", '{"id": 1.5, "v": 1}')
_DAY = 86_400
_FILES: Final[tuple[tuple[str, EventKind], ...]] = (("a.jsonl", "json"), ("b.csv", "csv"), ("c.jsonl", "json"))

Record = dict[str, Any]
"""One record by its fields; one that holds only `raw` is text that no decoder can read."""


@dataclass(frozen=True, slots=True)
class WorkloadBatch:
    """Records handed to the session at once."""

    form: Form
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class WorkloadFile:
    """A source: a stream of text, read in blocks."""

    name: str
    kind: EventKind
    records: tuple[Record, ...]
    block_bytes: int


@dataclass(frozen=True, slots=True)
class DiskWorkload:
    """Everything that arrives, and in which order it is turned to: `SESSION` or a file's name, time after time."""

    batches: tuple[WorkloadBatch, ...]
    files: tuple[WorkloadFile, ...]
    turns: tuple[str, ...]
    """A turn to the session is one batch, one to a file several blocks; what is left at the end follows."""

    @property
    def records(self) -> int:
        """All records."""
        return sum(len(batch.records) for batch in self.batches) + sum(len(file.records) for file in self.files)


def workload(rng: Random) -> DiskWorkload:
    """Draw one."""
    source = _Events(rng)
    size = rng.choice((1, 3, 8, 20))
    batches = tuple(
        WorkloadBatch(form, source.some(rng.randint(0, size), form))
        for form in rng.choices(FORMS, k=rng.randint(0 if size > 1 else 4, 10))
    )
    files = tuple(
        WorkloadFile(name, kind, source.some(rng.randint(1, 30), kind), rng.choice((200, 500, 2_000)))
        for name, kind in rng.sample(_FILES, rng.randint(0 if batches else 1, 2))
    )
    names = [SESSION, *(file.name for file in files)]
    return DiskWorkload(batches, files, tuple(rng.choices(names, k=len(batches) + 2 * len(files))))


class _Events:
    """Draws records; some are repetitions of earlier ones."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._keys = rng.choice((4, 12, 60))
        self._versions = rng.choice((3, 3, 50))
        self._before: list[Record] = []

    def some(self, number: int, form: str) -> tuple[Record, ...]:
        return tuple(self._one(form) for _ in range(number))

    def _one(self, form: str) -> Record:
        rng = self._rng
        if form == "json" and rng.random() < 0.05:
            return {"raw": rng.choice(_GARBAGE)}
        if self._before and rng.random() < 0.15:
            return rng.choice(self._before)
        record: Record = {
            "id": f"k{rng.randrange(self._keys)}",
            "v": rng.randint(1, self._versions) if rng.random() < 0.97 else None,
            "region": rng.choice(("emea", "apac", "", "a/b", None)),
            "desk": rng.choice(("fx", "rates, long", "é")),
            "value": rng.choice((Decimal(0), Decimal(-1), Decimal(7), Decimal(10**9), Decimal(1 - 10**9))),
            "fee": rng.choice((0, 7, -7, None)),
            "gone": rng.random() < 0.12,
            "t": rng.choice((None, 0, _DAY - 1, _DAY)),
        }
        self._before.append(record)
        return record


def json_text(records: Sequence[Record]) -> bytes:
    """As JSON Lines."""
    return b"".join(json_line(record) + b"\n" for record in records)


def json_line(record: Record) -> bytes:
    """One record as JSON."""
    if "raw" in record:
        return str(record["raw"]).encode()
    return json.dumps({k: str(v) if k == "value" else v for k, v in record.items() if v is not None}).encode()


def csv_text(records: Sequence[Record]) -> bytes:
    """As CSV with a header; what is missing is an empty cell."""
    lines = [",".join(HEADER), *(",".join(f'"{cell}"' for cell in csv_cells(record)) for record in records)]
    return "".join(f"{line}\n" for line in lines).encode()


def csv_cells(record: Record) -> list[str]:
    """The cells of one record."""
    cells = ("" if record[name] is None else record[name] for name in HEADER)
    return [str(cell).lower() if isinstance(cell, bool) else str(cell) for cell in cells]
