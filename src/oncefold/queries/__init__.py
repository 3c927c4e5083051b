"""What can be queried, of a store, a server or a stack: one model, one protocol, one place that renders answers."""

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
