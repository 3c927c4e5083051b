"""`rejects` and `conflicts`: everything on the lists, in order, in every form."""

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from oncefold.aws.connect import client
from oncefold.aws.functions.rejected import RAW_BYTES
from oncefold.aws.names import Names
from oncefold.aws.reader import StackReader
from oncefold.core.errors import OncefoldError, QueryError
from oncefold.core.event import DELETED, Content
from tests.aws.conftest import Run
from tests.aws.reader.clients import Paged
from tests.aws.reader.stacks import Filled, fill, put, put_conflict, put_reject
from tests.queries.stores import SHOP, TWO_TREES

OpenReader = Callable[..., StackReader]


@pytest.fixture
def rejected(shop_stack: Filled) -> Names:
    names = shop_stack.names
    put_reject(names, b'{"order": 1}', "field amount: missing", sequence=10, arrived=1_772_442_001)
    put_reject(names, b"\xff\x00", "not UTF-8", sequence=9, line=2, arrived=1_772_442_000.25)
    put_reject(names, b"\xff\x00", "not UTF-8", sequence=9, line=11, arrived=1_772_442_000.25)
    put_reject(names, b"[", "not JSON\x1b[2J", sequence=100, arrived=1_772_442_001)
    put_conflict(names, SHOP, "A-3", 5, Content(("US", "x"), (1,)), Content(("US", "x"), (2,)))
    return names


def test_rejects_come_in_the_order_of_their_arrival(rejected: Names, open_reader: OpenReader) -> None:
    found = open_reader(Paged(client("dynamodb"), 1)).rejects()
    assert [(row.sequence, row.position) for row in found] == [("9", 2), ("9", 11), ("10", 1), ("100", 1)]
    assert found.rows[0].time_text == "2026-03-02T09:00:00.25Z"
    assert found.rows[0].source == "shardId-000000000000"
    assert found.rows[0].raw == b"\xff\x00"
    assert found.total == 4
    newest = open_reader().rejects(newest_first=True)
    assert newest.rows == found.rows[::-1]
    assert open_reader().rejects(1, newest_first=True).rows == newest.rows[:1]
    assert [len(open_reader().rejects(limit)) for limit in (0, 1, 3, 9)] == [0, 1, 3, 4]
    assert open_reader().rejects(0).total == 4
    with pytest.raises(QueryError, match="limit is -1"):
        open_reader().rejects(-1)


def test_a_reject_too_long_to_keep_says_so(shop_stack: Filled, open_reader: OpenReader, run: Run) -> None:
    put_reject(shop_stack.names, b"x" * (RAW_BYTES + 1), "too long")
    (row,) = open_reader().rejects()
    assert row.cut
    assert len(row.raw) == RAW_BYTES
    assert "(the rest was not kept)" in run("rejects", "--raw")[1]


def test_conflicts_are_ordered_by_key_and_version(stack: Names, open_reader: OpenReader) -> None:
    fill(stack, TWO_TREES, [])
    low, high = Content(("a", "b"), (-150, 1)), Content(("a", "b/c"), (10**17, 1))
    put_conflict(stack, TWO_TREES, "k", 2, low, high)
    put_conflict(stack, TWO_TREES, "k", 1, low, DELETED)
    put_conflict(stack, TWO_TREES, "a", 9, high, low)
    found = open_reader().conflicts()
    assert [(row.key, row.version) for row in found] == [("a", 9), ("k", 1), ("k", 2)]
    assert found.rows[1].kept.labels is None
    assert found.rows[2].kept.leaf == r"a/b\/c"
    assert found.rows[2].dropped.values == {"value": Decimal("-1.50"), "tiny": Decimal("0.000000000000000001")}
    assert (open_reader().conflicts(1).total, len(open_reader().conflicts(1))) == (3, 1)
    assert open_reader().conflicts().to_arrow().column_names[:4] == ["key", "version", "kept_leaf", "dropped_leaf"]


def test_an_item_that_nobody_wrote(shop_stack: Filled, open_reader: OpenReader) -> None:
    put(shop_stack.names.reject_table, [{"id": {"S": "reject/x"}, "kind": {"S": "reject"}}])
    with pytest.raises(OncefoldError, match=r"the item .*reject/x.* cannot be read \(ValueError"):
        open_reader().rejects()


def test_the_commands_show_the_lists(rejected: Names, run: Run) -> None:
    status, out, err = run("rejects")
    assert (status, err) == (0, "")
    assert "\x1b" not in out
    assert "4 rejected events." in out
    assert out.splitlines()[0].split() == ["arrived", "shard", "sequence", "number", "line", "reason", "event"]
    status, out, err = run("rejects", "--limit", "1")
    assert "1 of 4 rejected events are listed; --limit all lists every one." in out
    status, out, err = run("conflicts")
    assert (status, err) == (0, "")
    assert out.splitlines()[0].split() == ["key", "version", "counts", "does", "not"]
    assert out.splitlines()[1].split()[-4:] == ["US/x", "amount=0.02", "US/x", "amount=0.01"]
    assert "1 conflict." in out


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "parquet"])
def test_the_commands_write_every_form(rejected: Names, run: Run, tmp_path: Path, form: str) -> None:
    for command in ("rejects", "conflicts"):
        path = tmp_path / f"{command}.{form}"
        assert run(command, "--limit", "all", "-o", path) == (0, "", "")
        expected = 4 if command == "rejects" else 1
        if form == "json":
            assert json.loads(path.read_text())["total"] == expected
        elif form == "jsonl":
            assert len(path.read_text().splitlines()) == expected
        elif form == "csv":
            with path.open(encoding="utf-8", newline="") as file:
                assert len(list(csv.DictReader(file))) == expected
        else:
            assert pq.read_table(path).num_rows == expected
