"""A DynamoDB client that adds up what its writes consume, for functions that do not ask themselves.

Reads are left out, since the emulator does not tell them: one unit per key of a batch, for items of up to 4 KB.
"""

from collections.abc import Callable, Mapping
from typing import Any

WRITES = frozenset(["batch_write_item", "put_item", "transact_write_items", "update_item"])


class Metered:
    """Counts every call, and asks each write for its consumed capacity."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls = 0
        self.write_units = 0.0

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self.calls += 1
            if operation not in WRITES:
                return getattr(self._client, operation)(**request)
            answer = getattr(self._client, operation)(**{**request, "ReturnConsumedCapacity": "TOTAL"})
            self.write_units += _units(answer.get("ConsumedCapacity"))
            return answer

        return call


def _units(consumed: Mapping[str, Any] | list[Mapping[str, Any]] | None) -> float:
    parts = [consumed] if isinstance(consumed, Mapping) else consumed or []
    return sum(part.get("CapacityUnits", 0.0) for part in parts)
