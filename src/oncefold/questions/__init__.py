"""What can be asked of a store, and the answers: plain frozen values with exact decimals."""

from oncefold.questions.answers import Commit, NodeTotal, Totals, Verification
from oncefold.questions.events import Conflicts, Explanation, History, Rejects
from oncefold.questions.overview import Overview
from oncefold.questions.questions import Questions

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
