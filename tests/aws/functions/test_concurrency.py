"""Many functions at once on the emulator: the same keys, the same root, the same deltas, and every update counts."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from oncefold.aws.functions.reduce import Reduced
from oncefold.aws.functions.state import StreamRecord
from oncefold.core.decode import Decoder
from oncefold.generate import Workload, generate
from oncefold_lab.local.emulator import Emulator
from tests.aws.functions.conftest import emulated
from tests.aws.functions.stacks import PIPELINE, WORKSHOP, Stack

KEYS = 60
FUNCTIONS = 4


@pytest.fixture
def real(aws: Emulator) -> Stack:
    assert aws.answers()
    return emulated()


def batches(chance: random.Random) -> list[list[StreamRecord]]:
    """Few keys with many versions, each event three times, shuffled."""
    lines = [
        f'{{"id": "k{chance.randrange(KEYS)}", "v": {chance.randrange(50)}, "type": "t",'
        f' "desk": "d{chance.randrange(9)}", "value": {chance.randrange(10_000)},'
        f' "gone": {str(chance.random() < 0.05).lower()}}}'
        for _ in range(600)
    ] * 3
    chance.shuffle(lines)
    records = [StreamRecord("s", str(number), 0.0, line.encode()) for number, line in enumerate(lines)]
    return [records[start : start + 100] for start in range(0, len(records), 100)]


def at_once(calls: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()


def _applied(reduced: Reduced) -> None:
    assert reduced.left == set()


def test_functions_that_race_for_keys_and_nodes_lose_nothing(real: Stack) -> None:
    work = batches(random.Random(1))
    events = [Decoder(PIPELINE).json(record.data) for batch in work for record in batch]
    waiting = list(work)

    def fold() -> None:
        while waiting:
            try:
                batch = waiting.pop()
            except IndexError:
                return
            assert real.fold(batch).unfinished is None

    def reduce() -> None:
        while waiting:
            assert real.reduce().left == set()

    at_once([fold] * FUNCTIONS + [reduce] * 2)
    real.check_balance()
    at_once([lambda: _applied(real.reduce())] * FUNCTIONS)
    real.check_exact(events)


def test_one_delta_for_many_reducers_counts_once(real: Stack) -> None:
    lines = b"".join(generate(Workload(count=300, seed=5))).splitlines()
    workshop = Stack(real.client, real.names, WORKSHOP, real.time)
    workshop.fold([StreamRecord("s", str(n), 0.0, line) for n, line in enumerate(lines)])
    deltas = workshop.outbox()
    at_once([lambda: _applied(workshop.reduce(deltas=deltas))] * 8)
    workshop.check_exact(Decoder(WORKSHOP).json(line) for line in lines)
