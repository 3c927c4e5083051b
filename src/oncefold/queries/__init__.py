"""What can be asked of a store, and the answers: plain frozen values with exact decimals."""

from oncefold.queries.answers import Commit, NodeTotal, Totals, Verification
from oncefold.queries.events import Conflicts, Explanation, History, Rejects
from oncefold.queries.overview import Overview
from oncefold.queries.questions import Questions

__all__ = [
    "Commit",
    "Conflicts",
    "Explanation",
    "History",
    "NodeTotal",
    "Overview",
    "Questions",
    "Rejects",
    "Totals",
    "Verification",
]
