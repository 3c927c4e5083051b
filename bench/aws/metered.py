"""A DynamoDB client that adds up what its calls consume, for functions that do not count them."""

from collections.abc import Callable, Mapping
from typing import Any

READS = frozenset(["batch_get_item", "scan"])
WRITES = frozenset(["batch_write_item", "put_item", "transact_write_items", "update_item"])


class Metered:
    """Counts every call, and requests its consumed capacity; a failed call has none."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls = 0
        self.read_units = 0.0
        self.write_units = 0.0

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self.calls += 1
            if operation not in READS | WRITES:
                return getattr(self._client, operation)(**request)
            answer = getattr(self._client, operation)(**{**request, "ReturnConsumedCapacity": "TOTAL"})
            units = _units(answer.get("ConsumedCapacity"))
            if operation in READS:
                self.read_units += units
            else:
                self.write_units += units
            return answer

        return call


def _units(consumed: Mapping[str, Any] | list[Mapping[str, Any]] | None) -> float:
    parts = [consumed] if isinstance(consumed, Mapping) else consumed or []
    return sum(part.get("CapacityUnits", 0.0) for part in parts)
