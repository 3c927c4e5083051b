"""What was rejected under a definition is rejected again under it, from every form in which events come."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oncefold.columnar.table import TableDecoder
from oncefold.columnar.text import RecordDecoder
from oncefold.core.definition_toml import parse_toml
from oncefold.core.fold import Outcome
from oncefold.core.values import from_json, plain, to_json
from oncefold.engine.session import Session
from tests.tools.sizes import examples

PIPELINE = parse_toml("""
name = "agree"
[event]
key = "id"
version = "v"
delete = "gone"
[rollups]
t = ["g", "place.desk"]
[measures]
a = { sum = "a", scale = 2 }
""")
ZERO = parse_toml("""
name = "agree"
[event]
key = "id"
version = "v"
delete = "gone"
[rollups]
t = ["g", "place.desk"]
[measures]
a = { sum = "a", scale = 2, missing = "zero" }
""")


class Colour(Enum):
    RED = "red"


ODD = [
    b"k", bytearray(b"k"), UUID(int=5), Colour.RED, Decimal("NaN"), Decimal("Infinity"), Decimal("1.005"), math.nan,
    -math.inf, 1e300, 10**5000, Fraction(1, 3), 1j, {1, 2}, time(1), timedelta(1), date(2024, 1, 2),
    datetime(2024, 1, 2, tzinfo=UTC), "\ud83d", "", "x", 7, 7.0, 7.5, True, None, [], [b"x"], {}, {"desk": b"x"},
    {1: "y"}, {"desk": "y"}, object, Decimal(7), "7",
]  # fmt: skip
RECORDS = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(ODD) for name in ("id", "v", "g", "gone", "a", "place", "unread", "place.desk")}
)


@settings(deadline=None, max_examples=examples(300))
@given(st.lists(RECORDS, max_size=5))
def test_mappings_are_rejected_again(records: list[dict[str, Any]]) -> None:
    decoder = RecordDecoder(PIPELINE)
    batch = decoder.mappings(records, "python")
    for reject in batch.rejects:
        again = decoder.again(reject)
        assert [(found.reason, found.raw) for found in again.rejects] == [(reject.reason, reject.raw)]


@settings(deadline=None, max_examples=examples(300))
@given(RECORDS)
def test_a_plain_value_is_the_same_after_it_was_written(record: dict[str, Any]) -> None:
    once = plain(record)
    again = from_json(to_json(once))
    assert to_json(again) == to_json(once)
    assert plain(again) == again


TYPES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.binary(), [b"k"]),
    (pa.uuid(), [UUID(int=5).bytes]),
    (pa.decimal128(10, 0), [Decimal(7)]),
    (pa.decimal128(10, 2), [Decimal("7.00"), Decimal("1.05")]),
    (pa.float64(), [7.0, math.nan, 0.1]),
    (pa.timestamp("us"), [datetime(2024, 1, 2)]),
    (pa.time64("us"), [time(1)]),
    (pa.duration("s"), [timedelta(1)]),
    (pa.list_(pa.int64()), [[1]]),
    (pa.struct([("desk", pa.binary())]), [{"desk": b"x"}]),
    (pa.struct([("desk", pa.string())]), [{"desk": "x"}]),
    (pa.string(), ["x", "7", "1,5"]),
    (pa.int64(), [7]),
    (pa.bool_(), [True, False]),
]


@st.composite
def tables(draw: st.DrawFn) -> pa.RecordBatch:
    columns = {}
    for name in ("id", "v", "g", "gone", "a", "place", "place.desk"):
        if draw(st.integers(0, 6)):
            kind, values = draw(st.sampled_from(TYPES))
            storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
            cells = draw(st.lists(st.none() | st.sampled_from(values), min_size=3, max_size=3))
            array = pa.array(cells, storage)
            columns[name] = pa.ExtensionArray.from_storage(kind, array) if storage is not kind else array
    return pa.record_batch(columns) if columns else pa.record_batch({"id": pa.array(["x"] * 3)})


def _uuids(cells: list[bytes | None]) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(cells, pa.binary(16)))


@settings(deadline=None, max_examples=examples(200))
@given(tables())
@example(pa.record_batch({"id": ["x", "y"], "gone": _uuids([None, UUID(int=5).bytes])}))
def test_rows_of_tables_are_rejected_again(table: pa.RecordBatch) -> None:
    batch = TableDecoder(PIPELINE).decode(table, "t", 0)
    for reject in batch.rejects:
        assert len(RecordDecoder(PIPELINE).again(reject).rejects) == 1, reject


@pytest.mark.parametrize(
    ("column", "key"),
    [
        (pa.array([Decimal(700)], pa.decimal128(10, 0)), "700"),
        (pa.array([-7], pa.int16()), "-7"),
        (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID(int=5).bytes], pa.binary(16))), str(UUID(int=5))),
    ],
)
def test_whole_numbers_and_uuids_of_tables_are_keys(tmp_path: Path, column: pa.Array, key: str) -> None:
    table = pa.table({"id": column, "v": [1], "g": column, "place.desk": ["d"], "a": [5]})
    with Session.open(tmp_path / "s.db", PIPELINE) as session:
        assert session.ingest(table).counts == {Outcome.INSERTED: 1}
        assert session.totals(key).node.count == 1
        assert session.ingest({"id": key, "v": 1, "g": key, "place": {"desk": "d"}, "a": 5}).counts == {
            Outcome.DUPLICATE: 1
        }


def test_the_reason_names_the_type_of_the_column(tmp_path: Path) -> None:
    with Session.open(tmp_path / "s.db", PIPELINE) as session:
        for column, named in ((pa.array([7.0]), "double"), (pa.array([b"k"]), "binary"), (pa.array([[1]]), "list")):
            (reject,) = session.ingest(pa.table({"id": column, "v": [1], "g": ["x"], "a": [1]})).rejects
            assert reject.reason.startswith("field id: ")
            assert named in reject.reason


@settings(deadline=None, max_examples=examples(5), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORDS, min_size=1, max_size=20))
def test_redrive_under_the_same_definition_changes_nothing(tmp_path: Path, records: list[Mapping[str, Any]]) -> None:
    path = tmp_path / "s.db"
    path.unlink(missing_ok=True)
    with Session.open(path, PIPELINE) as session:
        first = session.ingest(records)
        again = session.redrive()
    assert again.counts.get(Outcome.REJECTED, 0) == len(first.rejects) == again.events


def test_a_wider_definition_reads_what_was_kept_and_the_list_names_the_item(tmp_path: Path) -> None:
    good = {"id": "k", "v": 1, "g": "x", "place": {"desk": "d"}, "a": 1}
    short = {"id": Decimal(7), "v": 1.0, "g": "x", "place": {"desk": "d"}, "unread": math.nan, "when": b"x"}
    with Session.open(tmp_path / "s.db", PIPELINE) as session:
        (reject,) = session.ingest([good, short]).rejects
        assert (reject.position, reject.format) == (1, "item")
        (listed,) = session.reader.rejects()
        assert (listed.unit, listed.position) == ("item", 1)
        assert json.loads(listed.raw)["when"] == {"unreadable": "bytes"}
    with Session.open(tmp_path / "s.db", ZERO) as session:
        assert session.redrive().counts == {Outcome.INSERTED: 1}
        assert session.totals("x/d").node.count == 2
