"""The protocol: whatever is delivered, how often, in which batches and beside whom, totals + outbox = states, and
when the outbox is empty the totals are those of the reference.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.aws.functions import layout
from oncefold.aws.functions.state import StreamRecord
from oncefold.core.decode import Decoder
from oncefold.core.event import Event
from oncefold.core.fold import Node, Outcome, Total
from oncefold.dynamodb import items
from oncefold.dynamodb.calls import RequestRefused
from tests.aws.aggregating import aggregated
from tests.aws.functions.conftest import simulated
from tests.aws.functions.stacks import PIPELINE, Interposed, Stack, lines, written
from tests.aws.functions.worlds import AMOUNTS, contents, events
from tests.tools import reference
from tests.tools.sizes import examples

SOME = [
    '{"id": "a", "v": 1, "type": "Delta", "desk": "FX", "value": 10.5}',
    '{"id": "b", "v": 1, "type": "Delta", "desk": "Spot", "value": 1}',
    '{"id": "a", "v": 2, "type": "PV", "desk": "FX", "value": 7}',
    '{"id": "c", "v": 1, "type": "PV", "desk": "FX", "value": -0.01}',
    '{"id": "b", "v": 2, "gone": true}',
    '{"id": "a", "v": 1, "type": "Delta", "desk": "FX", "value": 99}',
    '{"id": "c", "v": 1, "type": "PV", "desk": "FX", "value": -0.01}',
    '{"id": "d", "v": 5, "type": "", "desk": "a/b", "value": "0.07"}',
]
EVENTS = [Decoder(PIPELINE).json(line.encode()) for line in SOME]
BAD = ['{"id": "x"}', "no JSON", '{"id": "y", "v": 1, "type": "t", "desk": "d", "value": 1.005}']


def deliveries(events: Sequence[Event]) -> st.SearchStrategy[list[list[Event]]]:
    """The events in any order, some again and again, in batches of any size."""
    some = st.lists(st.sampled_from(events), max_size=6) if events else st.just([])
    order = some.flatmap(lambda again: st.permutations([*events, *again]))
    return order.flatmap(lambda run: st.lists(st.integers(1, 6), min_size=len(run), max_size=len(run)).map(
        lambda sizes: _cut(run, sizes)
    ))  # fmt: skip


def _cut(run: Sequence[Event], sizes: Sequence[int]) -> list[list[Event]]:
    batches, rest = [], list(run)
    for size in sizes:
        if rest:
            batches.append(rest[:size])
            rest = rest[size:]
    return batches


@settings(deadline=None, max_examples=examples(150))
@given(st.lists(events(PIPELINE), max_size=14).flatmap(lambda es: st.tuples(st.just(es), deliveries(es))), st.randoms())
def test_any_delivery_gives_the_totals_of_the_set(world: Any, chance: random.Random) -> None:
    sent, batches = world
    stack = simulated()
    for batch in batches:
        folded = stack.fold(lines(map(written, batch)))
        assert folded.unfinished is None
        assert folded.outcomes.total() == folded.events == len(batch)
        stack.check_balance()
        if chance.random() < 0.5:
            outbox = stack.outbox()
            stack.reduce(deltas=chance.sample(outbox, chance.randint(0, len(outbox))))
            stack.check_balance()
    stack.reduce()
    stack.check_exact(sent)
    assert {key: (s.version, s.content) for key, s in stack.states().items()} == {
        key: (event.version, event.content) for key, event in reference.winners(sent).items()
    }


def test_the_whole_works_on_both_engines(tables: Stack) -> None:
    tables.fold(lines(SOME))
    tables.check_balance()
    reduced = tables.reduce()
    assert (reduced.left, reduced.refused) == (set(), {})
    tables.check_exact(EVENTS)
    before = tables.outbox(), tables.states()
    again = tables.fold(lines(SOME))
    assert set(again.outcomes) <= {Outcome.DUPLICATE, Outcome.STALE}
    assert (tables.outbox(), tables.states()) == before


class Crash(BaseException):
    """The process is gone."""


def crashing(stack: Stack, at: int, *, after: bool) -> Interposed:
    """A client whose process is ended before, or after, the call with this number."""
    calls = iter(range(1_000_000))

    def die(_: str) -> None:
        if next(calls) == at:
            raise Crash

    return Interposed(stack.client, after=die) if after else Interposed(stack.client, before=die)


@pytest.mark.parametrize("after", [False, True])
def test_every_crash_point_of_the_functions(tables: Stack, *, after: bool) -> None:
    """Each call of a run is the last one in turn; what is delivered again makes the totals exact."""
    work: list[Callable[[Any], Any]] = [
        lambda client: tables.fold(lines([*SOME[:5], *BAD, *CONTRADICTION]), client),
        lambda client: tables.fold(lines(SOME[3:]), client),
        tables.reduce,
        tables.sweep,
    ]
    tables.fold(lines(SOME[:2]))
    crashes = 0
    for step in work:
        for at in range(100):
            try:
                step(crashing(tables, at, after=after))
            except Crash:
                crashes += 1
                tables.check_balance()
            else:
                break
        tables.check_balance()
    assert crashes > 5
    tables.reduce()
    tables.check_exact([*EVENTS, *(Decoder(PIPELINE).json(line.encode()) for line in CONTRADICTION)])
    assert len(tables.rejects("reject")) == len(BAD)
    assert len(tables.rejects("conflict")) == 1


CONTRADICTION = [
    '{"id": "e", "v": 1, "type": "t", "desk": "d", "value": 1}',
    '{"id": "e", "v": 1, "type": "t", "desk": "d", "value": 2}',
]


def answer_lost(operation: str) -> Any:
    raise ConnectionClosedError(endpoint_url=f"http://{operation}")


@pytest.mark.parametrize("minutes", [0, 11])
def test_a_lost_answer_is_found_out_by_token_or_by_conditions(tables: Stack, minutes: int) -> None:
    """The transaction was done; whether DynamoDB still knows its token must not matter."""
    lost: list[str] = []

    def lose(operation: str) -> None:
        if operation == "transact_write_items" and len(lost) % 2 == 0:
            lost.append(operation)
            tables.time.now += 60 * minutes
            answer_lost(operation)
        lost.append(operation)

    client = Interposed(tables.client, after=lose)
    assert tables.fold(lines(SOME), client).unfinished is None
    tables.check_balance()
    tables.reduce(client)
    tables.check_exact(EVENTS)
    assert lost.count("transact_write_items") >= 2


def test_an_overtaken_function_reads_again(sim: Stack) -> None:
    """Between reading and writing, another one writes newer, older and contradicting states of the same keys."""
    others = [
        '{"id": "a", "v": 3, "type": "PV", "desk": "FX", "value": 1}',
        '{"id": "c", "v": 1, "type": "PV", "desk": "FX", "value": 5}',
        '{"id": "d", "v": 4, "type": "PV", "desk": "FX", "value": 5}',
    ]
    pending = [others]

    def overtake(operation: str) -> None:
        if operation == "transact_write_items" and pending:
            sim.fold(lines(pending.pop()))

    folded = sim.fold(lines(SOME), Interposed(sim.client, before=overtake))
    assert folded.unfinished is None
    sim.check_balance()
    sim.reduce()
    sim.check_exact([*EVENTS, *(Decoder(PIPELINE).json(line.encode()) for line in others)])
    assert len(sim.rejects("conflict")) == 1


def test_two_reducers_at_once_apply_a_delta_once(sim: Stack) -> None:
    sim.fold(lines(SOME[:3]))
    sim.fold(lines(SOME[3:]))
    deltas = sim.outbox()
    other = [deltas[:1]]

    def overtake(operation: str) -> None:
        if operation == "transact_write_items" and other:
            sim.reduce(deltas=other.pop())

    reduced = sim.reduce(Interposed(sim.client, before=overtake), deltas=deltas)
    assert (reduced.deltas, reduced.left) == (len(deltas) - 1, set())
    sim.check_exact(EVENTS)


def failing(stack: Stack, code: str, times: int, reasons: Sequence[str] = ()) -> Interposed:
    """A client whose first so many transactions fail with an error, without effect."""
    left = [None] * times

    def fail(operation: str) -> None:
        if operation == "transact_write_items" and left:
            left.pop()
            response: dict[str, Any] = {"Error": {"Code": code, "Message": "said so"}}
            if reasons:
                response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
            raise ClientError(response, "TransactWriteItems")  # type: ignore[arg-type]

    return Interposed(stack.client, before=fail)


PASSING = [
    ("TransactionCanceledException", ["None", "TransactionConflict"]),
    ("TransactionCanceledException", ["ThrottlingError", "None"]),
    ("ProvisionedThroughputExceededException", []),
    ("ThrottlingException", []),
    ("RequestLimitExceeded", []),
    ("InternalServerError", []),
    ("TransactionInProgressException", []),
]


@pytest.mark.parametrize(("code", "reasons"), PASSING)
def test_what_passes_is_tried_again_with_growing_pauses(sim: Stack, code: str, reasons: list[str]) -> None:
    folded = sim.fold(lines(SOME), failing(sim, code, 6, reasons))
    assert folded.unfinished is None
    # Of a conflict the items are known: the others are tried without them at once.
    assert len(sim.time.pauses) == (3 if "TransactionConflict" in reasons else 6)
    assert sim.time.pauses == sorted(sim.time.pauses)
    assert max(sim.time.pauses) <= 2
    sim.reduce(failing(sim, code, 2, reasons))
    sim.check_exact(EVENTS)


def test_a_refused_token_is_no_success(sim: Stack) -> None:
    folded = sim.fold(lines(SOME), failing(sim, "IdempotentParameterMismatchException", 1))
    assert folded.unfinished is None
    assert len(sim.states()) == 4
    sim.reduce(failing(sim, "IdempotentParameterMismatchException", 1))
    sim.check_exact(EVENTS)


def test_what_does_not_pass_ends_the_invocation_and_loses_nothing(sim: Stack) -> None:
    with pytest.raises(ClientError):
        sim.fold(lines(SOME), failing(sim, "AccessDeniedException", 1))
    with pytest.raises(RequestRefused):
        sim.fold(lines(SOME), failing(sim, "ValidationException", 1))
    sim.fold(lines(SOME))
    sim.reduce()
    sim.check_exact(EVENTS)


def test_at_the_deadline_the_first_unfinished_record_is_named(sim: Stack) -> None:
    """Two hundred keys are three chunks; the second one never gets through in time."""
    records = lines(f'{{"id": "k{n}", "v": 1, "type": "t", "desk": "d{n % 3}", "value": {n}}}' for n in range(200))
    seen: list[str] = []

    def stuck(operation: str) -> None:
        if operation == "transact_write_items":
            seen.append(operation)
            if len(seen) > 1:
                answer_lost(operation)

    folded = sim.fold(records, Interposed(sim.client, before=stuck), seconds=5)
    first = folded.unfinished
    assert first is not None
    assert 90 <= first < 100
    assert sorted(sim.states()) == sorted(f"k{n}" for n in range(first))
    assert folded.outcomes[Outcome.INSERTED] == first
    sim.fold(records[first:])
    sim.reduce()
    sim.check_exact(Decoder(PIPELINE).json(record.data) for record in records)


def test_a_reducer_without_time_leaves_deltas_for_later(sim: Stack) -> None:
    sim.fold(lines(SOME))
    ids = {delta.id for delta in sim.outbox()}
    reduced = sim.reduce(failing(sim, "ThrottlingException", 1000), seconds=10)
    assert reduced.left == ids
    assert sim.sweep().reduced.left == set()
    sim.check_exact(EVENTS)


def test_the_sweeper_leaves_young_deltas_to_their_stream_records(sim: Stack) -> None:
    sim.fold(lines(SOME))
    swept = sim.sweep(grace=120)
    assert (swept.found, swept.reduced.deltas) == (1, 0)
    sim.time.now += 121
    swept = sim.sweep(grace=120)
    assert (swept.found, swept.reduced.deltas, swept.oldest_seconds) == (1, 1, 121)
    sim.check_exact(EVENTS)


def test_a_total_beyond_38_digits_holds_up_nothing_else(sim: Stack) -> None:
    """No rounding: the delta stays in the outbox with DynamoDB's message, the others are applied."""
    key = layout.node_key(PIPELINE, Node(0, ("Delta",)))
    full = items.number(10**38 - 1, 2)
    sim.client.put_item(TableName=sim.names.aggregate_table, Item={**key, "count": {"N": "0"}, "value": full})
    for line in (SOME[0], SOME[3], SOME[7]):
        sim.fold(lines([line]))
    (bad,) = [delta for delta in sim.outbox() if any(node.labels == ("Delta",) for node, _ in delta.nodes)]
    reduced = sim.reduce()
    assert reduced.deltas == 2
    assert list(reduced.refused) == [bad.id]
    assert "more than 38 digits" in reduced.refused[bad.id]
    assert [delta.id for delta in sim.outbox()] == [bad.id]
    item = sim.client.get_item(TableName=sim.names.aggregate_table, Key=key)["Item"]
    assert item["value"] == full


