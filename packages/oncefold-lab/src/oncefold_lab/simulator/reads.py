"""Query and Scan: pages of items in the order of their table.

Sources: their API reference; "Key condition expressions for the Query operation in DynamoDB".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from oncefold_lab.simulator.conditions import hash_value_of
from oncefold_lab.simulator.database import Database
from oncefold_lab.simulator.errors import ServiceError
from oncefold_lab.simulator.expressions import Predicate, Program, bind, projected
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.simulator.items import consumed_capacity, is_consistent, read_units, row_for
from oncefold_lab.simulator.syntax import Path, Values
from oncefold_lab.simulator.tables import KeyMismatchError, Place, Table
from oncefold_lab.simulator.values import Row, give_item

Request = Mapping[str, Any]
Reply = dict[str, Any]

PAGE_BYTES = 1 << 20
SEGMENTS = 1_000_000
_SELECTS = ("ALL_ATTRIBUTES", "COUNT", "SPECIFIC_ATTRIBUTES")


@dataclass(frozen=True, slots=True)
class _Page:
    """What a page consists of: items that were read, and how many of them it took."""

    rows: list[Row]
    scanned: int
    bytes: int
    last: Row | None
    """The last row that was read, if there may be more."""


def query(database: Database, request: Request, fault: Fault | None) -> Reply:
    """Query."""
    table = database.table(request)
    key_condition = database.expressions.condition(request, "KeyConditionExpression")
    if key_condition is None:
        raise ServiceError.invalid(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
        )
    rest, projection = _filter(database, request), database.expressions.projection(request)
    values = bind(request, key_condition, rest, projection)
    hash_value = hash_value_of(table, key_condition.body.condition, values)
    _check_no_keys(table, rest)
    after = _start(table, request)
    if after is not None and after[1] != hash_value:
        raise ServiceError.invalid("The provided starting key is outside query boundaries based on provided conditions")
    rows = table.partition(hash_value, after, forward=request.get("ScanIndexForward", True))
    matching = (row for row in rows if key_condition.body.evaluate(row[0], values))
    page = _page(database, table, matching, request, fault)
    return _reply(table, page, request, rest, projection, values)


def scan(database: Database, request: Request, fault: Fault | None) -> Reply:
    """Scan."""
    table = database.table(request)
    rest, projection = _filter(database, request), database.expressions.projection(request)
    values = bind(request, rest, projection)
    segment, total = _segment(request)
    rows = table.segment(segment, total, _start(table, request))
    page = _page(database, table, rows, request, fault)
    return _reply(table, page, request, rest, projection, values)


def _filter(database: Database, request: Request) -> Program[Predicate] | None:
    return database.expressions.condition(request, "FilterExpression")


def _check_no_keys(table: Table, rest: Program[Predicate] | None) -> None:
    """A query's filter is for attributes that are no keys; the others have their own condition."""
    if rest is None:
        return
    for path in rest.body.paths:
        if path.elements[0] in table.key_names:
            raise ServiceError.invalid(
                "Filter Expression can only contain non-primary key attributes: "
                f"Primary key attribute: {path.elements[0]}"
            )


def _start(table: Table, request: Request) -> Place | None:
    start = request.get("ExclusiveStartKey")
    if start is None:
        return None
    try:
        return table.place(table.key_of(start)[0])
    except KeyMismatchError:
        raise ServiceError.invalid("The provided starting key is invalid") from None


def _segment(request: Request) -> tuple[int, int]:
    segment, total = request.get("Segment"), request.get("TotalSegments")
    if segment is None and total is None:
        return 0, 1
    if total is None:
        raise ServiceError.invalid(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is "
            "present"
        )
    if segment is None:
        raise ServiceError.invalid(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is "
            "present"
        )
    if not 1 <= total <= SEGMENTS:
        raise ServiceError.invalid(
            f"1 validation error detected: Value '{total}' at 'totalSegments' failed to satisfy constraint: "
            f"Member must have value between 1 and {SEGMENTS}"
        )
    if segment >= total:
        raise ServiceError.invalid(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {total}"
        )
    return segment, total


def _page(database: Database, table: Table, rows: Iterable[Row], request: Request, fault: Fault | None) -> _Page:
    """Read rows up to the limit or 1 MB, whichever comes first."""
    limit = request.get("Limit")
    if limit is not None and limit < 1:
        raise ServiceError.invalid(
            f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1"
        )
    read: list[Row] = []
    total, more = 0, False
    for row in rows:
        if read and total + row[1] > PAGE_BYTES:
            more = True
            break
        read.append(row)
        total += row[1]
        if limit is not None and len(read) == limit:
            more = True
            break
    if fault is Fault.SHORT and len(read) > 1:
        read = read[: max(1, database.caller.shortened(len(read)))]
        more = True
    last = read[-1] if more else None
    seen = read if fault is not Fault.STALE else _stale(database, table, read, request)
    return _Page(seen, len(read), sum(row[1] for row in read), last)


def _stale(database: Database, table: Table, rows: list[Row], request: Request) -> list[Row]:
    keys = [table.key_of_item(row[0]) for row in rows]
    seen = [row_for(database, table, key, request, Fault.STALE) for key in keys]
    return [row for row in seen if row is not None]


def _reply(
    table: Table,
    page: _Page,
    request: Request,
    rest: Program[Predicate] | None,
    projection: Program[tuple[Path, ...]] | None,
    values: Values,
) -> Reply:
    select = request.get("Select", "ALL_ATTRIBUTES")
    if select not in _SELECTS:
        raise ServiceError.invalid(
            f"1 validation error detected: Value '{select}' at 'select' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(_SELECTS)}]"
        )
    rows = page.rows if rest is None else [row for row in page.rows if rest.body.evaluate(row[0], values)]
    reply: Reply = {"Count": len(rows), "ScannedCount": page.scanned}
    if select != "COUNT":
        reply["Items"] = [give_item(row[0]) if projection is None else projected(row[0], projection) for row in rows]
    if page.last is not None:
        reply["LastEvaluatedKey"] = give_item(table.key_attributes(page.last[0]))
    return {
        **reply,
        **consumed_capacity(request, table.name, read_units(page.bytes, consistent=is_consistent(request))),
    }
