"""Deadlines, partial answers, faults of calls, and every size of batch: on the simulator."""

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.dynamodb.items import TRANSACTION_ITEMS
from oncefold.once import Counters, CountsError, NotCounted
from oncefold_lab.simulator.faults import LATE_SECONDS, Fault, Faults, rates
from tests.lab.tools import ScriptedFaults
from tests.once.tools import Context, Tables, simulated
from tests.tools.sizes import examples

SQS = [{"messageId": f"m{number}", "body": "1"} for number in range(3)]
KINESIS = [
    {"eventID": f"shardId-0:{number}", "kinesis": {"sequenceNumber": str(number), "data": "MQ=="}}
    for number in range(3)
]
CHANGES = [{"eventID": f"e{number}", "dynamodb": {"SequenceNumber": str(number)}} for number in range(3)]


def slow(tables: Tables, seconds: float) -> None:
    """Let every transaction take so long."""
    call = tables.client.transact_write_items
    time = tables.time
    assert time is not None

    def transact(**request: Any) -> Any:
        answer = call(**request)
        time.now += seconds
        return answer

    tables.client.transact_write_items = transact


@pytest.mark.parametrize(
    ("records", "names"),
    [(SQS, ["m1", "m2"]), (KINESIS, ["1", "2"]), (CHANGES, ["1", "2"])],
    ids=["sqs", "kinesis", "ddb"],
)
def test_what_the_time_does_not_suffice_for_is_answered_by_name(records: list[Any], names: list[str]) -> None:
    tables = simulated()
    with tables.counters().batch() as batch:
        pass
    slow(tables, 3.0)
    counters = tables.counters()
    with counters.batch(Context()) as batch:
        batch.add("warm", {"w": {"n": 1}})
    with counters.batch(Context(3.0)) as batch:
        for number, record in enumerate(records):
            batch.add(f"r{number}", {f"c{number}-{part}": {"n": 1} for part in range(60)}, record=record)
    assert batch.response == {"batchItemFailures": [{"itemIdentifier": name} for name in names]}
    assert batch.outcomes == {"counted": 1, "unfinished": 2}
    with counters.batch(Context()) as batch:
        for number, record in enumerate(records):
            batch.add(f"r{number}", {f"c{number}-{part}": {"n": 1} for part in range(60)}, record=record)
    assert batch.response == {"batchItemFailures": []}
    assert set(tables.totals().values()) == {"1"}


def count_two(counters: Counters, context: Context, after: Any = str) -> None:
    """Two records; `after` is called with one of them before the block ends."""
    with counters.batch(context) as batch:
        batch.add("a", {"x": {"n": 1}})
        batch.add("b", {"x": {"n": 1}})
        after({})


def test_without_partial_answers_the_batch_raises() -> None:
    tables = simulated()
    with pytest.raises(NotCounted, match="2 of 2 records are not counted"):
        count_two(tables.counters(partial=False, key="Identifier"), Context(0.1))
    with pytest.raises(NotCounted, match="had said what its key is"):
        count_two(tables.counters(), Context(0.1))
    assert tables.items() == []


def test_a_handler_that_raises_writes_nothing() -> None:
    tables = simulated()
    with pytest.raises(TypeError):
        count_two(tables.counters(), Context(), after=int)
    assert tables.items() == tables.items(tables.ledger) == []


@pytest.mark.parametrize("way", ["id", "version", "position"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.CONFLICT,
        Fault.THROTTLED,
        Fault.ITEM_THROTTLED,
        Fault.LOST_REPLY,
        Fault.UNFINISHED,
        Fault.UNSENT,
        Fault.FAILED,
    ],
)
def test_conflicts_throttling_and_lost_answers_are_tried_again(way: str, fault: Fault) -> None:
    faults = ScriptedFaults()
    tables = simulated(faults=faults)
    more = {"version": 1} if way == "version" else {}
    counters = tables.counters(way)
    with counters.batch(Context()) as batch:
        batch.add("s:1", {"x": {"n": 1}}, **more)
    # By id nothing is read; the other ways read first.
    faults.script = [fault, fault] if way == "id" else [None, fault, fault]
    with counters.batch(Context()) as batch:
        batch.add("s:2", {"x": {"n": 2}}, **more)
    assert not faults.script
    assert not batch.unfinished
    assert tables.totals() == {"x": "3"}