def test_rejects_keep_position_reason_and_bytes(tables: Stack) -> None:
    packed = StreamRecord("shardId-7", "42", 1.5, "\n".join([SOME[0], "", *BAD]).encode())
    folded = tables.fold([packed])
    assert (folded.events, folded.outcomes[Outcome.REJECTED]) == (4, 3)
    items = {item["id"]["S"]: item for item in tables.rejects("reject")}
    assert sorted(items) == [f"reject/shardId-7/42/{line}" for line in (3, 4, 5)]
    item = items["reject/shardId-7/42/4"]
    assert bytes(item["raw"]["B"]) == b"no JSON"
    assert item["reason"]["S"].startswith("not JSON")
    assert item["arrived"]["N"] in {"1.5", "1.500"}


@pytest.mark.parametrize("days", [0, 30])
def test_rejects_and_conflicts_expire_after_the_days_that_are_set(sim: Stack, days: int) -> None:
    arrived = sim.time.now - 1_000.5
    one, other = ('{"id": "k", "v": 1, "type": "a", "desk": "b", "value": 1}', '{"id": "k", "v": 1, "gone": true}')
    records = [StreamRecord("s", str(n), arrived, line.encode()) for n, line in enumerate(["no", one, other])]
    sim.fold(records, reject_days=days)
    (reject,), (conflict,) = sim.rejects("reject"), sim.rejects("conflict")
    if days:
        assert int(reject["expires"]["N"]) == int(arrived) + days * 86_400
        assert int(conflict["expires"]["N"]) == int(sim.time.now) + days * 86_400
    else:
        assert "expires" not in {*reject, *conflict}


