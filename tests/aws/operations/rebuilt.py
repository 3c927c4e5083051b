"""A stack whose functions take part in rebuilds, on the simulator; some events, and more that come meanwhile."""

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Self

from oncefold.aws.functions import layout
from oncefold.aws.functions.direct import DirectStateFunction
from oncefold.aws.functions.epochs import EPOCH_SECONDS, EpochCache, Epochs, counts_in, epochs_of
from oncefold.aws.functions.guard import ECONOMY, STANDARD, definition_item
from oncefold.aws.functions.layout import DEFINITION_KEY, Delta
from oncefold.aws.functions.reduce import Reduced
from oncefold.aws.functions.state import FoldResult, StateFunction
from oncefold.aws.operations.rebuild import MARGIN_SECONDS, Machine, Rebuild, Rebuilt
from oncefold.aws.operations.rebuild_item import UnderWay
from oncefold.aws.tables import Stack as Tables
from oncefold.aws.tables import stack_of
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Total, net
from oncefold.dynamodb.items import Item
from tests.aws.functions.conftest import simulated
from tests.aws.functions.stacks import PIPELINE, Stack, lines, net_all
from tests.tools import reference

SOME = [
    '{"id": "a", "v": 1, "type": "Delta", "desk": "FX", "value": 10.5}',
    '{"id": "b", "v": 1, "type": "Delta", "desk": "Spot", "value": 1}',
    '{"id": "c", "v": 1, "type": "PV", "desk": "FX", "value": -0.01}',
    '{"id": "b", "v": 2, "gone": true}',
    '{"id": "d", "v": 5, "type": "", "desk": "a/b", "value": "0.07"}',
]
MORE = [
    '{"id": "a", "v": 2, "type": "PV", "desk": "FX", "value": 7}',
    '{"id": "e", "v": 1, "type": "PV", "desk": "Spot", "value": 3}',
    '{"id": "b", "v": 3, "type": "PV", "desk": "Spot", "value": 4}',
    '{"id": "c", "v": 2, "gone": true}',
]
TIMEOUT = 60.0
GRACE = TIMEOUT + EPOCH_SECONDS + MARGIN_SECONDS


class RebuiltStack(Stack):
    """A stack whose functions take part in rebuilds; each environment knows the epochs by itself.

    In economy mode NetLambda goes on whenever a process waits, and before anything is reduced.
    """

    @classmethod
    def make(cls, mode: str = STANDARD) -> Self:
        made = simulated(economy=mode == ECONOMY)
        stack = cls(made.client, made.names, made.pipeline, made.time)
        stack.client.put_item(TableName=stack.names.aggregate_table, Item=definition_item(PIPELINE, mode=mode))
        stack.cache = stack.environment()
        stack.mode = mode
        return stack

    cache: EpochCache
    mode: str = STANDARD

    def environment(self) -> EpochCache:
        return EpochCache(self.names, self.time.read, self.time.read)

    def send(self, events: list[str], cache: EpochCache | None = None, client: Any = None) -> FoldResult:
        """Fold events in an environment, by default one that is as old as the stack."""
        work = DirectStateFunction if self.mode == ECONOMY else StateFunction
        function = work(PIPELINE, self.names, self.dynamo(client), self.time.read, epochs=cache or self.cache)
        return function.handle(lines(events))

    def net(self, cache: EpochCache | None = None) -> None:
        """In economy mode: net every change that there is, by an environment, by default a new one."""
        if self.mode == ECONOMY:
            net_all(self, epochs=cache or self.environment())

    def reduce(self, client: Any = None, seconds: float = 3600.0, deltas: Iterable[Delta] | None = None) -> Reduced:
        self.net()
        return super().reduce(client, seconds, deltas)

    def sleep(self, seconds: float) -> None:
        self.time.sleep(seconds)
        self.net()

    def rebuild(self, client: Any = None, owner: str = "", segments: int = 2, **how: bool) -> Rebuilt:
        return self.process(client, owner).run(segments, **how)

    def process(self, client: Any = None, owner: str = "", definition: Pipeline | None = None) -> Rebuild:
        machine = Machine(self.time.read, self.time.read, self.sleep, lambda: 0.5, map)
        return Rebuild(
            PIPELINE, self.names, client or self.client, machine, owner=owner or str(random.random()),
            timeout_seconds=TIMEOUT, definition=definition, streams=self.client.streams,
        )  # fmt: skip

    def opened(self, dynamodb: Any = None) -> Tables:
        """The stack as commands open it, read by one of them at a time."""
        found = stack_of(self.names, dynamodb or self.client, self.definition(), self.client.streams())
        return replace(found, segments=1)

    def definition(self) -> Item:
        answer = self.client.get_item(TableName=self.names.aggregate_table, Key=DEFINITION_KEY)
        item: Item = answer["Item"]
        return item

    def set_under_way(self, under: UnderWay) -> None:
        item = {**self.definition(), "rebuild": under.attribute}
        self.client.put_item(TableName=self.names.aggregate_table, Item=item)

    def epochs(self) -> Epochs:
        return epochs_of(self.definition())

    def nodes_of(self, epoch: int) -> dict[Node, Total]:
        found = [item for item in self.scan(self.names.aggregate_table) if layout.node_epoch(item) == epoch]
        totals = dict(layout.parse_node(PIPELINE, item) for item in found)
        return {node: total for node, total in totals.items() if total}

    def totals(self) -> dict[Node, Total]:
        return self.nodes_of(self.epochs().live)

    def marks(self) -> dict[str, int]:
        found = self.scan(self.names.state_table)
        return {key: state.mark for key, state in (layout.parse_marked(PIPELINE, item) for item in found)}

    def check_epoch(self, epoch: int) -> None:
        """Totals + outbox of an epoch = the states of the keys that count in it."""
        sums = self.nodes_of(epoch)
        for delta in self.outbox():
            if delta.epoch == epoch:
                for node, total in delta.nodes:
                    sums[node] = sums[node] + total if node in sums else total
        marks = self.marks()
        counted = [(None, stored) for key, stored in self.states().items() if counts_in(epoch, marks[key])]
        reference.assert_equal(net(PIPELINE, counted), {node: t for node, t in sums.items() if t}, PIPELINE)

    def check_all_epochs(self) -> None:
        for epoch in self.epochs().kept:
            self.check_epoch(epoch)


def decoded(events: list[str]) -> Any:
    return [Decoder(PIPELINE).json(line.encode()) for line in events]
