"""Items of RejectTable: records that could not be read, and contents that contradict each other. Pure.

Their keys follow from the position or the contents, so that what comes again is put over itself.
"""

import json

from oncefold.aws.functions.layout import content_hash, version_value
from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import Content
from oncefold.dynamodb.items import Item, digest, number

EXPIRES = "expires"
"""The attribute by which DynamoDB deletes items (time to live): seconds since 1970."""
RAW_BYTES = 350_000
"""Bytes of a record that are kept; an item has 400 KB."""
_DAY_SECONDS = 86_400


def reject_item(shard: str, sequence: str, line: int, arrived: float, raw: bytes, error: InvalidEvent) -> Item:
    """A line that is no event, with the reason; `arrived` in seconds since 1970."""
    item: Item = {
        "id": {"S": f"reject/{shard}/{sequence}/{line}"},
        "kind": {"S": "reject"},
        "reason": {"S": str(error)},
        "raw": {"B": raw[:RAW_BYTES]},
        "arrived": {"N": f"{arrived:.3f}"},
    }
    if len(raw) > RAW_BYTES:
        item["cut"] = {"BOOL": True}
    return item


def expiring(item: Item, since: float, days: int) -> Item:
    """The item, to be deleted by DynamoDB so many days after a time in seconds since 1970; 0 days are for ever."""
    return {**item, EXPIRES: {"N": str(int(since) + days * _DAY_SECONDS)}} if days else item


def conflict_item(pipeline: Pipeline, key: str, version: int, first: Content, second: Content) -> Item:
    """Two contents of one key and version. Their order does not matter to the item's key."""
    contents = sorted([first, second], key=lambda content: content.rank, reverse=True)
    return {
        "id": {"S": "conflict/" + digest([key, version, *map(content_hash, contents)])},
        "kind": {"S": "conflict"},
        "event_key": {"S": key},
        "version": version_value(pipeline, version),
        "standing": {"S": _content_text(pipeline, contents[0])},
        "other": {"S": _content_text(pipeline, contents[1])},
    }


def _content_text(pipeline: Pipeline, content: Content) -> str:
    scales = [column.scale for column in pipeline.columns]
    document = {
        "deleted": content.deleted,
        "labels": list(content.labels or ()),
        "measures": [number(value, scale)["N"] for value, scale in zip(content.measures, scales, strict=False)],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
