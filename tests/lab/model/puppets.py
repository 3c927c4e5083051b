"""Invocations that go on only when they are told to: each in a thread that stops at every call to DynamoDB."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Queue
from typing import Any

PATIENCE_SECONDS = 60.0
"""A puppet computes for microseconds between two calls."""


class Crash(BaseException):
    """Ends an invocation where it stands."""


@dataclass(frozen=True)
class Call:
    """A call that an invocation waits for."""

    operation: str
    request: dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """What an invocation came to: its result, or the error that it died of."""

    result: Any = None
    error: BaseException | None = None


class Puppet:
    """One invocation. `now` is what it is waiting for, or what it came to."""

    def __init__(self, function: Callable[["Puppet"], Any]) -> None:
        """`function` gets this object in the place of a client of DynamoDB."""
        self._asked: Queue[Call | Ended] = Queue()
        self._answers: Queue[Callable[[], Any]] = Queue()
        self._thread = threading.Thread(target=self._run, args=(function,), daemon=True)
        self._thread.start()
        self.now = self._asked.get(timeout=PATIENCE_SECONDS)

    def _run(self, function: Callable[["Puppet"], Any]) -> None:
        try:
            ended = Ended(function(self))
        except BaseException as error:
            ended = Ended(error=error)
        self._asked.put(ended)

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self._asked.put(Call(operation, request))
            return self._answers.get()()

        return call

    @property
    def call(self) -> Call:
        """The call that it waits for."""
        assert isinstance(self.now, Call), self.now
        return self.now

    @property
    def result(self) -> Any:
        """What it came to."""
        assert isinstance(self.now, Ended), self.now
        if self.now.error is not None:
            raise self.now.error
        return self.now.result

    def answer(self, outcome: Callable[[], Any]) -> None:
        """Let its call return, or raise, what `outcome` does."""
        self._answers.put(outcome)
        self.now = self._asked.get(timeout=PATIENCE_SECONDS)

    def fail(self, error: BaseException) -> None:
        """Let its call raise."""

        def outcome() -> Any:
            raise error

        self.answer(outcome)

    def end(self) -> None:
        """Crash it, if it has not ended."""
        if isinstance(self.now, Call):
            self.fail(Crash())
        self._thread.join(PATIENCE_SECONDS)