def test_a_huge_record_is_kept_as_far_as_an_item_goes(sim: Stack) -> None:
    sim.fold([StreamRecord("s", "1", 0.0, b"x" * 900_000)])
    (item,) = sim.rejects("reject")
    assert len(item["raw"]["B"]) == 350_000
    assert item["cut"] == {"BOOL": True}


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(st.builds(Event, st.just("k"), st.just(1), contents(PIPELINE)), min_size=2, max_size=5), st.randoms())
def test_a_contradiction_is_noted_once_and_decided_by_content(said: list[Event], chance: random.Random) -> None:
    stack = simulated()
    for event in said:
        stack.fold(lines([written(event)]))
    for event in chance.sample(said, len(said)):
        stack.fold(lines([written(event)]))
    stack.reduce()
    stack.check_exact(said)
    different = len({event.content for event in said})
    assert len(stack.rejects("conflict")) >= different - 1
    assert len(stack.rejects("conflict")) <= different * (different - 1) // 2


@settings(max_examples=15)
@given(AMOUNTS)
def test_sums_beyond_18_digits_are_exact(amount: int) -> None:
    stack = simulated()
    records = lines(written(Event(f"k{n}", 1, replace(EVENTS[0].content, measures=(amount,)))) for n in range(150))
    stack.fold(records)
    stack.reduce()
    assert stack.totals()[Node(0)] == Total(150, (150 * amount,))


