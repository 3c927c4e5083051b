"""Reasons of rejects without what is the event's own, so that rejects of one kind are one line."""

import re
from typing import Final

_VARYING: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[0-9][0-9,]*")
"""What of a reason is the event's: quoted values, and numbers."""


def kind_of(reason: str) -> str:
    """The reason with `...` for every quoted value and number."""
    return _VARYING.sub("...", reason)
