"""An event loop whose clock is the test's: where it would wait for a timer, its clock jumps to it."""

import asyncio
import selectors
from typing import Any


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Gives other threads a moment, and then says that the time is over."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """What is ready; if nothing is, the clock goes on by all of the timeout at once."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        found = super().select(0)
        if not found:
            self.passed += timeout
        return found


class JumpingLoop(asyncio.SelectorEventLoop):
    """To be given to `asyncio.Runner` as its loop factory."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds that were waited for."""
        return self._jumping.passed