def test_an_aggregated_record_is_its_user_records(tables: Stack) -> None:
    parts = [line.encode() for line in [*SOME, *BAD]]
    whole = aggregated(*parts[:3], b"", b"\n".join(parts[3:5]) + b"\n", *parts[5:])
    changed = whole.replace(b"FX", b"XF")
    tables.fold(lines(SOME[:4]))  # a part of it came by another way, or the invocation before was ended in its middle
    records = [StreamRecord("shardId-0", "7", 0.0, whole), StreamRecord("shardId-0", "8", 0.0, changed)]
    folded = tables.fold(records)
    assert (folded.unfinished, folded.events) == (None, len(parts) + 1)
    assert folded.outcomes[Outcome.REJECTED] == len(BAD) + 1
    tables.check_balance()
    tables.reduce()
    tables.check_exact(EVENTS)
    rejects = {item["id"]["S"]: item for item in tables.rejects("reject")}
    # Line 4 is the empty user record, and so the lines behind it have the next numbers.
    bad = {f"reject/shardId-0/7/{number}": raw for number, raw in enumerate(parts, 2) if raw in parts[len(SOME) :]}
    assert {name: bytes(item["raw"]["B"]) for name, item in rejects.items()} == {**bad, "reject/shardId-0/8/1": changed}
    assert "checksum is wrong" in rejects["reject/shardId-0/8/1"]["reason"]["S"]
    again = tables.fold(records)
    assert not again.deltas
    assert len(tables.rejects("reject")) == len(rejects)


