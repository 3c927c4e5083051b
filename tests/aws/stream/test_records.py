"""Lines become records: none lost, none too large, those of one key under one partition key."""

import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from oncefold.aws.stream.lines import open_lines, read_lines
from oncefold.aws.stream.records import FLUSH, Flush, Line, OversizeRecord, Record, by_fields, by_key, hashed, pack
from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.pipeline_file import parse_pipeline
from oncefold.sources.inputs import ReadOptions

LIMIT = 1_000


def packed(lines: Iterable[bytes | Flush], per_record: int, *fields: str, record_bytes: int = LIMIT) -> list[Record]:
    items = [line if isinstance(line, Flush) else Line(line, "f", number) for number, line in enumerate(lines, 1)]
    key = by_fields([FieldPath.parse(field) for field in fields]) if fields else None
    found = list(pack(items, key=key, per_record=per_record, record_bytes=record_bytes))
    return [record for record in found if isinstance(record, Record)]


def trade(key: object, number: int = 0) -> bytes:
    return json.dumps({"id": key, "n": number, "at": {"desk": "a"}}).encode()


def lines_of(records: Iterable[Record]) -> list[bytes]:
    return [line for record in records for line in record.data.split(b"\n")]


def test_one_line_a_record_by_default() -> None:
    records = packed([b"a", b"b", b" \r", b"", b"a"], 1)
    assert [record.data for record in records] == [b"a", b"b", b"a"]
    assert records[0] == Record(b"a", hashed(b"a"), 1, "f, line 1")
    assert records[2].location == "f, line 5"
    assert records[0].partition_key == records[2].partition_key != records[1].partition_key


@pytest.mark.parametrize("fields", [(), ("id",)])
def test_packing_keeps_every_line_and_the_limits(fields: tuple[str, ...]) -> None:
    rng = random.Random(5)
    lines: list[bytes | Flush] = [trade(rng.randrange(40), number) for number in range(500)]
    lines[50] = b"x" * (LIMIT - 32)
    lines[60] = b"y" * 3 * LIMIT
    lines.insert(100, FLUSH)
    records = packed(lines, 10, *fields)
    assert sorted(lines_of(records)) == sorted(line for line in lines if isinstance(line, bytes))
    assert sum(record.lines for record in records) == 500
    assert all(record.lines <= 10 for record in records)
    assert [record.lines for record in records if record.size > LIMIT] == [1]
    assert len(records) < 300


def test_a_flush_lets_nothing_wait() -> None:
    found = list(pack([Line(b"a"), FLUSH, Line(b"b"), OversizeRecord("x", 9)], per_record=10, record_bytes=LIMIT))
    assert [getattr(item, "data", item) for item in found] == [b"a", FLUSH, OversizeRecord("x", 9), b"b"]


@pytest.mark.parametrize("per_record", [1, 7])
def test_lines_of_one_key_have_one_partition_key_and_stay_in_order(per_record: int) -> None:
    lines = [trade(key, number) for number in range(20) for key in range(30)]
    records = packed(lines, per_record, "id", "at.desk")
    keys: dict[int, set[str]] = {}
    seen: dict[int, list[int]] = {}
    for record in records:
        for line in record.data.split(b"\n"):
            event = json.loads(line)
            keys.setdefault(event["id"], set()).add(record.partition_key)
            seen.setdefault(event["id"], []).append(event["n"])
    assert all(len(found) == 1 for found in keys.values())
    assert all(found == list(range(20)) for found in seen.values())
    assert len(set.union(*keys.values())) > 20


def test_a_number_and_its_digits_are_one_key() -> None:
    key = by_fields([FieldPath.parse("id")])
    assert key(b'{"id": 7}') == key(b'{"id": "7"}') != key(b'{"id": 8}')


@pytest.mark.parametrize("line", [b"nonsense", b'{"other": 1}', b'{"id": null}', b"[1]", b"\xff", b"[" * 100_000])
def test_a_line_without_its_key_is_sent_all_the_same(line: bytes) -> None:
    assert by_fields([FieldPath.parse("id")])(line) == hashed(line)


# Lines of files


def read(*paths: Path, **options: object) -> tuple[list[Line | OversizeRecord | Flush], list[str], int]:
    sources = open_lines([str(path) for path in paths], ReadOptions(**options))  # type: ignore[arg-type]
    findings: list[str] = []
    size = [0]

    def on_read(count: int) -> None:
        size[0] += count

    return list(read_lines(sources, on_read, lambda finding: findings.append(finding.message))), findings, size[0]


def test_lines_have_their_numbers_in_each_file(tmp_path: Path) -> None:
    one, two = tmp_path / "1.jsonl", tmp_path / "2.jsonl.gz"
    one.write_bytes(b"a\n\nb")
    two.write_bytes(gzip.compress(b"c\n"))
    items, findings, size = read(one, two)
    lines = [item for item in items if isinstance(item, Line)]
    assert [(Path(line.source), line.number, line.data) for line in lines] == [
        (one, 1, b"a"),
        (one, 2, b""),
        (one, 3, b"b"),
        (two, 1, b"c"),
    ]
    assert lines[0].location == f"{one}, line 1"
    assert isinstance(items[-1], Flush)
    assert findings == []
    assert size == one.stat().st_size + two.stat().st_size


def test_a_line_too_long_to_hold_is_left_out_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "1.jsonl"
    path.write_bytes(b"a\n" + b"x" * 500 + b"\nb\n")
    items, _, _ = read(path, record_bytes=100, block_bytes=50)
    assert [item for item in items if isinstance(item, OversizeRecord)] == [OversizeRecord(f"{path}, line 2", 500)]
    assert [item.number for item in items if isinstance(item, Line)] == [1, 3]


def test_a_damaged_file_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    damaged, whole = tmp_path / "1.jsonl.gz", tmp_path / "2.jsonl"
    damaged.write_bytes(gzip.compress(b"a\n" * 1_000)[:-10])
    whole.write_bytes(b"b\n")
    items, findings, _ = read(damaged, whole)
    assert b"b" in [item.data for item in items if isinstance(item, Line)]
    assert len(findings) == 1
    assert "gzip" in findings[0]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_what_is_not_json_lines_is_refused_with_advice(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"id\n1\n")
    with pytest.raises(SourceError, match=r"is not sent.*JSON Lines.*oncefold run"):
        read(tmp_path / name)


def test_the_key_of_a_pipeline_brings_all_events_of_a_key_to_one_shard() -> None:
    plain = by_key(parse_pipeline('name="p"\n[event]\nkey="id"\n[rollups]\nall=[]'))
    assert plain(b'{"id": 7, "x": 1}') == plain(b'{"x": 2, "id": "7"}') != plain(b'{"id": 8}')
    computed = by_key(parse_pipeline("name='p'\n[event]\nkey='lower(id)'\n[rollups]\nall=[]"))
    assert computed(b'{"id": "A"}') == computed(b'{"id": "a", "n": 1}')
    wrapped = by_key(
        parse_pipeline('name="p"\n[event]\nenvelope="debezium"\nkey="id"\nversion="@source.ts_ms"\n[rollups]\nall=[]')
    )
    row = b'{"op": "%s", "before": %s, "after": %s, "source": {"connector": "mysql", "ts_ms": 1}}'
    assert wrapped(row % (b"c", b"null", b'{"id": 1}')) == wrapped(row % (b"d", b'{"id": 1}', b"null"))
    for line in (b"no JSON", b"{}", b"\xff"):
        assert plain(line) == hashed(line)
