"""What the workshop sets: the age of a message, its event source mappings, its tables, and its induced failures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

MAX_AGE_SECONDS = 60.0
"""StateLambda drops a message whose timestamp is older, silently."""
STATE_BATCH = 100
"""Kinesis records of a batch, at most."""
MAP_BATCH = 10_000
"""Records of StateTable's stream in a batch, at most."""
MAP_WINDOW_SECONDS = 3
"""Lambda gathers records of StateTable's stream for so long, at most."""
REDUCE_BATCH = 1_000
"""Records of ReduceTable's stream in a batch, at most; ReduceLambda runs once at a time."""
STREAM = "IncomingDataStream"

STATE_KEY, REDUCE_KEY, AGGREGATE_KEY, PARAMETER_KEY = "id", "MessageId", "Identifier", "parameter"
"""Names of the tables' keys."""
PARAMETER_VALUE = "value"
"""The attribute of ParameterTable that holds a parameter's number."""
STATE_FAILS, MAP_FAILS, REDUCE_FAILS = (f"FAILURE_{name}_LAMBDA_PCT" for name in ("STATE", "MAP", "REDUCE"))
"""Parameters: the percentage of invocations that fail on purpose."""


@dataclass(frozen=True, slots=True)
class TableNames:
    """The names of one workshop's tables."""

    state: str
    reduce: str
    aggregate: str
    parameter: str

    @property
    def keys(self) -> Mapping[str, str]:
        """The name of each table's key, by table."""
        return {
            self.state: STATE_KEY,
            self.reduce: REDUCE_KEY,
            self.aggregate: AGGREGATE_KEY,
            self.parameter: PARAMETER_KEY,
        }


TABLES = TableNames("StateTable", "ReduceTable", "AggregateTable", "ParameterTable")
"""The workshop's own names."""


@dataclass(frozen=True, slots=True)
class FailurePercentages:
    """How many of a hundred invocations of each function fail on purpose."""

    state: int = 0
    map: int = 0
    reduce: int = 0

    def parameters(self) -> dict[str, int]:
        """As the functions read them from ParameterTable."""
        return {STATE_FAILS: self.state, MAP_FAILS: self.map, REDUCE_FAILS: self.reduce}


HARD_MODE = FailurePercentages(state=5, map=10, reduce=10)


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What the functions find in their environment, all of them the same."""

    tables: TableNames = TABLES

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """The settings of the variables WORKSHOP_*_TABLE; the workshop's own names where they are missing."""
        names = {name: f"WORKSHOP_{name.upper()}_TABLE" for name in ("state", "reduce", "aggregate", "parameter")}
        return cls(TableNames(**{name: environment.get(key, getattr(TABLES, name)) for name, key in names.items()}))

    def environment(self) -> dict[str, str]:
        """The inverse of `of`."""
        return {
            "WORKSHOP_STATE_TABLE": self.tables.state,
            "WORKSHOP_REDUCE_TABLE": self.tables.reduce,
            "WORKSHOP_AGGREGATE_TABLE": self.tables.aggregate,
            "WORKSHOP_PARAMETER_TABLE": self.tables.parameter,
        }


class InducedFailure(Exception):  # noqa: N818 - it is a rule of the game
    """The invocation fails on purpose, so that its batch is delivered again."""


@dataclass(frozen=True, slots=True)
class ParameterTable:
    """The workshop's parameters, read and written by the functions."""

    dynamodb: Any
    table: str

    def number(self, name: str) -> int:
        """A parameter; 0 for one that is not there."""
        key = {PARAMETER_KEY: {"S": name}}
        item = self.dynamodb.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
        return 0 if item is None else int(item[PARAMETER_VALUE]["N"])

    def put(self, parameters: Mapping[str, int]) -> None:
        """Set parameters, one after the other."""
        for name, number in parameters.items():
            item = {PARAMETER_KEY: {"S": name}, PARAMETER_VALUE: {"N": str(number)}}
            self.dynamodb.put_item(TableName=self.table, Item=item)


@dataclass(frozen=True, slots=True)
class InducedFault:
    """Failures on purpose, at the percentage that ParameterTable has now.

    `random` gives numbers from 0 up to but not including 1.
    """

    parameters: ParameterTable
    name: str
    random: Callable[[], float]

    def percentage(self) -> int:
        """What ParameterTable says."""
        return self.parameters.number(self.name)

    def strike(self, percentage: float) -> None:
        """Raises InducedFailure, or not."""
        if 100 * self.random() < percentage:
            raise InducedFailure(f"on purpose, by {self.name} of ParameterTable")
