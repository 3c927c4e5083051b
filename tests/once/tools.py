"""What tests of counters share: tables with their items, a context with little time, a clock by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from oncefold.once import Counters, Runtime
from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_lab.simulator.faults import Faults


@dataclass
class Time:
    """A clock that is moved by sleeping, or by hand."""

    now: float = 1_700_000_000.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def runtime(self) -> Runtime:
        return Runtime(self.read, self.sleep, Random(7).random)


@dataclass
class Context:
    """Lambda's context, with so much time left."""

    seconds: float = 60.0

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass
class Tables:
    """The two tables of some counters."""

    client: Any
    table: str
    ledger: str
    keys: Mapping[str, str]
    time: Time | None = None

    @classmethod
    def made(cls, client: Any, table: str, ledger: str, keys: Mapping[str, str], time: Time | None = None) -> "Tables":
        for name, attributes in ((table, keys), (ledger, {"id": "S"})):
            client.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": key, "AttributeType": kind} for key, kind in attributes.items()
                ],
                KeySchema=[
                    {"AttributeName": key, "KeyType": kind}
                    for key, kind in zip(attributes, ("HASH", "RANGE"), strict=False)
                ],
            )
            client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        return cls(client, table, ledger, keys, time)

    def counters(self, way: Any = "id", **options: Any) -> Counters:
        runtime = None if self.time is None else self.time.runtime
        return Counters(self.table, self.ledger, way, client=self.client, runtime=runtime, **options)

    def items(self, table: str | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.scan(TableName=table or self.table, ConsistentRead=True)["Items"]
        return found

    def totals(self, attribute: str = "n") -> dict[Any, str]:
        """One attribute of every counter, by its key's texts; a key of one attribute is its text."""
        found = {}
        for item in self.items():
            key = tuple(next(iter(item[name].values())) for name in self.keys)
            found[key[0] if len(key) == 1 else key] = item[attribute]["N"]
        return found


def simulated(keys: Mapping[str, str] | None = None, faults: Faults | None = None, time: Time | None = None) -> Tables:
    """Tables in a simulator, whose clock is the counters' own."""
    time = time or Time()
    client = DynamoDB(clock=time.read, random=Random(3), faults=faults)
    return Tables.made(client, "Aggregate", "Ledger", keys or {"Identifier": "S"}, time)
