"""`rejects` and `conflicts`: events that could not be read, and events that contradict each other."""

import heapq
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from oncefold.aws.functions.layout import parse_version
from oncefold.aws.tables import Row, Stack, read_listed, read_rejects
from oncefold.core.decimals import parse_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.event import Content
from oncefold.core.fold import Stored
from oncefold.core.view import View
from oncefold.dynamodb.items import NUMBER_LIMIT
from oncefold.queries.converters import Converter
from oncefold.queries.event_model import Conflicts, Contradiction, Rejects, Side
from oncefold.queries.model import AsOfTime, Shape
from oncefold.queries.protocol import Progress


def rejects(
    stack: Stack, limit: int | None, as_of: AsOfTime, progress: Progress, *, newest_first: bool = False
) -> Rejects:
    """The first of the rejects, in order of their arrival or against it."""
    found, total = _first(read_rejects(stack, progress), limit, lambda reject: reject.order, reverse=newest_first)
    return Rejects(
        as_of=as_of, shape=Shape.of(stack.pipeline), rows=tuple(reject.event for reject in found), total=total
    )


def conflicts(stack: Stack, limit: int | None, as_of: AsOfTime, progress: Progress) -> Conflicts:
    """The first of the conflicts, by key and version."""
    convert, kept = Converter(stack.pipeline), stack.kept
    view = stack.view

    def conflict_of(item: Mapping[str, Any]) -> tuple[tuple[str, int, str], Contradiction]:
        key, version = item["event_key"]["S"], parse_version(item["version"])
        conflict = Contradiction(
            id=None,
            commit=None,
            key=key,
            version=convert.version(version),
            version_text=convert.version_text(version),
            kept=_side(convert, view, kept, item["standing"]["S"]),
            dropped=_side(convert, view, kept, item["other"]["S"]),
        )
        return (key, version, item["id"]["S"]), conflict

    listed = read_listed(stack, progress, "conflict", conflict_of)
    found, total = _first(listed, limit, lambda pair: pair[0])
    return Conflicts(
        as_of=as_of, shape=Shape.of(stack.pipeline), rows=tuple(conflict for _, conflict in found), total=total
    )


def _first(
    rows: Iterator[Row], limit: int | None, order: Callable[[Row], Any], *, reverse: bool = False
) -> tuple[list[Row], int]:
    """The first rows in an order, and how many there are in all."""
    total = 0

    def counted() -> Iterator[Row]:
        nonlocal total
        for row in rows:
            total += 1
            yield row

    most = sys.maxsize if limit is None else limit
    first = heapq.nlargest if reverse else heapq.nsmallest
    return first(max(most, 1), counted(), key=order)[:most], total


def _side(convert: Converter, view: View, kept: Pipeline, text: str) -> Side:
    content = json.loads(text)
    if content["deleted"]:
        return Side(None, None, {})
    pairs = zip(content["measures"], kept.columns, strict=True)
    measures = tuple(parse_decimal(value, column.scale, NUMBER_LIMIT) for value, column in pairs)
    seen = view.stored(Stored(0, Content(tuple(content["labels"]), measures))).content
    labels, leaf = convert.leaf(seen.labels or ())
    return Side(labels, leaf, convert.key_values(seen.measures))
