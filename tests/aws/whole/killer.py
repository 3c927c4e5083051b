"""Put beside the functions' code: ends the process in a share of the invocations, at a call or just before the answer.

Settings: KILL_SHARE, the share of invocations; KILL_MARK, a file that the first of them makes, which is killed in any
case; KILL_SALT, put in front of every ClientRequestToken, so that DynamoDB knows none of an earlier run's, as after ten
minutes.
"""

import hashlib
import os
import random
import threading
from collections.abc import Callable
from typing import Any

from botocore.client import BaseClient

from oncefold.aws.functions import handlers

SHARE = float(os.environ["KILL_SHARE"])
SALT = os.environ["KILL_SALT"]
MARK = os.environ.get("KILL_MARK")
POINTS = 12
"""Places where an invocation may end: before and after its first calls; what is beyond its last call is its end."""


class Fate:
    """Which of an invocation's points is its last."""

    def __init__(self) -> None:
        self._chance = random.Random()
        self._lock = threading.Lock()
        self._left: int | None = None

    def draw(self) -> None:
        killed = self._chance.random() < SHARE or _is_first()
        self._left = self._chance.randrange(POINTS) if killed else None

    def point(self) -> None:
        with self._lock:
            if self._left is None:
                return
            if self._left == 0:
                os._exit(9)
            self._left -= 1

    def end(self) -> None:
        """Nothing was left of the calls: end it before its answer."""
        if self._left is not None:
            os._exit(9)


def _is_first() -> bool:
    if MARK is None:
        return False
    try:
        os.close(os.open(MARK, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


_FATE = Fate()
_CALL = BaseClient._make_api_call


def _call(self: Any, operation: str, request: dict[str, Any]) -> Any:
    token = request.get("ClientRequestToken")
    if token:
        request = {**request, "ClientRequestToken": hashlib.sha256((SALT + token).encode()).hexdigest()[:36]}
    _FATE.point()
    answer = _CALL(self, operation, request)
    _FATE.point()
    return answer


BaseClient._make_api_call = _call


def _fated(handler: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def handle(event: Any, context: Any) -> Any:
        _FATE.draw()
        answer = handler(event, context)
        _FATE.end()
        return answer

    return handle


state = _fated(handlers.state)
net = _fated(handlers.net)
reduce = _fated(handlers.reduce)
sweep = _fated(handlers.sweep)
