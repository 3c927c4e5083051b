"""Oncefold's own functions in the simulator, unchanged: exact totals under every fault, seed by seed."""

from random import Random

import pytest

from oncefold.aws.names import Names
from oncefold.core.event import DELETED, Content, Event
from oncefold.dynamodb.calls import OutOfTime
from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_lab.simulator.faults import LATE_SECONDS, Faults, rates
from tests.aws.functions.stacks import Stack, Time, lines, written
from tests.aws.tables import make_tables


class Crash(Exception):  # noqa: N818 - what a test raises to stop a function
    """The function is gone."""


def _events(random: Random) -> list[Event]:
    """Few keys, many versions, moves, deletes, conflicts and duplicates."""
    events = []
    for _ in range(60):
        labels = (random.choice(["Delta", "PV"]), random.choice(["FXSpot", "FXOptions"]))
        content = DELETED if random.random() < 0.1 else Content(labels, (random.randint(-(10**6), 10**6),))
        events.append(Event(f"key {random.randrange(12)}", random.randrange(8), content))
    return events


def _batches(random: Random, events: list[Event]) -> list[list[Event]]:
    """The stream delivered three times, cut anew and out of order from the second time on."""
    deliveries = [*events]
    for _ in range(2):
        deliveries += random.sample(events, len(events))
    batches = []
    while deliveries:
        size = random.randint(1, 6)
        batches.append(deliveries[:size])
        del deliveries[:size]
    return batches


@pytest.mark.parametrize("seed", range(25))
def test_totals_are_exact_whatever_happens(seed: int) -> None:
    random = Random(seed)
    time = Time()
    faults = Faults(Random(random.random()), rates(0.06))
    busy = False

    def interpose(operation: str, _: str) -> None:
        """Now and then the function crashes, or a sweep by another function comes in between."""
        nonlocal busy
        if busy or not faults.rates:
            return
        if random.random() < 0.01:
            raise Crash
        if operation == "TransactWriteItems" and random.random() < 0.1:
            busy = True
            stack.sweep(seconds=5.0)
            busy = False

    client = DynamoDB(time.read, Random(random.random()), faults, calls=interpose)
    names = Names("stack")
    rest, faults.rates = faults.rates, {}
    make_tables(names, client)
    faults.rates = rest
    stack = Stack(client, names, time=time)
    events = _events(random)
    for batch in _batches(random, events):
        for _ in range(100):
            busy = False
            try:
                folded = stack.fold(lines(map(written, batch)), seconds=30.0)
                stack.reduce(seconds=10.0)
                if folded.unfinished is None:
                    break
            except (Crash, OutOfTime):
                continue
        time.now += random.choice([0.1, 1.0, 700.0])
    faults.stop()
    time.now += LATE_SECONDS
    client.run_due()
    stack.check_balance()
    stack.sweep()
    stack.check_exact(events)
    assert len(faults.counts) > 4