@given(data=st.data())
@settings(max_examples=examples(60), deadline=None)
def test_no_transaction_has_more_than_it_may(data: st.DataObject) -> None:
    """Whatever the batch, and by every way, DynamoDB takes each transaction at once, and the totals are the sum."""
    way = data.draw(st.sampled_from(["id", "version", "position"]))
    most = 49 if way == "version" else 99
    rows = data.draw(
        st.lists(
            st.tuples(st.integers(0, 40), st.integers(0, 150), st.integers(1, most), st.integers(-5, 5)), max_size=60
        )
    )
    tables = simulated()
    sizes = []
    call = tables.client.transact_write_items

    def transact(**request: Any) -> Any:
        sizes.append(len(request["TransactItems"]))
        return call(**request)

    tables.client.transact_write_items = transact
    expected: dict[str, int] = {}
    best: dict[int, tuple[int, dict[str, int]]] = {}
    with tables.counters(way).batch(Context()) as batch:
        for number, (record, first, width, amount) in enumerate(rows):
            counts = {f"c{place}": {"n": amount} for place in range(first, first + width)}
            plain = {path: amounts["n"] for path, amounts in counts.items()}
            if way == "version":
                batch.add(str(record), counts, version=number)
                best[record] = (number, plain)
            elif way == "id":
                batch.add(str(record), counts)
                best.setdefault(record, (number, plain))
            else:
                batch.add(f"s:{number}", counts)
                best[number] = (number, plain)
    for _, plain in best.values():
        for path, amount in plain.items():
            expected[path] = expected.get(path, 0) + amount
    assert not batch.unfinished
    assert all(size <= TRANSACTION_ITEMS for size in sizes)
    assert {path: Decimal(text) for path, text in tables.totals().items() if Decimal(text)} == {
        path: Decimal(total) for path, total in expected.items() if total
    }


def test_a_block_that_is_used_wrongly_is_an_error_and_not_a_loss() -> None:
    tables = simulated()
    batch = tables.counters().batch(Context())
    with pytest.raises(CountsError, match="within the block"):
        batch.add("a", {"x": {"n": 1}})

    def handler() -> dict[str, Any]:
        with tables.counters().batch(Context()) as batch:
            batch.add("a", {"x": {"n": 1}})
            return batch.response

    with pytest.raises(CountsError, match="return it behind the block"):
        handler()
    assert tables.items() == []


@pytest.mark.parametrize("way", ["id", "version", "position"])
@pytest.mark.parametrize("reason", ["ItemCollectionSizeLimitExceeded", "ValidationError"])
def test_a_counter_that_takes_no_more_is_found_by_halves(way: str, reason: str) -> None:
    """Its record is named, and by position all behind it; the others count, and nothing is tried for ever."""
    tables = simulated()
    call = tables.client.transact_write_items

    def transact(**request: Any) -> Any:
        full = ["full" in str(item.get("Update", {}).get("Key")) for item in request["TransactItems"]]
        if any(full):
            reasons = [{"Code": reason if one else "None", "Message": "too much"} for one in full]
            error = {"Code": "TransactionCanceledException", "Message": "cancelled"}
            raise ClientError({"Error": error, "CancellationReasons": reasons}, "TransactWriteItems")  # type: ignore[typeddict-unknown-key]
        return call(**request)

    tables.client.transact_write_items = transact
    more = {"version": 1} if way == "version" else {}
    with tables.counters(way).batch(Context()) as batch:
        for number in range(1, 9):
            batch.add(f"s:{number}", {"full" if number == 5 else "x": {"n": 1}}, record=f"n{number}", **more)
    left = ["n5", "n6", "n7", "n8"] if way == "position" else ["n5"]
    assert list(batch.unfinished) == left
    assert "too much" in batch.unfinished["n5"]
    assert tables.totals() == {"x": str(8 - len(left))}


def test_a_batch_of_megabytes_is_several_transactions() -> None:
    tables = simulated()
    with tables.counters().batch(Context()) as batch:
        for number in range(30):
            batch.add(f"r{number}", {f"{'x' * 1900}{number}-{part}": {"n" * 250: 1} for part in range(80)})
    assert batch.outcomes == {"counted": 30}
    assert batch.meter.transactions > 30 // 2


def test_faults_at_random_leave_no_doubt() -> None:
    faults = Faults(Random(1), {})
    tables = simulated(faults=faults)
    assert tables.time is not None
    faults.rates = rates(0.05)
    for _ in range(3):
        for start in range(0, 60, 7):
            unfinished = True
            while unfinished:
                with tables.counters().batch(Context()) as batch:
                    for number in range(start, start + 7):
                        batch.add(f"r{number}", {"all": {"n": 1}})
                unfinished = bool(batch.unfinished)
        tables.time.now += 700
    faults.stop()
    tables.time.now += LATE_SECONDS
    tables.client.run_due()
    assert tables.totals() == {"all": "63"}
