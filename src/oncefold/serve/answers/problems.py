"""Errors of the routes of queries."""

from typing import Final

from oncefold.serve.http.response import Problem

MEDIA_TYPE: Final = "application/problem+json"
_UNREADABLE: Final = 200
"""Characters of an input that a message repeats."""

__all__ = ["MEDIA_TYPE", "Problem", "shown"]


def shown(text: str) -> str:
    """An input in a message: its beginning, in quotes."""
    return repr(text if len(text) <= _UNREADABLE else f"{text[:_UNREADABLE]}...")
