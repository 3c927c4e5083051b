"""Envelopes, wide versions, zones and spellings by the column: what the scalar decoder says, and mostly without it."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from tests.columnar.records import SEEDS
from tests.columnar.test_csv_scan import assert_as_the_core as assert_csv_as_the_core
from tests.columnar.test_json_scan import assert_as_the_core
from tests.columnar.tools import SOURCE, counting, effort, of_batch

_REST = """
[rollups]
t = ["region", { field = "tag", missing = "-" }]
[measures]
amount = { sum = "amount", scale = 2, missing = "zero" }
"""
DEBEZIUM = parse_toml(f"""
name = "d"
[event]
envelope = "debezium"
key = ["id", "line"]
version = ["@source.ts", "@source.lsn"]
time = {{ field = "@ts_ms", unit = "ms" }}
missing_texts = ["NULL"]
{_REST}""")
DYNAMODB = parse_toml(f"""
name = "d"
[event]
envelope = "dynamodb"
key = ["id", "line"]
time = "@dynamodb.ApproximateCreationDateTime"
delete = "gone"
{_REST.replace('"tag"', '"nested.tag"')}""")
CLOUDEVENTS = parse_toml(f"""
name = "c"
[event]
envelope = "cloudevents"
key = {{ first_of = ["id", "@subject"] }}
version = {{ field = "@id", type = "ulid" }}
time = "@time"
{_REST}""")
LOCAL = """
name = "l"
[event]
key = "id"
version = {{ field = "at", type = "timestamp", timezone = "{zone}" }}
time = {{ field = "de", format = "%d.%m.%Y %H:%M:%S.%f", timezone = "{zone}" }}
decimal = ","
group = "."
[rollups]
days = [{{ field = "at", window = "1mo", timezone = "{zone}" }}, {{ field = "at", window = "1d", timezone = "{zone}" }}]
long = [{{ field = "at", window = "6h", timezone = "{zone}" }}]
short = [{{ field = "at", window = "{short}", timezone = "{zone}" }}]
weeks = [{{ field = "at", window = "1w", timezone = "{zone}", week_starts = "sunday" }}]
quarters = [{{ field = "at", window = "1q" }}]
naive = [{{ field = "at", window = "1h", field_timezone = "{zone}" }}]
years = [{{ field = "at", window = "2y", timezone = "{zone}" }}]
[measures]
n = {{ sum = "n", scale = 2 }}
"""
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana", "Pacific/Apia"]


def row(rng: Random) -> dict[str, Any] | None:
    """A row of few keys; an odd one lacks something or has it of another kind."""
    if rng.random() < 0.05:
        return rng.choice([None, {}, {"id": 1}])
    found: dict[str, Any] = {
        "id": rng.randint(1, 3),
        "line": "a",
        "region": rng.choice(["EU", "US", ""]),
        "amount": "1.50",
    }
    if rng.random() < 0.3:
        found["tag"] = rng.choice(["x", "NULL", "__debezium_unavailable_value", None])
    if rng.random() < 0.1:
        found[rng.choice(list(found))] = rng.choice([None, [], {}, True, "é", 1.5, "NULL", {"S": "x"}])
    return found


def debezium(rng: Random) -> Any:
    operation = rng.choice(["c", "u", "u", "d", "r"])
    after = None if operation == "d" else row(rng)
    before = row(rng) if operation in "ud" and rng.random() < 0.8 else None
    if after and before and rng.random() < 0.7:
        before |= {"id": after.get("id"), "line": after.get("line")}
    source = {"lsn": rng.randint(0, 9), "ts": rng.choice([0, 2**40, 5])}
    event: Any = {"before": before, "after": after, "source": source, "op": operation, "ts_ms": 1619171446308}
    if rng.random() < 0.1:
        event[rng.choice(list(event))] = rng.choice([None, [], "x", "m", "t", 5, {}, {"lsn": -1, "ts": 2**70}])
    if rng.random() < 0.3:
        event = {"schema": {"op": "x", "after": {"id": 5}}, "payload": event}
    return (
        rng.choice([None, {"payload": None}, {"op": None, "payload": event}, [event]]) if rng.random() < 0.05 else event
    )


def typed(value: Any) -> Any:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": str(value)}
    return {"NULL": True} if value is None else {"S": value} if isinstance(value, str) else {"M": value}


def image(rng: Random) -> Any:
    found = {name: typed(value) for name, value in (row(rng) or {}).items()}
    found["nested"] = {"M": {"tag": typed(rng.choice(["x", 5, None]))}}
    if rng.random() < 0.1:
        odd = [{"N": "1E+2"}, {"N": "007"}, {"N": "x"}, {"N": 5}, {"S": 5}, {"S": "a", "N": "1"}, {"SS": ["a"]},
               {"BOOL": "x"}, {"NULL": False}, {}, [], "a", None, {"N": "-"}, {"N": "-0"}, {"N": "1."}, {"N": "+1"},
               {"L": []}]  # fmt: skip
        found[rng.choice(list(found))] = rng.choice(odd)
    return found


def dynamodb(rng: Random) -> Any:
    name = rng.choice(["INSERT", "MODIFY", "REMOVE"])
    new = image(rng)
    change = {
        "Keys": {k: new[k] for k in ("id", "line") if k in new},
        "SequenceNumber": str(10**27 + rng.randint(0, 5)),
    }
    if name != "REMOVE":
        change["NewImage"] = new
    if name != "INSERT" and rng.random() < 0.7:
        change["OldImage"] = image(rng) if rng.random() < 0.3 else new
    if rng.random() < 0.1:
        change[rng.choice(list(change))] = rng.choice([None, [], "x", {}, 5])
    form = rng.random()
    if form < 0.2:
        return {"Item": rng.choice([new, new, None, []])}
    if form < 0.4:
        return {"Metadata": {"WriteTimestampMicros": {"N": "1680109764000000"}}, **change}
    change["ApproximateCreationDateTime"] = rng.choice([1700000000, 1.700000002e9, "x"])
    return {"eventName": rng.choice([name] * 9 + ["X", "DELETE", None]), "dynamodb": change}


def cloudevents(rng: Random) -> Any:
    event = {"specversion": "1.0", "id": "01ARZ3NDEKTSV4RRFFQ69G5FA" + rng.choice("VWXU"), "subject": "s",
             "time": "2021-03-22T11:00:58Z", "data": row(rng)}  # fmt: skip
    if event["data"] and rng.random() < 0.3:
        event["data"].pop("id", None)
    if rng.random() < 0.1:
        event[rng.choice(list(event))] = rng.choice([None, [], 5, "x"])
    if rng.random() < 0.05:
        event["data_base64"] = "e30="
    return event


def local_time(rng: Random) -> str:
    year, month = rng.choice([1900, 1950, 1977, 2011, 2024, 2024, 2200]), rng.choice([1, 3, 3, 4, 10, 10, 11, 12])
    day, hour = rng.randint(24, 31) if rng.random() < 0.7 else rng.randint(1, 23), rng.randint(0, 4)
    text = f"{year}-{month:02d}-{day:02d}{rng.choice('T ')}{hour:02d}:{rng.randint(0, 59):02d}"
    text += rng.choice(["", f":{rng.randint(0, 59):02d}", ":00.25", ":59,5"])
    return text + rng.choice(["", "", "Z", " UTC", "+01", "-0500", "+05:45", " +00:00", "z", " GMT", "+1", "-05:00:30"])


def local(rng: Random) -> Any:
    number = rng.choice(
        ["1.234,50", "-5,00", "1234,5", "1.234.567", "12.34,5", "1,5", "1.5", "5,", ",5", "1e2", "1,505", "0", "1,50e1"]
    )
    formatted = (
        f"{rng.randint(1, 31)}.{rng.randint(1, 12):02d}.{rng.choice([2024, 1999])} 2:{rng.randint(0, 60):02d}:07.5"
    )
    return {"id": rng.randint(1, 3), "at": rng.choice([local_time(rng)] * 9 + [1711848600, -0.5, "2024-03-31"]),
            "de": formatted, "n": rng.choice([number, number, 5, 1.5])}  # fmt: skip


def block(rng: Random, make: Any, records: int = 40) -> bytes:
    return b"".join(json.dumps(make(rng)).encode() + b"\n" for _ in range(records))


@pytest.mark.parametrize(
    ("pipeline", "make"),
    [(DEBEZIUM, debezium), (DYNAMODB, dynamodb), (CLOUDEVENTS, cloudevents)],
    ids=["debezium", "dynamodb", "cloudevents"],
)
def test_envelopes_by_the_column_equal_the_core(pipeline: Pipeline, make: Any) -> None:
    @given(SEEDS)
    @effort(150)
    def run(seed: int) -> None:
        assert_as_the_core(pipeline, block(Random(seed), make))

    run()


@pytest.mark.parametrize("short", ["30m", "40m", "1h"])
def test_zones_and_spellings_by_the_column_equal_the_core(short: str) -> None:
    pipelines = [parse_toml(LOCAL.format(zone=zone, short=short)) for zone in ZONES]

    @given(SEEDS)
    @effort(100)
    def run(seed: int) -> None:
        rng = Random(seed)
        assert_as_the_core(rng.choice(pipelines), block(rng, local))

    run()


@given(SEEDS)
@effort(50)
def test_a_flat_text_has_the_same_spellings(seed: int) -> None:
    rng = Random(seed)
    pipeline = parse_toml(
        LOCAL.format(zone="Europe/Berlin", short="1h").replace('key = "id"', 'key = { first_of = ["id", "de"] }')
    )
    rows = [local(rng) for _ in range(20)]
    text = "".join(
        ";".join(str(rng.choice([row[name], row[name], ""])) for name in ("id", "at", "de", "n")) + "\n" for row in rows
    )
    assert_csv_as_the_core(pipeline, text.encode(), ["id", "at", "de", "n"], ";")


SOURCE_OF_ONE = {"lsn": 5, "ts": 1}
COMMON = [
    (DEBEZIUM, {"before": None, "after": {"id": 1, "line": "a", "region": "EU"}, "op": "c", "source": SOURCE_OF_ONE}),
    (DEBEZIUM, {"schema": {}, "payload": {"before": {"id": 1, "line": "a"}, "op": "d", "source": SOURCE_OF_ONE}}),
    (DYNAMODB, {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "4" * 28, "NewImage": {
        "id": {"S": "x"}, "line": {"N": "5"}, "region": {"S": "EU"}, "amount": {"N": "1.5"},
        "gone": {"BOOL": False}}}}),
    (DYNAMODB, {"Item": {"id": {"S": "x"}, "line": {"N": "5"}, "region": {"S": "EU"}, "amount": {"NULL": True}}}),
    (CLOUDEVENTS, {"specversion": "1.0", "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "subject": "s",
                   "data": {"region": "EU"}}),
    (parse_toml(LOCAL.format(zone="Europe/Berlin", short="15m")),
     {"id": 1, "at": "2024-03-31 03:30:00", "de": "1.4.2024 10:00:00.5", "n": "1.234,50"}),
]  # fmt: skip


@pytest.mark.parametrize(("pipeline", "record"), COMMON)
def test_common_records_are_read_without_the_scalar_decoder(pipeline: Pipeline, record: Any) -> None:
    decoder, scalar = counting(pipeline)
    read = of_batch(decoder.json(json.dumps(record).encode() + b"\n", SOURCE, 0))
    assert (scalar.calls, read.rejects) == (0, [])
    assert_as_the_core(pipeline, json.dumps(record).encode() + b"\n")


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("decimal", ["18446744073709551615", "-5", "0", "99999999999999999999999999999999999999"]),
        ("ulid", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"]),
        ("uuidv7", ["018f3c2e-7b00-7000-8000-000000000001", "FFFFFFFF-FFFF-7FFF-BFFF-FFFFFFFFFFFF"]),
        ("lsn", ["0/0", "0/16B3748", "7FFFFFFF/FFFFFFFE"]),
        ("text", ["", "a", "ab", "1.10.0", "0123456789abcdef", "éé"]),
    ],
)
def test_wide_versions_are_read_without_the_scalar_decoder(kind: str, texts: list[str]) -> None:
    pipeline = parse_toml(f'name="v"\n[event]\nkey="id"\nversion={{field="v", type="{kind}"}}\n[rollups]\nr=[]\n')
    lines = b"".join(json.dumps({"id": 1, "v": text}).encode() + b"\n" for text in texts)
    decoder, scalar = counting(pipeline)
    of_batch(decoder.json(lines.replace(rb"\u00e9", "é".encode()), SOURCE, 0))
    assert scalar.calls == 0
    assert_as_the_core(pipeline, lines)
