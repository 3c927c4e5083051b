"""What can be queried, of a store, a server or a stack: one model, one protocol, one place that renders answers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oncefold.queries.event_model import Conflicts, Explanation, History, Rejects
    from oncefold.queries.model import (
        Amounts,
        Answer,
        AsOfCommit,
        AsOfTime,
        Commit,
        NodeTotal,
        SearchResult,
        Series,
        Shape,
        Totals,
        Verification,
    )
    from oncefold.queries.protocol import Reader, UnsupportedQueryError
    from oncefold.queries.status_model import StackStatus, Status, StoreStatus

__all__ = [
    "Amounts",
    "Answer",
    "AsOfCommit",
    "AsOfTime",
    "Commit",
    "Conflicts",
    "Explanation",
    "History",
    "NodeTotal",
    "Reader",
    "Rejects",
    "SearchResult",
    "Series",
    "Shape",
    "StackStatus",
    "Status",
    "StoreStatus",
    "Totals",
    "UnsupportedQueryError",
    "Verification",
]

_MODULES = {
    "event_model": {"Conflicts", "Explanation", "History", "Rejects"},
    "protocol": {"Reader", "UnsupportedQueryError"},
    "status_model": {"StackStatus", "Status", "StoreStatus"},
}
"""Where what is above is; what is in none of them is in `model`. It is imported when it is first used."""


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import what is exported and was not used yet."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = next((module for module, names in _MODULES.items() if name in names), "model")
        return getattr(import_module(f"{__name__}.{module}"), name)
