"""Whole tables, read in parallel segments; a page of each segment is held at a time."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from oncefold.aws.functions.layout import Item

SEGMENTS = 8
"""Segments of a scan, each read by a thread of its own; clients keep ten connections."""

Tell = Callable[[str, int], None]
"""Told what is being read, and how much of it was so far."""

Page = dict[str, Any]


def scan(dynamodb: Any, table: str, tell: Tell, what: str, **request: Any) -> Iterator[Item]:
    """Every item of a table, in no order. Each page is read consistently, so what was there all along is there once."""
    seen = 0
    for page in scan_pages(dynamodb, table, **request):
        seen += page["ScannedCount"]
        tell(what, seen)
        yield from page["Items"]


def count_items(dynamodb: Any, table: str, tell: Tell, what: str, **request: Any) -> int:
    """How many items a table has, or how many of them a filter lets through."""
    counted = seen = 0
    for page in scan_pages(dynamodb, table, Select="COUNT", **request):
        counted += page["Count"]
        seen += page["ScannedCount"]
        tell(what, seen)
    return counted


def scan_pages(dynamodb: Any, table: str, **request: Any) -> Iterator[Page]:
    """The pages of a whole scan, as they come."""

    def read(segment: int, start: Page) -> tuple[int, Page]:
        return segment, dynamodb.scan(
            TableName=table, Segment=segment, TotalSegments=SEGMENTS, ConsistentRead=True, **start, **request
        )

    with ThreadPoolExecutor(SEGMENTS) as workers:
        waiting: set[Future[tuple[int, Page]]] = {workers.submit(read, segment, {}) for segment in range(SEGMENTS)}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    segment, page = future.result()
                    if "LastEvaluatedKey" in page:
                        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
                        waiting.add(workers.submit(read, segment, start))
                    yield page
        finally:
            workers.shutdown(wait=False, cancel_futures=True)


def silent(what: str, seen: int) -> None:
    """Tell nobody."""
