"""Waiting for facts, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

_Fact = TypeVar("_Fact")

LOOK_SECONDS = 0.002


def until(fact: Callable[[], _Fact], what: str, seconds: float = 60.0) -> _Fact:
    """Look again and again until `fact` gives something true, and return that; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < deadline, f"still waiting after {seconds:.0f} s: {what}"
        time.sleep(LOOK_SECONDS)
    return found
