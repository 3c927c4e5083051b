"""`rejects` and `conflicts`: what could not be read, and what contradicts itself."""

import heapq
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from oncefold.aws.functions.layout import NUMBER_LIMIT
from oncefold.aws.reader.answers import Reading, StackConflicts, StackRejects, StreamConflict, StreamReject
from oncefold.aws.reader.tables import Progress, Stack, scan
from oncefold.core.decimals import parse_decimal
from oncefold.core.errors import OncefoldError
from oncefold.core.timestamps import format_timestamp
from oncefold.queries import values
from oncefold.queries.events import Side

Row = TypeVar("Row")
_NANOS_PLACES = 9


def read_rejects(stack: Stack, progress: Progress) -> Iterator[StreamReject]:
    """The reject list, in no order."""
    return map(_reader(stack, reject_of), _listed(stack, progress, "reject"))


def rejects(stack: Stack, limit: int | None, read: Reading, progress: Progress) -> StackRejects:
    """The first of the rejects, in order of their arrival."""
    found, total = _first(read_rejects(stack, progress), limit, _arrival)
    return StackRejects(rows=tuple(found), read=read, total=total)


def conflicts(stack: Stack, limit: int | None, read: Reading, progress: Progress) -> StackConflicts:
    """The first of the conflicts, by key and version."""
    reading = values.Reading(stack.pipeline)

    def conflict_of(item: Mapping[str, Any]) -> tuple[tuple[str, int, str], StreamConflict]:
        key, version = item["event_key"]["S"], int(item["version"]["N"])
        conflict = StreamConflict(
            key=key,
            version=reading.version(version),
            version_text=reading.version_text(version),
            kept=_side(reading, item["standing"]["S"]),
            dropped=_side(reading, item["other"]["S"]),
        )
        return (key, version, item["id"]["S"]), conflict

    listed = map(_reader(stack, conflict_of), _listed(stack, progress, "conflict"))
    found, total = _first(listed, limit, lambda pair: pair[0])
    return StackConflicts(
        rows=tuple(conflict for _, conflict in found),
        read=read,
        total=total,
        scales=reading.scales,
        version_is_time=reading.version_is_time,
    )


def filtered(kind: str) -> dict[str, Any]:
    """What lets only items of this kind through."""
    return {
        "FilterExpression": "#kind = :kind",
        "ExpressionAttributeNames": {"#kind": "kind"},
        "ExpressionAttributeValues": {":kind": {"S": kind}},
    }


def reject_of(item: Mapping[str, Any]) -> StreamReject:
    """The reject that an item of RejectTable holds."""
    name = item["id"]["S"]
    _, shard, sequence, line = name.split("/")
    nanos = parse_decimal(item["arrived"]["N"], _NANOS_PLACES, 10**19, rounding=True)
    cut = item.get("cut", {}).get("BOOL", False)
    return StreamReject(
        id=name,
        shard=shard,
        sequence=sequence,
        line=int(line),
        arrived=nanos,
        arrived_text=format_timestamp(nanos),
        reason=item["reason"]["S"],
        raw=bytes(item["raw"]["B"]),
        cut=cut,
    )


def _listed(stack: Stack, progress: Progress, kind: str) -> Iterator[Mapping[str, Any]]:
    return scan(stack.dynamodb, stack.names.reject_table, progress, f"{kind}s", **filtered(kind))


def _reader(stack: Stack, parse: Callable[[Mapping[str, Any]], Row]) -> Callable[[Mapping[str, Any]], Row]:
    def read(item: Mapping[str, Any]) -> Row:
        try:
            return parse(item)
        except (KeyError, ValueError, TypeError) as error:
            raise OncefoldError(
                f"table {stack.names.reject_table}: the item {item.get('id')} cannot be read "
                f"({type(error).__name__}: {error}); Oncefold did not write it so"
            ) from None

    return read


def _first(rows: Iterator[Row], limit: int | None, order: Callable[[Row], Any]) -> tuple[list[Row], int]:
    """The first rows in an order, and how many there are in all."""
    total = 0

    def counted() -> Iterator[Row]:
        nonlocal total
        for row in rows:
            total += 1
            yield row

    most = sys.maxsize if limit is None else limit
    return heapq.nsmallest(max(most, 1), counted(), key=order)[:most], total


def _arrival(reject: StreamReject) -> tuple[int, str, int, str, int]:
    number = int(reject.sequence) if reject.sequence.isdecimal() else 0
    return reject.arrived, reject.shard, number, reject.sequence, reject.line


def _side(reading: values.Reading, text: str) -> Side:
    content = json.loads(text)
    if content["deleted"]:
        return Side(None, None, {})
    labels = tuple(content["labels"])
    pairs = zip(content["measures"], reading.pipeline.measures, strict=True)
    amounts = reading.amounts([parse_decimal(value, measure.scale, NUMBER_LIMIT) for value, measure in pairs])
    return Side(labels, reading.leaf(labels), amounts)