def test_of_a_refused_transaction_only_the_overtaken_keys_are_read_again(sim: Stack) -> None:
    events = [f'{{"id": "k{number}", "v": 1, "type": "t", "desk": "d", "value": 1}}' for number in range(60)]
    newer = '{"id": "k7", "v": 2, "type": "t", "desk": "d", "value": 5}'
    read: list[int] = []
    written: list[int] = []

    class Overtaken:
        def __getattr__(self, operation: str) -> Any:
            return getattr(sim.client, operation)

        def batch_get_item(self, **request: Any) -> Any:
            answer = sim.client.batch_get_item(**request)
            read.append(len(request["RequestItems"][sim.names.state_table]["Keys"]))
            if len(read) == 1:
                sim.fold(lines([newer]))
            return answer

        def transact_write_items(self, **request: Any) -> Any:
            puts = [write["Put"]["TableName"] for write in request["TransactItems"]]
            written.append(puts.count(sim.names.state_table))
            return sim.client.transact_write_items(**request)

    folded = sim.fold(lines(events), Overtaken())
    assert (read, written) == ([60, 1], [60, 59])
    assert folded.outcomes == {Outcome.INSERTED: 59, Outcome.STALE: 1}
    sim.reduce()
    sim.check_exact([Decoder(PIPELINE).json(line.encode()) for line in [*events, newer]])


def test_frequent_keys_go_first_and_hold_the_others_back_while_others_write_them(sim: Stack) -> None:
    often = [f'{{"id": "hot", "v": {number}, "type": "t", "desk": "d", "value": 1}}' for number in range(5)]
    events = [f'{{"id": "k{number}", "v": 1, "type": "t", "desk": "d", "value": 1}}' for number in range(40)] + often
    newer = '{"id": "hot", "v": 9, "type": "t", "desk": "d", "value": 5}'
    tried: list[int] = []

    def overtake(operation: str) -> None:
        if operation == "batch_get_item" and not tried:
            sim.fold(lines([newer]))

    class Watched:
        def __getattr__(self, operation: str) -> Any:
            return getattr(Interposed(sim.client, after=overtake), operation)

        def transact_write_items(self, **request: Any) -> Any:
            tried.append(len(request["TransactItems"]))
            return sim.client.transact_write_items(**request)

    sim.fold(lines(events), Watched())
    assert tried == [2, 41]  # the hot key with its delta; then, when all was read again, the others with theirs
    sim.reduce()
    sim.check_exact([Decoder(PIPELINE).json(line.encode()) for line in [*events, newer]])


def test_what_a_refused_transaction_takes_is_counted(sim: Stack) -> None:
    sim.fold(lines(SOME[:1]))
    dynamo = sim.dynamo()
    writes = [{"Put": {"TableName": sim.names.state_table, "Item": {**layout.state_key(key), "x": {"S": "y" * 3000}},
                       "ConditionExpression": "attribute_not_exists(#key)",
                       "ExpressionAttributeNames": {"#key": "key"}}} for key in ("new", "a")]  # fmt: skip
    written = dynamo.transact(writes)
    assert (written.done, written.failed, written.taken) == (False, frozenset([1]), frozenset())
    assert (dynamo._meter.refused_writes, dynamo._meter.refused_units) == (2, 2 * 2 * 4)
    assert dynamo._meter.write_units == 0
