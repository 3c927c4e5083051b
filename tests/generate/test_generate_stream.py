"""The form of the messages, determinism, and the three formats against each other."""

import csv
import gzip
import hashlib
import io
import json
import uuid
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oncefold.generate import Workload, WorkloadError, generate, open_sink, plan, schema, truth, write
from oncefold.generate.workload import leaves

MIXED = Workload(count=3_000, modifications=0.2, duplicates=0.1, out_of_order=0.1, deletes=0.05, leaves=30, seed=3)
NAMES = ["TradeID", "Value", "Version", "Timestamp", "Hierarchy.RiskType", "Hierarchy.Region", "Hierarchy.TradeDesk"]


def text(workload, form="jsonl"):
    return b"".join(generate(workload, form))


def flat_rows(workload):
    """Return the JSON Lines form as flat rows of exact values."""
    for line in text(workload).splitlines():
        event = json.loads(line, parse_float=Decimal)
        row = [event[name] for name in NAMES[:4]]
        row += [event["Hierarchy"][name.partition(".")[2]] for name in NAMES[4:]]
        yield [*row, event.get("Deleted", False)]


def test_a_message_reads_as_in_the_workshop():
    first = text(Workload(count=1)).decode()
    assert first == (
        '{"TradeID": "161ebc4b-0828-448a-a734-41169c67910c", "Value": 2424.14, "Version": 1, '
        '"Timestamp": 1616413258.8997, '
        '"Hierarchy": {"RiskType": "PV", "Region": "APAC", "TradeDesk": "FXSpot"}}\n'
    )


def test_the_bytes_never_change():
    digest = hashlib.sha256(text(MIXED) + text(MIXED, "csv")).hexdigest()
    assert digest == "918093c98ec2708bf46eb7fb0f1769f87286398880d849bd02fdfb11e0bac5d5"


def test_another_seed_gives_other_bytes():
    assert text(Workload(count=50, seed=1)) != text(Workload(count=50, seed=2))


def test_keys_are_uuids_and_values_have_two_decimals():
    for row in flat_rows(MIXED):
        assert str(uuid.UUID(row[0])) == row[0]
        assert uuid.UUID(row[0]).version == 4
        assert Decimal(0) <= row[1] <= Decimal(100_000)
        assert row[1].as_tuple().exponent == -2
        assert row[3].as_tuple().exponent == -4


def test_times_rise_with_the_versions_of_a_key():
    times = {}
    for row in flat_rows(MIXED):
        times.setdefault(row[0], {})[row[2]] = row[3]
    assert all(a < b for of_key in times.values() for (_, a), (_, b) in pairwise(sorted(of_key.items())))


def test_csv_holds_the_same_events():
    rows = list(csv.reader(io.StringIO(text(MIXED, "csv").decode())))
    assert rows[0] == [*NAMES, "Deleted"]
    expected = [[*map(str, row[:-1]), "true" if row[-1] else "false"] for row in flat_rows(MIXED)]
    assert rows[1:] == expected


def test_parquet_holds_the_same_events(tmp_path):
    write(MIXED, tmp_path / "events.parquet")
    table = pq.read_table(tmp_path / "events.parquet")
    assert table.schema.equals(schema(MIXED))
    assert [list(row.values()) for row in table.to_pylist()] == list(flat_rows(MIXED))


def test_deleted_is_absent_without_deletes():
    plain = Workload(count=50, modifications=0.1)
    assert b"Deleted" not in text(plain)
    assert text(plain, "csv").splitlines()[0].decode() == ",".join(NAMES)
    assert schema(plain).names == NAMES


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz", "e.jsonl.zst", "e.csv", "e.csv.gz", "e.anything"])
def test_files_are_compressed_as_their_names_say(tmp_path, name):
    path = tmp_path / name
    assert write(MIXED, path) == truth(MIXED)
    data = path.read_bytes()
    if name.endswith(".gz"):
        data = gzip.decompress(data)
    if name.endswith(".zst"):
        data = pa.input_stream(path, compression="zstd").read()
    assert data == text(MIXED, "csv" if ".csv" in name else "jsonl")


def test_an_open_stream_stays_open():
    stream = io.BytesIO()
    write(MIXED, stream)
    assert stream.getvalue() == text(MIXED)


def test_parquet_is_not_compressed_twice(tmp_path):
    with pytest.raises(WorkloadError, match=r"without \.gz"), open_sink(MIXED, tmp_path / "e.parquet.gz"):
        pass


def test_the_first_twelve_leaves_are_the_workshops():
    twelve = set(leaves(12))
    assert len(twelve) == 12
    assert {leaf.risk_type for leaf in twelve} == {"PV", "Delta"}
    assert {leaf.region for leaf in twelve} == {"EMEA", "APAC", "AMER"}
    assert {leaf.trade_desk for leaf in twelve} == {"FXSpot", "FXOptions"}
    assert len(set(leaves(100_000))) == 100_000


def test_moves_are_a_share_of_modifications_and_leave_the_leaf():
    everything = truth(Workload(count=1_000, modifications=0.5, moves=1.0))["totals"]
    assert everything["moves"] == everything["modifications"] == 500
    assert truth(Workload(count=1_000, modifications=0.5, moves=0.0))["totals"]["moves"] == 0


def test_two_of_count_keys_and_modifications_fix_the_third():
    assert Workload().counts.events == 10_000
    assert Workload(count=1_000, keys=300, duplicates=0.1).counts.modifications == 600
    assert Workload(keys=300, modifications=0.4).counts[:2] == (300, 200)
    assert Workload(count=1_000, modifications=0.4).counts.keys == 600
    assert Workload(count=1_000, modifications=0.4, keys=600).counts.events == 1_000


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"duplicates": 0.6, "deletes": 0.5}, r"add up to 1\.1 \(duplicates 0\.6 \+ deletes 0\.5\): lower"),
        ({"duplicates": 1.0}, "add up to 1 "),
        ({"deletes": -0.1}, "deletes is -0.1: give a share from 0 to 1"),
        ({"moves": float("nan")}, "moves is nan"),
        ({"count": 0}, "count is 0: give a number from 1"),
        ({"keys": 10**10}, "keys is 10,000,000,000"),
        ({"leaves": 0}, "leaves is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"start": 0}, "start is out of range"),
        ({"count": 10, "keys": 9, "duplicates": 0.2}, "more than the count of 10: raise the count"),
        ({"count": 10, "keys": 9, "modifications": 0.2}, "leave 8 new keys, not 9: drop one"),
        ({"count": 2, "duplicates": 0.49, "deletes": 0.49}, "leave none of 2 events"),
        ({"keys": 2_000_000_000, "duplicates": 0.5}, "need over 2,000,000,000 events"),
        ({"count": 10**9, "spacing": 10**12}, "more than 100 years"),
    ],
)
def test_knobs_that_cannot_be_are_refused_with_what_to_do(knobs, message):
    with pytest.raises(WorkloadError, match=message) as caught:
        Workload(**knobs)
    assert "\n" not in str(caught.value)


def test_a_plan_does_not_hold_the_stream():
    blocks = plan(Workload(count=2_000_000_000, modifications=0.5))
    assert len(next(blocks)) == pytest.approx(65_536, abs=5)
