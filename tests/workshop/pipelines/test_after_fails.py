"""The ways in which the workshop fails after its fixes, each in a test by its number in docs/WORKSHOP.md."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from botocore.exceptions import ClientError

from oncefold.generate import Workload
from oncefold_workshop.pipelines import messages
from oncefold_workshop.pipelines.deploy import make_tables, read_totals
from oncefold_workshop.pipelines.messages import net_changes, reduce_item, total_changes
from oncefold_workshop.pipelines.settings import MAX_AGE_SECONDS, REDUCE_BATCH, STATE_BATCH, InducedFailure, TableNames
from tests.tools.sizes import full_only, in_full, sized
from tests.workshop.pipelines.conftest import Clock
from tests.workshop.pipelines.records import Record
from tests.workshop.pipelines.rig import FAILS, NOW, TOLERANCE, Rig, by_path, deliver, right_totals

SMALL = Workload(count=120, duplicates=0.1, modifications=0.2, seed=3)
DAY_SECONDS = 24 * 60 * 60
DELTA = {"RiskType": "Delta", "Region": "AMER", "TradeDesk": "FXSpot"}

RE_CUTS: dict[str, Callable[[list[Record], int], list[list[Record]]]] = {
    "bisected": lambda records, half: [records[: half // 2], records[half // 2 : half], records[half:]],
    "grown by later records": lambda records, half: [records],
    "aged out at the front": lambda records, half: [records[1:half], records[half:]],
    "out of order": lambda records, half: [records[:half][::-1], records[half:]],
}
"""What may be delivered after a batch of the first half of the records failed."""
WAYS = ["bisected", *in_full("1 s each", *(how for how in RE_CUTS if how != "bisected"))]


MARKS = {messages.MESSAGE_COUNT, messages.FIRST_SENT, messages.MEAN_SENT}
"""Entries of a batch's sums that are no nodes."""


def message(**fields: object) -> bytes:
    return json.dumps(
        {"TradeID": "t", "Value": 1.0, "Version": 1, "Timestamp": NOW, "Hierarchy": DELTA, **fields}
    ).encode()


def counted_twice(rig: Rig, workload: Workload, sums: messages.Sums) -> bool:
    """Whether the totals are wrong, and by exactly these sums."""
    more = by_path({node: Decimal(str(value)) for node, value in sums.items() if node not in MARKS})
    expected = {node: value for node, value in more.items() if abs(value) > TOLERANCE}
    gaps = rig.errors(workload)
    same = all(abs(gaps.get(node, Decimal(0)) - value) <= TOLERANCE for node, value in expected.items())
    return bool(expected) and gaps.keys() == expected.keys() and same


def delivered_again(first: list[Record], batches: list[list[Record]]) -> list[Record]:
    return [record for batch in batches for record in batch if record in first]


# 1


def test_way_1_a_replay_after_ten_minutes_is_added_again(after: Rig) -> None:
    after.take_in(SMALL)
    reduce = after.functions().reduce
    after.aggregate()
    deliver(reduce, after.mapped(), REDUCE_BATCH)
    assert after.errors(SMALL) == {}

    after.dynamodb.forget()
    deliver(reduce, after.mapped(), REDUCE_BATCH)
    assert counted_twice(after, SMALL, total_changes(after.mapped()))


def test_way_1_a_replay_is_added_again_from_the_tenth_minute_on(simulated: Rig, clock: Clock) -> None:
    simulated.take_in(SMALL)
    simulated.aggregate()
    reduce = simulated.functions().reduce
    clock.pass_by(599)
    deliver(reduce, simulated.mapped(), REDUCE_BATCH)
    assert simulated.errors(SMALL) == {}

    clock.pass_by(1)
    deliver(reduce, simulated.mapped(), REDUCE_BATCH)
    assert counted_twice(simulated, SMALL, total_changes(simulated.mapped()))


# 2


@pytest.mark.parametrize("how", WAYS)
def test_way_2_a_batch_that_map_gets_cut_anew_is_counted_twice(after: Rig, how: str) -> None:
    after.take_in(SMALL)
    records = after.changed()
    half = len(records) // 2
    with pytest.raises(InducedFailure):
        after.functions(FAILS).map({"Records": records[:half]})
    batches = RE_CUTS[how](records, half)
    for batch in batches:
        after.functions().map({"Records": batch})
    deliver(after.functions().reduce, after.mapped(), REDUCE_BATCH)
    assert counted_twice(after, SMALL, net_changes(delivered_again(records[:half], batches)))


@pytest.mark.parametrize("how", WAYS)
def test_way_2_a_batch_that_reduce_gets_cut_anew_is_counted_twice(after: Rig, how: str) -> None:
    after.take_in(SMALL)
    deliver(after.functions().map, after.changed(), 10)
    records = after.mapped()
    half = len(records) // 2
    with pytest.raises(InducedFailure):
        after.functions(FAILS).reduce({"Records": records[:half]})
    batches = RE_CUTS[how](records, half)
    for batch in batches:
        after.functions().reduce({"Records": batch})
    assert counted_twice(after, SMALL, total_changes(delivered_again(records[:half], batches)))


# 3


def rebuilt_tables(rig: Rig) -> TableNames:
    """The tables of a rig with another AggregateTable."""
    rig.take_in(SMALL)
    rig.aggregate()
    tables = replace(rig.tables, aggregate=rig.tables.aggregate + "-rebuilt")
    others = (f"{table}-2" for table in (tables.state, tables.reduce, tables.parameter))
    state, reduce, parameter = others
    make_tables(TableNames(state, reduce, tables.aggregate, parameter), rig.dynamodb)
    return tables


