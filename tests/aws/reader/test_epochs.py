"""Queries while a rebuild switches: every answer is of one epoch, whole, whenever the switch and the deletion come."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from oncefold.aws.reader import StackReader
from oncefold.aws.reader.reader import EPOCH_TRIES, StackOptions
from oncefold.aws.tables import open_tables
from oncefold.core.errors import OncefoldError, QueryError
from oncefold.queries.model import AsOfTime, Totals
from tests.aws.functions.stacks import PIPELINE, Interposed
from tests.aws.operations.rebuilt import MORE, SOME, RebuiltStack, decoded
from tests.tools import reference


def reader(stack: RebuiltStack, client: Any = None, **options: Any) -> StackReader:
    """A reader that reads one part of a table at a time, as the simulator takes one call at a time."""
    tables = open_tables(stack.names, stack.client)
    tables = replace(tables, segments=1, dynamodb=client or stack.client)
    return StackReader(tables, StackOptions(**options), clock=lambda: int(stack.time.now * 10**9))


def filled(*, pending: bool) -> RebuiltStack:
    stack = RebuiltStack.make()
    stack.send(SOME)
    stack.reduce()
    if pending:
        stack.send(MORE)
    return stack


def pending_in(found: Totals) -> int:
    assert isinstance(found.as_of, AsOfTime)
    assert found.as_of.pending is not None
    return found.as_of.pending.deltas


def right(events: list[str]) -> dict[str, int]:
    return {
        "/".join(label.replace("/", "\\/") or "\\e" for label in node.labels): total.count
        for node, total in reference.totals(PIPELINE, decoded(events)).items()
        if node.rollup == 0
    }


def answers(stack: RebuiltStack, at: int, ask: Callable[[StackReader], Any], **options: Any) -> tuple[Any, bool]:
    """The answer to a query beside whose call number `at` a whole rebuild happens; whether it made so many calls."""
    calls = iter(range(10_000))
    happened: list[int] = []

    def rebuild(_: str) -> None:
        if next(calls) == at:
            happened.append(at)
            stack.rebuild()

    return ask(reader(stack, Interposed(stack.client, before=rebuild), **options)), bool(happened)


QUERIES: dict[str, Callable[[StackReader], Any]] = {
    "all": lambda found: {row.path: row.count for row in found.query(rollup="risk", depth=None) if row.count},
    "page": lambda found: [row.path for row in found.query(rollup="risk", limit=5)],
    "node": lambda found: found.query("PV", rollup="risk").rows[0].count,
    "explain": lambda found: sorted(row.key for row in found.explain("PV", rollup="risk")),
    "verify": lambda found: found.verify().exact,
}


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("query", QUERIES)
def test_an_answer_is_of_one_epoch(query: str, *, exact: bool) -> None:
    ask = QUERIES[query]
    expected = ask(reader(filled(pending=exact), exact=exact))
    at, happened = 0, True
    while happened:
        answer, happened = answers(filled(pending=exact), at, ask, exact=exact)
        assert answer == expected
        at += 1
    assert at > 3


def test_totals_with_what_is_pending_are_of_the_same_epoch() -> None:
    stack = filled(pending=True)
    stack.rebuild()
    stack.send(['{"id": "z", "v": 1, "type": "PV", "desk": "FX", "value": 1}'])
    found = reader(stack, exact=True).query(rollup="risk", depth=None)
    events = [*SOME, *MORE, '{"id": "z", "v": 1, "type": "PV", "desk": "FX", "value": 1}']
    assert {row.path: row.count for row in found if row.count} == right(events)
    assert pending_in(found) == 1


def test_deltas_of_a_rebuild_are_not_counted_as_pending() -> None:
    stack = filled(pending=False)

    def look(operation: str) -> None:
        if operation == "transact_write_items":
            seen.append(pending_in(reader(stack).query(rollup="risk")))

    seen: list[int] = []
    stack.rebuild(Interposed(stack.client, after=look))
    assert set(seen) == {0}


def test_a_node_that_is_not_there_is_still_said_so() -> None:
    with pytest.raises(QueryError, match="there is no node nope"):
        reader(filled(pending=False)).query("nope", rollup="risk")


def test_totals_that_are_rebuilt_again_and_again() -> None:
    stack = filled(pending=False)

    def rebuild(operation: str) -> None:
        if operation == "query":
            stack.rebuild()

    with pytest.raises(OncefoldError, match="made anew while they were read; query again"):
        reader(stack, Interposed(stack.client, before=rebuild)).query(rollup="risk")
    assert EPOCH_TRIES > 1
