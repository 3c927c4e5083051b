"""Pages: Query and Scan."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.aws.contract.engine import Engine, Item, node_key

_TEXTS = ["a", "B", "b", "~", "\x7f", "é", "e\u0301", "ﬀ", "\uffff", "\U00010000", "\U0001f30d", "aa", "a\0", "\0"]
"""Among them U+FFFF and U+10000, whose order by UTF-16 is the other one."""


def _query(engine: Engine, table: str, path: str, **more: Any) -> Iterator[dict[str, Any]]:
    """The pages of a partition."""
    return _pages(
        engine.dynamodb.query,
        TableName=table,
        KeyConditionExpression="#path = :path",
        ExpressionAttributeNames={"#path": "path"},
        ExpressionAttributeValues={":path": {"S": path}},
        ConsistentRead=True,
        **more,
    )


def _pages(call: Any, **request: Any) -> Iterator[dict[str, Any]]:
    start: dict[str, Any] = {}
    while True:
        page = call(**request, **start)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _keys(pages: Iterator[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["path"]["S"], item["label"]["S"]) for page in pages for item in page["Items"]]


@pytest.fixture
def partition(engine: Engine, name: str) -> str:
    """A partition with a node for each text, between two others whose names are almost its own."""
    for text in _TEXTS:
        engine.put(engine.nodes, {**node_key(name, text), "count": {"N": "1"}})
    for other in (name[:-1] + "\0", name + "\0"):
        engine.put(engine.nodes, node_key(other, "a"))
    return name


def test_a_partition_is_sorted_by_utf_8_bytes(engine: Engine, partition: str) -> None:
    """A Query of a partition key gives that partition alone, sorted by the bytes of the sort keys in UTF-8.

    AWS: Query (API Reference)
    """
    labels = sorted(_TEXTS, key=str.encode)
    assert _keys(_query(engine, engine.nodes, partition)) == [(partition, label) for label in labels]


@pytest.mark.parametrize("limit", [1, 4, 7])
def test_a_partition_is_read_in_pages(engine: Engine, partition: str, limit: int) -> None:
    """With a Limit, pages from one LastEvaluatedKey to the next give every item once, in order, at most so many each.

    AWS: Query (API Reference)
    """
    pages = list(_query(engine, engine.nodes, partition, Limit=limit))
    assert all(len(page["Items"]) <= limit for page in pages)
    labels = sorted(_TEXTS, key=str.encode)
    assert _keys(iter(pages)) == [(partition, label) for label in labels]


def test_a_page_ends_at_1_mb(engine: Engine, name: str) -> None:
    """A page has at most 1 MB; the rest follows from its LastEvaluatedKey.

    AWS: Query (API Reference)
    """
    for index in range(4):
        engine.put(engine.large, {**node_key(name, str(index)), "raw": {"S": "x" * 300_000}})
    pages = list(_query(engine, engine.large, name))
    assert len(pages) > 1
    assert all(len(page["Items"]) <= 3 for page in pages)
    assert _keys(iter(pages)) == [(name, str(index)) for index in range(4)]


def test_a_sort_key_can_be_told_by_its_beginning(engine: Engine, partition: str) -> None:
    """`begins_with` in the key condition gives the items whose sort key begins so.

    AWS: Query (API Reference)
    """
    answer = engine.dynamodb.query(
        TableName=engine.nodes,
        KeyConditionExpression="#path = :path AND begins_with(#label, :label)",
        ExpressionAttributeNames={"#path": "path", "#label": "label"},
        ExpressionAttributeValues={":path": {"S": partition}, ":label": {"S": "a"}},
    )
    assert [item["label"]["S"] for item in answer["Items"]] == ["a", "a\0", "aa"]


def test_a_scan_gives_every_item_once(engine: Engine, partition: str) -> None:
    """The pages of a consistent Scan give every item of the table once.

    AWS: Scan (API Reference)
    """
    found = _keys(_pages(engine.dynamodb.scan, TableName=engine.nodes, ConsistentRead=True, Limit=7))
    assert len(found) == len(set(found))
    assert {(partition, text) for text in _TEXTS} <= set(found)


@pytest.mark.parametrize("segments", [1, 4, 7])
def test_segments_of_a_scan_share_out_the_table(engine: Engine, partition: str, segments: int) -> None:
    """The segments of a parallel Scan, each read page by page, give every item in exactly one of them.

    AWS: Scan (API Reference)
    """
    for index in range(30):
        engine.put(engine.nodes, node_key(f"{partition}-{index}", "a"))

    def segment(number: int) -> list[tuple[str, str]]:
        return _keys(
            _pages(
                engine.dynamodb.scan,
                TableName=engine.nodes,
                ConsistentRead=True,
                Segment=number,
                TotalSegments=segments,
                Limit=5,
            )
        )

    found = [key for number in range(segments) for key in segment(number)]
    whole = _keys(_pages(engine.dynamodb.scan, TableName=engine.nodes, ConsistentRead=True))
    assert sorted(found) == sorted(whole)


def test_a_filter_leaves_items_out_of_pages(engine: Engine, partition: str) -> None:
    """A FilterExpression is applied to each page after its Limit: a page may be empty and yet not be the last.

    AWS: Scan (API Reference)
    """
    engine.put(engine.nodes, {**node_key(f"{partition}-more", "a"), "found": {"S": partition}})
    pages = list(
        _pages(
            engine.dynamodb.scan,
            TableName=engine.nodes,
            ConsistentRead=True,
            Limit=5,
            FilterExpression="#found = :found",
            ExpressionAttributeNames={"#found": "found"},
            ExpressionAttributeValues={":found": {"S": partition}},
        )
    )
    assert _keys(iter(pages)) == [(f"{partition}-more", "a")]
    assert all(page["Count"] == len(page["Items"]) <= page["ScannedCount"] <= 5 for page in pages)
    assert sum(page["ScannedCount"] for page in pages) >= len(_TEXTS)


def test_a_projection_gives_the_named_attributes(engine: Engine, name: str) -> None:
    """A ProjectionExpression gives only the attributes that it names.

    AWS: Query (API Reference)
    """
    item: Item = {**node_key(name, "a"), "count": {"N": "1"}, "value": {"N": "2"}}
    engine.put(engine.nodes, item)
    answer = engine.dynamodb.query(
        TableName=engine.nodes,
        KeyConditionExpression="#path = :path",
        ProjectionExpression="#label, #count",
        ExpressionAttributeNames={"#path": "path", "#label": "label", "#count": "count"},
        ExpressionAttributeValues={":path": {"S": name}},
    )
    assert answer["Items"] == [{"label": {"S": "a"}, "count": {"N": "1"}}]
