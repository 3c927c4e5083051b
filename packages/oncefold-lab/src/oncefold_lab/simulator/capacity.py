"""Capacity units, as `ReturnConsumedCapacity` tells them.

A write costs by the larger of the item before and after. Operations within transactions cost twice, checks of
conditions included. Sources: "DynamoDB read and write operations"; "Capacity management for transactions".
"""

from collections.abc import Mapping
from typing import Any

from oncefold_lab.simulator.errors import Refusal

WRITE_BYTES = 1024
READ_BYTES = 4096
TRANSACTION = 2.0
"""A transaction prepares, then commits: each item twice."""
EVENTUAL = 0.5

_LEVELS = ("INDEXES", "TOTAL", "NONE")


def write_units(size: int) -> float:
    """Units of writing an item of so many bytes."""
    return float(max(1, -(-size // WRITE_BYTES)))


def read_units(size: int, *, consistent: bool) -> float:
    """Units of reading so many bytes."""
    units = float(max(1, -(-size // READ_BYTES)))
    return units if consistent else units * EVENTUAL


def level_of(request: Mapping[str, Any]) -> str:
    """How much a request wants to know. Raises Refusal."""
    level: str = request.get("ReturnConsumedCapacity", "NONE")
    if level not in _LEVELS:
        raise Refusal.invalid(
            f"1 validation error detected: Value '{level}' at 'returnConsumedCapacity' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(_LEVELS)}]"
        )
    return level


def told(request: Mapping[str, Any], table: str, units: float) -> dict[str, Any]:
    """What a reply about one table says of its capacity."""
    level = level_of(request)
    return {} if level == "NONE" else {"ConsumedCapacity": _of_table(level, table, units)}


def told_of_batch(request: Mapping[str, Any], units: Mapping[str, float]) -> dict[str, Any]:
    """What a reply about several tables says of its capacity."""
    level = level_of(request)
    if level == "NONE":
        return {}
    return {"ConsumedCapacity": [_of_table(level, table, amount) for table, amount in units.items()]}


def told_of_transaction(request: Mapping[str, Any], kind: str, units: Mapping[str, float]) -> dict[str, Any]:
    """What a transaction says of its capacity; it tells reading (`Read`) from writing (`Write`)."""
    told = told_of_batch(request, units)
    for part in told.get("ConsumedCapacity", ()):
        part[f"{kind}CapacityUnits"] = part["CapacityUnits"]
    return told


def _of_table(level: str, table: str, units: float) -> dict[str, Any]:
    capacity: dict[str, Any] = {"TableName": table, "CapacityUnits": units}
    return {**capacity, "Table": {"CapacityUnits": units}} if level == "INDEXES" else capacity
