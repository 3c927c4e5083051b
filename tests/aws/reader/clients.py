"""DynamoDB clients for tests: one with small pages, as if tables were large; one whose tables change meanwhile."""

from collections.abc import Callable
from typing import Any


class Paged:
    """A client whose scans and queries give a few items a page, and which counts its calls."""

    def __init__(self, client: Any, items: int = 3) -> None:
        self._client, self._items = client, items
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def counted(**request: Any) -> Any:
            self.calls.append(name)
            limit = {"Limit": self._items} if name in {"scan", "query"} else {}
            return call(**request, **limit)

        return counted


class Restless:
    """A client that does something before some calls: `react(name, request)`."""

    def __init__(self, client: Any, react: Callable[[str, dict[str, Any]], None]) -> None:
        self._client, self._react = client, react

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def reacting(**request: Any) -> Any:
            self._react(name, request)
            return call(**request)

        return reacting
