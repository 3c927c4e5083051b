"""Records in every form in which events arrive, and what each means, without the engine's decoders."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.measures import NO_VALUE

_TEXT = """
name = "proof"
[event]
key = "id"
version = "v"
delete = "gone"
time = "t"
[rollups]
places = [{ field = "place.region"%(region)s }, "place.desk"]
days = [{ field = "t", window = "1d", missing = "never" }, "place.desk"]
all = []
%(tags)s
[measures]
value = { sum = "value", scale = 2 }
fee = { sum = "fee"%(fee)s }
mean = { avg = "tip", scale = 1 }
tips = { count = "tip" }
least = { min = "tip", scale = 1 }
most = { max = "tip", scale = 1 }
guests = { distinct = "who" }
early = { first = "tip", scale = 1 }
late = { last = "tip", scale = 1 }
"""
"""Every kind of measure; what is not a sum is of fields that may be NULL, which few values often are."""

_ACCEPTS = {"region": ', missing = "nowhere"', "fee": ', missing = "zero"'}
_TAGS = 'tags = ["place.desk", { each = "tags", missing = "untagged" }]'

NARROW: Pipeline = parse_toml(_TEXT % {"region": "", "fee": "", "tags": ""})
WIDE: Pipeline = parse_toml(_TEXT % {**_ACCEPTS, "tags": ""})
"""The same, but that what NARROW rejects for the lack of a region or fee counts."""

NARROW_SETS: Pipeline = parse_toml(_TEXT % {"region": "", "fee": "", "tags": _TAGS})
WIDE_SETS: Pipeline = parse_toml(_TEXT % {**_ACCEPTS, "tags": _TAGS})
"""These two with a tree in which a key has a leaf for each of its tags."""

NAMES = ("id", "v", "place.region", "place.desk", "value", "fee", "gone", "t", "tip", "who", "tags")
HEADER = ",".join(NAMES) + "\n"

_TABLE = pa.schema(
    {
        "id": pa.string(),
        "v": pa.int64(),
        "place": pa.struct({"region": pa.string(), "desk": pa.string()}),
        "value": pa.decimal128(18, 2),
        "fee": pa.int64(),
        "gone": pa.bool_(),
        "t": pa.int64(),
        "tip": pa.decimal128(5, 1),
        "who": pa.string(),
        "tags": pa.list_(pa.string()),
    }
)


@dataclass(frozen=True)
class Record:
    """One record; None is a field that is missing, and one without a version means nothing under any definition."""

    key: str
    version: int | None
    region: str | None
    desk: str
    cents: int
    fee: int | None
    gone: bool = False
    seconds: int | None = None
    tip: int | None = None
    """In tenths."""
    who: str | None = None
    tags: tuple[str, ...] | None = None

    def event(self, pipeline: Pipeline) -> Event | None:
        """What it means under one of the definitions; None if it is to be rejected."""
        if self.version is None:
            return None
        if self.gone:
            return Event(self.key, self.version, DELETED)
        if pipeline in {NARROW, NARROW_SETS} and (self.region is None or self.fee is None):
            return None
        region = "nowhere" if self.region is None else self.region
        day = "never" if self.seconds is None else str(date(1970, 1, 1) + timedelta(seconds=self.seconds))
        time = None if self.seconds is None else self.seconds * 10**9
        there = int(self.tip is not None)
        numbers = (self.cents, self.fee or 0, self.tip or 0, there, there, _or_null(self.tip), _or_null(time))
        labels = (region, self.desk, day, *([_packed(self.tags or ("untagged",))] if pipeline.arrays else []))
        return Event(self.key, self.version, Content(labels, numbers, (self.who,)), time)


def _packed(tags: Iterable[str]) -> str:
    """Different labels in order, each with its end behind it."""
    return "".join(tag.replace("\0", "\0\2") + "\0\1" for tag in sorted(set(tags)))


def _or_null(number: int | None) -> int:
    """A number as a column of a key holds it."""
    return NO_VALUE if number is None else number


def contents_in_csv(records: Iterable[Record]) -> list[Record]:
    """What is left of records in CSV: an empty cell is an empty label, and NULL for a measure."""
    return [Record(**{**vars(record), "region": record.region or "", "who": record.who or None}) for record in records]


def json_lines(records: Iterable[Record]) -> bytes:
    return b"".join(_json(record) for record in records)


def _json(record: Record) -> bytes:
    fields = {
        "id": json.dumps(record.key),
        "v": record.version,
        "place": json.dumps(
            {name: v for name, v in (("region", record.region), ("desk", record.desk)) if v is not None}
        ),
        "value": Decimal(record.cents).scaleb(-2),
        "fee": record.fee,
        "gone": "true" if record.gone else None,
        "t": record.seconds,
        "tip": None if record.tip is None else Decimal(record.tip).scaleb(-1),
        "who": None if record.who is None else json.dumps(record.who),
        "tags": None if record.tags is None else json.dumps(record.tags),
    }
    return ("{" + ", ".join(f'"{name}": {v}' for name, v in fields.items() if v is not None) + "}\n").encode()


def csv_lines(records: Iterable[Record]) -> bytes:
    return b"".join(_csv(record) for record in records)


def _csv(record: Record) -> bytes:
    texts = [f'"{text}"' for text in (record.region or "", record.desk)]
    cells = [f'"{record.key}"', record.version, *texts, Decimal(record.cents).scaleb(-2), record.fee]
    cells += ["true" if record.gone else "", record.seconds]
    cells += [None if record.tip is None else Decimal(record.tip).scaleb(-1), record.who]
    cells.append(None if record.tags is None else '"' + json.dumps(record.tags).replace('"', '""') + '"')
    return (",".join("" if cell is None else str(cell) for cell in cells) + "\n").encode()


def mappings(records: Iterable[Record]) -> list[dict[str, Any]]:
    return [
        {
            "id": record.key,
            "v": record.version,
            "place": {"region": record.region, "desk": record.desk},
            "value": Decimal(record.cents).scaleb(-2),
            "fee": record.fee,
            "gone": record.gone,
            "t": record.seconds,
            "tip": None if record.tip is None else Decimal(record.tip).scaleb(-1),
            "who": record.who,
            "tags": None if record.tags is None else list(record.tags),
        }
        for record in records
    ]


def table(records: Sequence[Record]) -> pa.Table:
    return pa.Table.from_pylist(mappings(records), schema=_TABLE)


CENTS = st.sampled_from([0, 1, -1, 250, 10**17 - 1, 1 - 10**17])

RECORDS = st.builds(
    Record,
    key=st.sampled_from("abcdefgh"),
    version=st.sampled_from([1, 2, 3, 4, 2, 3, None]),
    region=st.sampled_from(["emea", "apac", "", "a/b", None]),
    desk=st.sampled_from(["fx", "rates, long"]),
    cents=CENTS,
    fee=st.sampled_from([0, 7, 7, None]),
    gone=st.sampled_from([False, False, False, True]),
    seconds=st.sampled_from([None, 0, 86_399, 86_400]),
    tip=st.sampled_from([None, 0, 5, 5, -3, 12]),
    who=st.sampled_from([None, "", "ann", "bob", "é"]),
    tags=st.none() | st.lists(st.sampled_from(["red", "big", "", "a/b", "\0"]), max_size=3).map(tuple),
)
"""Few keys and versions, so that corrections, moves, deletes, late events, duplicates and conflicts all are common."""

BATCHES = st.lists(RECORDS, min_size=1, max_size=12)