def test_way_3_a_swallowed_token_mismatch_loses_data(blog: Rig) -> None:
    """The blog's code. The totals are built anew in another table, from the same stream, within ten minutes."""
    rebuilt = rebuilt_tables(blog)
    assert deliver(blog.functions(tables=rebuilt).reduce, blog.mapped(), REDUCE_BATCH) == 0
    assert read_totals(rebuilt, blog.dynamodb) == {}


def test_way_3_the_workshops_own_solution_fails_instead(after: Rig) -> None:
    rebuilt = rebuilt_tables(after)
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        deliver(after.functions(tables=rebuilt).reduce, after.mapped(), REDUCE_BATCH)


# 4


@full_only("1 s")
def test_way_4_totals_of_cents_show_fractions_of_cents(after: Rig) -> None:
    after.take_in(SMALL)
    after.aggregate()
    assert any(value != round(value, 2) for value in after.totals().values())


@pytest.mark.parametrize("seed", range(sized(1, 5)))
def test_way_4_within_fifty_thousand_additions_of_cents_the_error_passes_the_tolerance(seed: int) -> None:
    random = Random(seed)
    sums: messages.Sums = {}
    right = 0
    worst = Decimal(0)
    for _ in range(50_000):
        cents = random.randrange(10_000_001)
        right += cents
        messages.add_sums(sums, {"Delta": cents / 100})
        worst = max(worst, abs(Decimal(str(sums["Delta"])) - Decimal(right) / 100))
    assert worst > TOLERANCE


def test_way_4_a_full_batch_of_reduce_is_wrong_by_more_than_the_tolerance(after: Rig) -> None:
    """A thousand rows, each with the sum of ten thousand messages of 50,000.00 on average."""
    random = Random(1)
    rows = [50_000_000_000 + random.randrange(-500_000_000, 500_000_000) for _ in range(REDUCE_BATCH)]
    after.functions().reduce({"Records": [_row(number, {"Delta": cents / 100}) for number, cents in enumerate(rows)]})
    assert abs(after.totals()["Delta"] - Decimal(sum(rows)) / 100) > TOLERANCE


def _row(number: int, sums: messages.Sums) -> Record:
    item = reduce_item(str(number), sums)
    return {"eventName": "INSERT", "dynamodb": {"SequenceNumber": str(number), "NewImage": item}}


# 5


def test_way_5_a_delete_does_not_delete(after: Rig) -> None:
    deletes = Workload(count=120, deletes=0.2, seed=3)
    after.take_in(deletes)
    after.aggregate()
    assert all(error > 0 for error in after.errors(deletes).values())
    assert after.errors(deletes) != {}


def test_way_5_a_message_older_than_a_minute_is_dropped_unseen(after: Rig) -> None:
    after.send(message(TradeID="late", Timestamp=NOW - MAX_AGE_SECONDS - 1))
    after.send(message(TradeID="in time", Timestamp=NOW - MAX_AGE_SECONDS + 1))
    assert deliver(after.state, after.sent(), STATE_BATCH) == 0
    assert [item["id"]["S"] for item in after.items(after.tables.state)] == ["in time"]


def test_way_5_there_is_no_total_of_everything(after: Rig) -> None:
    after.take_in(SMALL)
    after.aggregate()
    assert right_totals(SMALL).keys() - after.totals().keys() == {""}


@full_only("1 s")
def test_way_5_a_batch_of_more_than_a_hundred_nodes_fails_each_time(after: Rig) -> None:
    wide = Workload(count=150, leaves=100, seed=3)
    after.take_in(wide)
    deliver(after.functions().map, after.changed(), 150)
    for _ in range(3):
        with pytest.raises(ClientError, match="length less than or equal to 100"):
            after.functions().reduce({"Records": after.mapped()})
    assert after.totals() == {}


# 6


@full_only("1 s")
def test_way_6_reduce_table_grows_for_ever(after: Rig) -> None:
    after.take_in(SMALL)
    deliver(after.functions().map, after.changed(), 10)
    rows = len(after.items(after.tables.reduce))
    deliver(after.functions().reduce, after.mapped(), REDUCE_BATCH)
    assert after.errors(SMALL) == {}
    assert len(after.items(after.tables.reduce)) == rows > 5


def test_way_6_changes_that_map_did_not_read_within_a_day_are_lost(simulated: Rig, clock: Clock) -> None:
    """DynamoDB trims them from StateTable's stream, and nothing looks at StateTable itself."""
    simulated.take_in(SMALL)
    clock.pass_by(DAY_SECONDS + 1)
    simulated.aggregate()
    assert len(simulated.items(simulated.tables.state)) > 50
    assert simulated.totals() == {}


def test_way_6_sums_that_reduce_did_not_read_within_a_day_are_lost(simulated: Rig, clock: Clock) -> None:
    simulated.take_in(SMALL)
    deliver(simulated.functions().map, simulated.changed(), 10)
    clock.pass_by(DAY_SECONDS + 1)
    deliver(simulated.functions().reduce, simulated.mapped(), REDUCE_BATCH)
    assert len(simulated.items(simulated.tables.reduce)) > 5
    assert simulated.totals() == {}


@pytest.mark.parametrize(
    "poison", [b"not JSON", b'{"TradeID": "t"}', message(Value=float("nan"))], ids=["no JSON", "no value", "NaN"]
)
def test_way_6_one_poison_record_blocks_its_shard(after: Rig, poison: bytes) -> None:
    after.send(message(TradeID="before"))
    after.send(poison)
    after.send(message(TradeID="behind"))
    for _ in range(3):
        with pytest.raises((ValueError, KeyError, ClientError)):
            deliver(after.state, after.sent(), STATE_BATCH)
    assert [item["id"]["S"] for item in after.items(after.tables.state)] == ["before"]
