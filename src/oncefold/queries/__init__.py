"""What can be queried, of a store, a server or a stack: one model, one protocol, one place that renders answers."""

from typing import TYPE_CHECKING

from oncefold.deferred import exports

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

if not TYPE_CHECKING:
    __getattr__ = exports(
        __name__,
        {
            **dict.fromkeys(__all__, "model"),
            **dict.fromkeys(("Conflicts", "Explanation", "History", "Rejects"), "event_model"),
            **dict.fromkeys(("Reader", "UnsupportedQueryError"), "protocol"),
            **dict.fromkeys(("StackStatus", "Status", "StoreStatus"), "status_model"),
        },
    )
