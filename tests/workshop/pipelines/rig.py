"""The workshop's tables, stream and functions, on an emulator or simulated, driven a stage at a time."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, Protocol

from oncefold.aws.connect import client
from oncefold.generate import Workload, generate, truth
from oncefold_workshop.pipelines.deploy import make_tables, read_items, read_totals
from oncefold_workshop.pipelines.handlers import Form, FunctionEnvironment, Handle, PipelineFunctions
from oncefold_workshop.pipelines.messages import MESSAGE_COUNT, SEPARATOR
from oncefold_workshop.pipelines.settings import (
    REDUCE_BATCH,
    STATE_BATCH,
    FailurePercentages,
    InducedFailure,
    ParameterTable,
    PipelineSettings,
    TableNames,
)
from tests.workshop.pipelines.records import Record, batches, of_kinesis, of_table

TOLERANCE = Decimal("0.00001")
"""The workshop's own scoreboard takes a total for right when it is this near."""
NOW = 1_616_413_300.0
"""Some seconds after the first event of a generated workload."""
FAILS = FailurePercentages(state=100, map=100, reduce=100)
_PUT = 500


class Forgetful:
    """A DynamoDB client whose service can be made to forget every token, as ten minutes make it.

    A token that the service forgot is treated as a new one; so after `forget` the same tokens are sent as new ones.
    """

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb
        self._forgotten = 0

    def forget(self) -> None:
        self._forgotten += 1

    def transact_write_items(self, **request: Any) -> Any:
        if "ClientRequestToken" in request:
            token = f"{self._forgotten}/{request['ClientRequestToken']}"
            request["ClientRequestToken"] = hashlib.sha256(token.encode()).hexdigest()[:36]
        return self._dynamodb.transact_write_items(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dynamodb, name)


class Inbox(Protocol):
    """A stream of one shard."""

    def send(self, lines: bytes) -> None:
        """Put lines into it, each as a record."""
        ...

    def records(self) -> list[Record]:
        """All its records, from the oldest on."""
        ...


class KinesisInbox:
    """A Kinesis stream."""

    def __init__(self, name: str) -> None:
        self._kinesis = client("kinesis")
        self._name = name
        self._kinesis.create_stream(StreamName=name, ShardCount=1)
        self._kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})

    def send(self, lines: bytes) -> None:
        records = [{"Data": line, "PartitionKey": "one"} for line in lines.splitlines()]
        for start in range(0, len(records), _PUT):
            answer = self._kinesis.put_records(StreamName=self._name, Records=records[start : start + _PUT])
            assert answer["FailedRecordCount"] == 0

    def records(self) -> list[Record]:
        return of_kinesis(self._kinesis, self._name)


class PlainInbox:
    """A list, where no Kinesis is."""

    def __init__(self) -> None:
        self._records: list[Record] = []

    def send(self, lines: bytes) -> None:
        self._records += [{"kinesis": {"data": base64.b64encode(line).decode()}} for line in lines.splitlines()]

    def records(self) -> list[Record]:
        return self._records


@dataclass(frozen=True, slots=True)
class Services:
    """What a workshop runs on."""

    dynamodb: Any
    streams: Any
    inbox: Inbox
    clock: Callable[[], float] = lambda: NOW


class Rig:
    """One workshop. A stage's records come from the stream before it, all from the oldest on."""

    def __init__(self, form: Form, tables: TableNames, services: Services) -> None:
        self._form = form
        self._random = Random(7)
        self._services = services
        self.dynamodb = services.dynamodb
        self.tables = tables
        make_tables(tables, self.dynamodb)

    def functions(
        self, percentages: FailurePercentages | None = None, tables: TableNames | None = None
    ) -> PipelineFunctions:
        """The three functions, without failures on purpose unless ParameterTable is given percentages."""
        found = tables or self.tables
        ParameterTable(self.dynamodb, found.parameter).put((percentages or FailurePercentages()).parameters())
        world = FunctionEnvironment(self.dynamodb, self._services.clock, self._random.random)
        return self._form(PipelineSettings(found), world)

    @property
    def state(self) -> Handle:
        """StateLambda, without failures."""
        handle = self.functions().state
        assert handle is not None
        return handle

    def send(self, lines: bytes) -> None:
        """Put lines into the first stream, each as a record."""
        self._services.inbox.send(lines)

    def sent(self) -> list[Record]:
        """The records of the first stream."""
        return self._services.inbox.records()

    def changed(self) -> list[Record]:
        """The records of StateTable's stream."""
        return of_table(self.dynamodb, self._services.streams, self.tables.state)

    def mapped(self) -> list[Record]:
        """The records of ReduceTable's stream."""
        return of_table(self.dynamodb, self._services.streams, self.tables.reduce)

    def send_workload(self, workload: Workload) -> None:
        """Put a workload's events into the stream."""
        self.send(b"".join(generate(workload)))

    def take_in(self, workload: Workload) -> None:
        """Send a workload and bring it into StateTable."""
        self.send_workload(workload)
        deliver(self.state, self.sent(), STATE_BATCH)

    def aggregate(self, map_batch: int = 50, reduce_batch: int = REDUCE_BATCH) -> None:
        """Bring what is in StateTable into the totals."""
        deliver(self.functions().map, self.changed(), map_batch)
        deliver(self.functions().reduce, self.mapped(), reduce_batch)

    def items(self, table: str) -> list[dict[str, Any]]:
        """The items of a table."""
        return read_items(table, self.dynamodb)

    def totals(self) -> dict[str, Decimal]:
        """What AggregateTable says of every node, under the names that the truth has for them."""
        totals = read_totals(self.tables, self.dynamodb)
        totals.pop(MESSAGE_COUNT, None)
        return by_path(totals)

    def errors(self, workload: Workload) -> dict[str, Decimal]:
        """How far each node is from the truth; those that the scoreboard takes for right are absent, as is the root."""
        return errors(self.totals(), workload)


def by_path(totals: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Nodes under the names that the truth has for them."""
    return {node.replace(SEPARATOR, "/"): value for node, value in totals.items()}


def right_totals(workload: Workload) -> dict[str, Decimal]:
    """The truth about every node, the root included."""
    return {node: Decimal(total["value"]) for node, total in truth(workload)["nodes"].items()}


def errors(totals: Mapping[str, Decimal], workload: Workload) -> dict[str, Decimal]:
    """How far each node is from the truth, beyond what the scoreboard tolerates; the root, which is not kept, aside."""
    right = right_totals(workload)
    del right[""]
    gaps = {node: totals.get(node, Decimal(0)) - right.get(node, Decimal(0)) for node in totals.keys() | right.keys()}
    return {node: gap for node, gap in gaps.items() if abs(gap) > TOLERANCE}


def deliver(handle: Handle, records: Sequence[Record], size: int) -> int:
    """Every batch in order, each with the same boundaries until its invocation ends well; the number of failures."""
    failures = 0
    for batch in batches(records, size):
        while not _ends_well(handle, batch):
            failures += 1
    return failures


def _ends_well(handle: Handle, batch: Sequence[Record]) -> bool:
    try:
        handle({"Records": batch})
    except InducedFailure:
        return False
    return True
